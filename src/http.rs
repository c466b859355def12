//! The HTTP pages: /metrics, /healthz, /readyz. Read-only; anything else is 404 or 405.
//! Out: what is counted; whether a shard is up.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::admin::AdminSource;
use crate::metrics::Metrics;

/// Connections open at the same time; those above it are closed at once.
const CONNECTIONS_MAX: usize = 64;
/// Longest wait for a request's header, also between two requests.
const HEADER_MAX: Duration = Duration::from_secs(30);
/// Longest life of a connection.
const LIFE_MAX: Duration = Duration::from_secs(600);

/// What the pages show.
pub struct Pages {
    source: Arc<dyn AdminSource>,
    metrics: Arc<Metrics>,
    open: AtomicUsize,
}

/// Counts a connection until it ends, however it ends.
struct Counted<'p>(&'p AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pages {
    /// Pages of this process.
    pub fn new(source: Arc<dyn AdminSource>, metrics: Arc<Metrics>) -> Self {
        Self { source, metrics, open: AtomicUsize::new(0) }
    }

    /// Serves one connection until it ends.
    ///
    /// # Errors
    /// The connection broke, sent what is no HTTP, lived too long, or is one too many.
    pub async fn serve<S>(&self, stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let counted = Counted(&self.open);
        if self.open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            return Err(io::Error::other("too many connections"));
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_MAX)
            .max_buf_size(16 << 10)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(|request| async move { Ok::<_, Infallible>(self.answer(&request)) }),
            );
        let served = tokio::time::timeout(LIFE_MAX, connection).await;
        drop(counted);
        served?.map_err(io::Error::other)
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return page(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        }
        match request.uri().path() {
            "/metrics" => {
                let mut response = page(StatusCode::OK, self.metrics.page(self.source.as_ref()));
                let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            "/healthz" => page(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => match self.source.not_ready() {
                // Sessions wait for a paused shard; taking the whole process out of service would make them fail instead.
                None => {
                    let pools = self.source.pools();
                    let paused = pools.iter().filter(|pool| pool.paused);
                    let lines = paused.map(|pool| {
                        format!("{} {}: shard {} is {}\n", pool.protocol, pool.database, pool.shard, pool.state())
                    });
                    page(StatusCode::OK, std::iter::once("ready\n".to_owned()).chain(lines).collect())
                }
                Some(why) => page(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
            },
            _ => page(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n".to_owned()),
        }
    }
}

fn page(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::*;
    use crate::admin::fixed;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn answer(pages: &Arc<Pages>, request: &str) -> String {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let pages = Arc::clone(pages);
        let served = tokio::spawn(async move { pages.serve(server).await });
        client.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        client.read_to_string(&mut text).await.expect("answered");
        drop(served.await.expect("no panic"));
        text
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    }

    #[tokio::test]
    async fn pages_answer_and_readiness_follows_the_process() {
        let source = fixed();
        let metrics = Arc::new(Metrics::new(1).expect("distinct names"));
        let pages = Arc::new(Pages::new(Arc::clone(&source) as _, metrics));
        assert!(answer(&pages, &get("/healthz")).await.starts_with("HTTP/1.1 200 OK"));
        assert!(answer(&pages, &get("/readyz?x=1")).await.ends_with("\r\n\r\nready\n"));
        let page = answer(&pages, &get("/metrics")).await;
        assert!(page.contains("text/plain; version=0.0.4") && page.contains("\ndbmesh_uptime_seconds 90\n"), "{page}");
        assert!(answer(&pages, &get("/secret")).await.starts_with("HTTP/1.1 404"));
        let post = get("/metrics").replace("GET", "POST");
        assert!(answer(&pages, &post).await.starts_with("HTTP/1.1 405"));
        source.shutdown();
        let not = answer(&pages, &get("/readyz")).await;
        assert!(not.starts_with("HTTP/1.1 503") && not.ends_with("not ready: stopping\n"), "{not}");
    }

    #[tokio::test]
    async fn what_is_no_http_ends_its_connection_and_is_counted_off() {
        let metrics = Arc::new(Metrics::new(1).expect("distinct names"));
        let pages = Arc::new(Pages::new(fixed(), metrics));
        for request in ["\0\0\0\n\n", "GET\r\n\r\n", &format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(40_000))] {
            let text = answer(&pages, request).await;
            assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
        }
        assert_eq!(pages.open.load(Ordering::Relaxed), 0);
    }
}
