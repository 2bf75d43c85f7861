//! A network between a client and the server that loses replies and connections when told to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;

/// The reply that is lost by [`Proxy::lose`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To the execution of a prepared statement.
    Statement,
    /// To a plain `commit`.
    Commit,
    /// To the execution of a prepared statement whose text begins so.
    To(&'static str),
}

/// Forwards connections from a TCP port of 127.0.0.1 to the tests' server. Ends with the runtime.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    line: Arc<Line>,
}

#[derive(Debug, Default)]
struct Line {
    socket: Mutex<String>,
    lose: Mutex<Option<Reply>>,
    lost: AtomicUsize,
    silent: AtomicBool,
    hold: AtomicBool,
    held: AtomicUsize,
    released: Notify,
    late: AtomicU64, // milliseconds
    closed: AtomicBool,
    cut: Notify,
}

impl Proxy {
    /// Listens on a free port, for the server of an embedded URL
    /// (`postgres://user@%2Fsocket%2Fdirectory:port/database`).
    ///
    /// # Panics
    /// If the URL is of another kind.
    pub async fn start(target: &str) -> Self {
        let (socket, user, database) = parts(target);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let line = Arc::new(Line { socket: Mutex::new(socket), ..Line::default() });
        let shared = Arc::clone(&line);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.closed.load(Ordering::SeqCst) {
                    continue; // dropped: the connection is reset
                }
                let socket = shared.socket.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let Ok(server) = UnixStream::connect(&socket).await else { continue };
                tokio::spawn(forward(client, server, Arc::clone(&shared)));
            }
        });
        Self { url: format!("postgres://{user}@{here}/{database}"), line }
    }

    /// How clients reach the server through this proxy.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Loses the next reply of this kind, after the server has done what it was asked, and
    /// closes the connection. Once.
    pub fn lose(&self, reply: Reply) {
        *self.line.lose.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
    }

    /// How many replies were lost by [`lose`](Self::lose).
    #[must_use]
    pub fn lost(&self) -> usize {
        self.line.lost.load(Ordering::SeqCst)
    }

    /// While on, transactions of several statements do not begin: their `begin` waits here.
    pub fn hold_begins(&self, on: bool) {
        self.line.hold.store(on, Ordering::SeqCst);
        self.line.released.notify_waiters();
    }

    /// How many times a `begin` has been made to wait.
    #[must_use]
    pub fn held(&self) -> usize {
        self.line.held.load(Ordering::SeqCst)
    }

    /// While on, nothing that the server says arrives; connections stay open.
    pub fn swallow_replies(&self, on: bool) {
        self.line.silent.store(on, Ordering::SeqCst);
    }

    /// Leads new connections to the server of another URL. The database's name stays.
    pub fn lead_to(&self, target: &str) {
        let (socket, ..) = parts(target);
        *self.line.socket.lock().unwrap_or_else(PoisonError::into_inner) = socket;
    }

    /// Replies come this much later from now on.
    pub fn delay(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.line.late.store(delay, Ordering::SeqCst);
    }

    /// Closes every connection. New ones are accepted.
    pub fn cut(&self) {
        self.line.cut.notify_waiters();
    }

    /// While on, new connections are closed at once. Open ones stay; see [`cut`](Self::cut).
    pub fn refuse(&self, on: bool) {
        self.line.closed.store(on, Ordering::SeqCst);
    }
}

/// Whether the reply that is on its way must be lost.
#[derive(Debug, Default)]
struct Doomed(AtomicBool);

impl Line {
    /// Waits while transactions are not to begin.
    async fn pass_begin(&self) {
        let mut counted = false;
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if !self.hold.load(Ordering::SeqCst) {
                return;
            }
            if !std::mem::replace(&mut counted, true) {
                self.held.fetch_add(1, Ordering::SeqCst);
            }
            released.await;
        }
    }
}

/// The statements that a connection has prepared, by name, and the one it runs next.
#[derive(Debug, Default)]
struct Spoken {
    prepared: HashMap<Vec<u8>, Vec<u8>>,
    bound: Vec<u8>,
}

