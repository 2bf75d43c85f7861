//! A worker's health, asked from inside and over HTTP, and what clients of that cannot do.

use lavoro_core::{ErrorKind, Lavoro, NewJob, Outcome, Worker, WorkerBuilder};
use lavoro_tests::{Database, PATIENCE, Proxy, Quick as _, wait_for};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const LONG: Duration = Duration::from_mins(1);

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn worker(lavoro: &Lavoro) -> WorkerBuilder {
    let builder = Worker::builder(lavoro).handler("t", |_| async { Outcome::complete() });
    builder.quick().listen(any_port())
}

/// Sends bytes and answers all that comes back.
async fn talk(address: SocketAddr, request: &[u8]) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A server that refuses may close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    tokio::time::timeout(PATIENCE, talk).await.expect("no answer")
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = talk(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_how_it_is() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = worker(&lavoro).queue("say \"hi\"", 3).start().await.unwrap();
    let address = worker.address().unwrap();
    let health = worker.health();
    assert!(health.healthy && !health.stopping, "{health:?}");
    assert_eq!((health.worker, health.running, health.slots), (worker.id(), 0, 3));

    let (status, body) = get(address, "/health").await;
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &json["healthy"]), (200, &true.into()), "{body}");
    assert_eq!(json["worker"], worker.id().to_string());
    assert!(json["since_contact_ms"].as_u64().unwrap() < 60_000, "{body}");

    let jobs = (0..5).map(|n| NewJob::new("t", n).queue("say \"hi\""));
    for job in lavoro.enqueue_many(jobs).await.unwrap() {
        job.result(LONG).await.unwrap();
    }
    let expected =
        r#"lavoro_worker_attempts_total{queue="say \"hi\"",task="t",outcome="completed"} 5"#;
    wait_for("the metrics", async || {
        let (status, text) = get(address, "/metrics").await;
        assert_eq!(status, 200);
        (text.contains(expected)
            && text.contains(r#"lavoro_worker_run_seconds_count{queue="say \"hi\"",task="t"} 5"#)
            && text.contains("lavoro_worker_healthy 1.0\n")
            && text.ends_with("# EOF\n"))
        .then_some(())
    })
    .await;
    assert!(worker.stop(LONG).await);
    assert!(TcpStream::connect(address).await.is_err(), "it still listens");
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_contact_is_unhealthy() {
    let database = Database::new().await;
    let proxy = Proxy::start(&database.url).await;
    let lavoro = Lavoro::connect(proxy.url()).await.unwrap();
    let worker = worker(&lavoro).start().await.unwrap();
    let address = worker.address().unwrap();
    assert_eq!(get(address, "/health").await.0, 200);
    proxy.refuse(true);
    proxy.cut();
    wait_for("the worker to be unhealthy", async || {
        (get(address, "/health").await.0 == 503).then_some(())
    })
    .await;
    let health = worker.health();
    assert!(!health.healthy, "{health:?}");
    assert!(health.since_contact > lavoro_tests::quick().lease * 4 / 5, "{health:?}");
    let (_, text) = get(address, "/metrics").await;
    assert!(text.contains("lavoro_worker_healthy 0.0\n"), "{text}");
    proxy.refuse(false);
    wait_for("the worker to recover", async || worker.health().healthy.then_some(())).await;
    assert_eq!(get(address, "/health").await.0, 200);
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// Whatever clients do, jobs run, and the next client is served.
#[tokio::test(flavor = "multi_thread")]
async fn clients_cannot_harm_the_worker() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = worker(&lavoro).start().await.unwrap();
    let address = worker.address().unwrap();
    assert_eq!(get(address, "/").await.0, 404);
    assert_eq!(get(address, "/health?verbose").await.0, 200);
    let posted =
        talk(address, b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    for bad in [
        b"\x16\x03\x01 this is not HTTP\r\n\r\n".to_vec(),
        [b"GET /health HTTP/1.1\r\nHost: x\r\nA: ", &b"a".repeat(100_000)[..], b"\r\n\r\n"]
            .concat(),
        [b"GET /".to_vec(), b"a".repeat(100_000)].concat(),
        b"GET /health HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_vec(),
    ] {
        let answer = talk(address, &bad).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    // Many who say nothing. Those beyond the limit are turned away at once.
    let mut mute = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(b"GET /he").await;
        mute.push(stream);
    }
    // Those within it are closed only after 5 seconds.
    let turned_away = wait_for("connections to be turned away", async || {
        let mut turned_away = 0;
        for stream in &mut mute {
            let mut byte = [0];
            turned_away += usize::from(!matches!(stream.try_read(&mut byte), Err(e)
                if e.kind() == std::io::ErrorKind::WouldBlock));
        }
        (turned_away >= 48).then_some(())
    });
    let soon = tokio::time::timeout(Duration::from_secs(4), turned_away).await;
    assert!(soon.is_ok(), "more than 16 are served at once");
    for job in lavoro.enqueue_many((0..50).map(|n| NewJob::new("t", n))).await.unwrap() {
        job.result(LONG).await.unwrap();
    }
    assert!(worker.health().healthy);
    // They hold their places for a few seconds at most.
    wait_for("a place to be free", async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
    assert!(worker.stop(LONG).await);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_refused() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = worker(&lavoro).listen(address).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    assert!(error.message().starts_with(&format!("listen is {address}")), "{error}");
    let registered: i64 = database.one("select count(*) from lavoro.worker").await;
    assert_eq!(registered, 0);
}
