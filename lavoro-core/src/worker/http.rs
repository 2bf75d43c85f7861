//! A worker's health and metrics over HTTP. There is no authentication and nothing to change.
//!
//! Clients are not trusted: each connection is one request and has a deadline, and only so many
//! are open at once.

use super::health::Observer;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How many connections may be open. More are closed at once.
const CONNECTIONS: usize = 16;
/// How long a request may take to arrive, and a whole connection to be served.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));
/// How many bytes a request's head may have.
const HEAD: usize = 8 << 10;

/// A bound address, not served yet.
pub(super) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds the address, if there is one.
    pub(super) async fn bind(address: Option<SocketAddr>) -> Result<Option<Self>> {
        let Some(address) = address else { return Ok(None) };
        let refuse = |error: std::io::Error| {
            let message = format!("listen is {address}, which cannot be listened on: {error}");
            Error::new(ErrorKind::InvalidOption, message).with_source(error)
        };
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        Ok(Some(Self { listener, address }))
    }

    /// Answers requests until the worker has ended. Answers the address.
    pub(super) fn serve(self, runtime: &Handle, observer: Observer) -> SocketAddr {
        let ended = observer.ended.clone();
        let address = self.address;
        runtime.spawn(async move {
            tokio::select! {
                () = accept(self.listener, observer) => {}
                () = ended.cancelled() => {}
            }
        });
        address
    }
}

async fn accept(listener: TcpListener, observer: Observer) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut serving = tokio::task::JoinSet::new();
    loop {
        while serving.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, as a rule: others must let go of some first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let observer = observer.clone();
        serving.spawn(async move {
            // Whatever a client does wrong ends its own connection and nothing else.
            let _ = timeout(PATIENCE.1, connection(stream, observer)).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, observer: Observer) {
    let service = service_fn(|request| {
        let answer = answer(&request, &observer);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE.0)
        .max_buf_size(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the worker's endpoint failed");
    }
}

fn answer(request: &Request<Incoming>, observer: &Observer) -> Response<Full<Bytes>> {
    let plain = "text/plain; charset=utf-8";
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, plain, "only GET\n".into());
        refusal.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/health" => {
            let health = observer.health();
            let status =
                if health.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let json = serde_json::to_string(&health).unwrap_or_default();
            response(status, "application/json", json)
        }
        "/metrics" => response(StatusCode::OK, metrics::CONTENT_TYPE, observer.metrics()),
        _ => response(StatusCode::NOT_FOUND, plain, "there are /health and /metrics\n".into()),
    }
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    const CACHE: HeaderName = hyper::header::CACHE_CONTROL;
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    headers.insert(CACHE, hyper::header::HeaderValue::from_static("no-store"));
    response
}