impl Spoken {
    fn hear(&mut self, kind: u8, body: &[u8]) {
        let mut parts = body.split(|byte| *byte == 0);
        let mut part = || parts.next().unwrap_or_default();
        match kind {
            b'P' => drop(self.prepared.insert(part().to_vec(), part().to_vec())),
            b'B' => {
                let (_portal, name) = (part(), part());
                self.bound = self.prepared.get(name).cloned().unwrap_or_default();
            }
            _ => {}
        }
    }

    /// Whether this message is answered with this reply.
    fn asks_for(&self, reply: Reply, kind: u8, body: &[u8]) -> bool {
        match reply {
            Reply::Statement => kind == b'E',
            Reply::Commit => kind == b'Q' && body.to_ascii_lowercase().starts_with(b"commit"),
            Reply::To(text) => kind == b'E' && self.bound.starts_with(text.as_bytes()),
        }
    }
}

async fn forward(client: TcpStream, server: UnixStream, line: Arc<Line>) {
    let _ = client.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let doomed = Doomed::default();
    tokio::select! {
        () = requests(from_client, to_server, &line, &doomed) => {}
        () = replies(from_server, to_client, &line, &doomed) => {}
        () = line.cut.notified() => {}
    }
}

/// Hands a client's messages on one by one.
async fn requests(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    line: &Line,
    doomed: &Doomed,
) {
    let mut started = false;
    let mut spoken = Spoken::default();
    loop {
        // Messages before and with the startup (protocol 3) have no type.
        let mut head = vec![0; if started { 5 } else { 4 }];
        if from.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap());
        let mut body = vec![0; length as usize - 4];
        if from.read_exact(&mut body).await.is_err() {
            return;
        }
        let kind = if started { head[0] } else { 0 };
        started |= body.starts_with(&196_608_u32.to_be_bytes());
        if kind == b'Q' && body.to_ascii_lowercase().starts_with(b"begin") {
            line.pass_begin().await;
        }
        spoken.hear(kind, &body);
        {
            let mut lose = line.lose.lock().unwrap_or_else(PoisonError::into_inner);
            if lose.is_some_and(|reply| spoken.asks_for(reply, kind, &body)) {
                *lose = None;
                doomed.0.store(true, Ordering::SeqCst);
            }
        }
        head.append(&mut body);
        if to.write_all(&head).await.is_err() {
            return;
        }
    }
}

/// Hands the server's replies on. A doomed one is read to its end, which the server sends after
/// it has committed.
async fn replies(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    line: &Line,
    doomed: &Doomed,
) {
    let mut chunk = vec![0; 64 << 10];
    let mut tail = Vec::new();
    loop {
        let Ok(count @ 1..) = from.read(&mut chunk).await else { return };
        if doomed.0.load(Ordering::SeqCst) {
            tail.extend_from_slice(&chunk[..count]);
            let ready = tail.len().checked_sub(6).map(|at| &tail[at..at + 5]);
            if ready == Some(b"Z\0\0\0\x05") {
                line.lost.fetch_add(1, Ordering::SeqCst);
                return;
            }
            continue;
        }
        if line.silent.load(Ordering::SeqCst) {
            continue;
        }
        let late = line.late.load(Ordering::SeqCst);
        if late > 0 {
            tokio::time::sleep(Duration::from_millis(late)).await;
        }
        if to.write_all(&chunk[..count]).await.is_err() {
            return;
        }
    }
}

/// The socket, user and database of an embedded URL.
fn parts(target: &str) -> (String, &str, &str) {
    let rest = target.strip_prefix("postgres://").unwrap();
    let (user, rest) = rest.split_once('@').unwrap();
    let (host, rest) = rest.split_once(':').unwrap();
    let (port, database) = rest.split_once('/').unwrap();
    (format!("{}/.s.PGSQL.{port}", decode(host)), user, database)
}

fn decode(host: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = host.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(&others[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &others[2..];
        } else {
            bytes.push(first);
            rest = others;
        }
    }
    String::from_utf8(bytes).unwrap()
}
