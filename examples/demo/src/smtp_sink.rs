//! A mail server that keeps what it is sent: one file per message, in `demo-output/mail`.
//!
//! It turns the first message for each greylisted recipient away for now, as many real servers
//! do, so that a retry can be seen.

use crate::Result;
use crate::output::{directory, write_whole};
use std::collections::HashSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

/// Recipients that start with this are turned away once.
pub(crate) const GREYLISTED: &str = "grace";

/// The longest message that is taken.
const LIMIT: usize = 1 << 20;

type TurnedAway = Arc<Mutex<HashSet<String>>>;

/// Starts the server on a free port of this machine, for as long as the runtime lives.
pub(crate) async fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let turned_away = TurnedAway::default();
        while let Ok((socket, _)) = listener.accept().await {
            let turned_away = Arc::clone(&turned_away);
            tokio::spawn(async move {
                let (reader, writer) = socket.into_split();
                // A client that hangs up has nothing more to be told.
                let _ = converse(BufReader::new(reader), writer, turned_away).await;
            });
        }
    });
    Ok(address)
}

async fn converse(
    mut reader: BufReader<impl AsyncRead + Unpin>,
    mut writer: impl AsyncWrite + Unpin,
    turned_away: TurnedAway,
) -> Result<()> {
    writer.write_all(b"220 demo.invalid ESMTP\r\n").await?;
    let mut recipients = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_ascii_uppercase();
        let verb = command.split([' ', ':']).next().unwrap_or_default();
        let reply = match verb {
            "EHLO" => "250-demo.invalid\r\n250-8BITMIME\r\n250 SMTPUTF8".to_owned(),
            "HELO" | "NOOP" => "250 demo.invalid".to_owned(),
            "MAIL" | "RSET" => {
                recipients = 0;
                "250 OK".to_owned()
            }
            "RCPT" if turn_away(&command, &turned_away) => {
                "451 4.7.1 greylisted, try again soon".to_owned()
            }
            "RCPT" => {
                recipients += 1;
                "250 OK".to_owned()
            }
            "DATA" if recipients > 0 => {
                writer.write_all(b"354 end with a dot on a line of its own\r\n").await?;
                let message = read_message(&mut reader).await?;
                tokio::task::spawn_blocking(move || keep(&message)).await??
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            "DATA" => "503 RCPT first".to_owned(),
            _ => "502 not implemented".to_owned(),
        };
        writer.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
}

/// Whether this recipient is to come back later: greylisted, and never seen before.
fn turn_away(command: &str, turned_away: &TurnedAway) -> bool {
    let recipient = command.split(['<', '>']).nth(1).unwrap_or_default().to_ascii_lowercase();
    let mut turned_away = turned_away.lock().unwrap_or_else(PoisonError::into_inner);
    recipient.starts_with(GREYLISTED) && turned_away.insert(recipient)
}

async fn read_message(reader: &mut BufReader<impl AsyncRead + Unpin>) -> Result<String> {
    let mut message = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            return Err("the client hung up within a message".into());
        }
        if line.trim_end() == "." {
            return Ok(message);
        }
        // A leading dot was doubled by the sender.
        message.push_str(line.strip_prefix('.').unwrap_or(&line));
        if message.len() > LIMIT {
            return Err("the message is too long".into());
        }
    }
}

/// Keeps a message under its id, so that one that is sent twice is there once.
fn keep(message: &str) -> Result<String> {
    let id = message
        .lines()
        .find_map(|line| line.strip_prefix("Message-ID: <"))
        .and_then(|rest| rest.split('@').next())
        .filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let Some(id) = id else { return Ok("554 no usable Message-ID".to_owned()) };
    let path = directory("mail").join(format!("{id}.eml"));
    write_whole(&path, |file| Ok(file.write_all(message.as_bytes())?))?;
    Ok(format!("250 kept as {id}"))
}
