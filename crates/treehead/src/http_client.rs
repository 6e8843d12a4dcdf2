//! HTTP requests to an object store or to another server of a ledger.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// An idle connection stays open this long for the next request.
const KEEP_IDLE: Duration = Duration::from_secs(60);

/// The bounds of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Longest wait for a connection, TLS apart.
    pub connect: Duration,
    /// Longest wait for a whole answer.
    pub answer: Duration,
    /// Largest answer that is read.
    pub answer_bytes: usize,
}

/// A client over HTTP/1.1, which keeps connections open and follows no redirects.
#[derive(Clone)]
pub(crate) struct HttpClient {
    transport: Transport,
    bounds: Bounds,
}

#[derive(Clone)]
enum Transport {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// An answer within its bounds.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl HttpClient {
    /// Makes a client for URLs that begin as this one. A server at an https URL must show a
    /// certificate that leads to a root of the system, or of the file that `SSL_CERT_FILE` names.
    pub(crate) fn new(url: &str, bounds: Bounds) -> Result<Self, String> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(bounds.connect));
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_idle_timeout(KEEP_IDLE)
            .pool_timer(TokioTimer::new());
        let transport = if url.starts_with("https://") {
            // The TLS connector passes https URLs to it.
            connector.enforce_http(false);
            let tls = HttpsConnectorBuilder::new().with_native_roots();
            let tls = tls.map_err(|error| format!("the system's root certificates: {error}"))?;
            let tls = tls.https_only().enable_http1().wrap_connector(connector);
            Transport::Tls(builder.build(tls))
        } else {
            Transport::Plain(builder.build(connector))
        };
        Ok(Self { transport, bounds })
    }

    /// Sends a request, and reads the answer within bounds of time and size.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answer = tokio::time::timeout(self.bounds.answer, self.exchange(request)).await;
        answer.unwrap_or_else(|_| {
            let seconds = self.bounds.answer.as_secs();
            Err(format!("no answer within {seconds} s"))
        })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answer = match &self.transport {
            Transport::Plain(client) => client.request(request).await,
            Transport::Tls(client) => client.request(request).await,
        };
        // The client's own text says only that it failed.
        let answer = answer.map_err(|error| match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.bounds.answer_bytes).collect().await;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.map_err(|error| error.to_string())?.to_bytes(),
        })
    }
}
