//! Fetches over HTTP/1.1. No other file of this crate knows a network, a clock or a runtime.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::fetch::{Answer, Ask, Fetch, FetchError};

/// Longest wait for a connection, TLS apart.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole answer: an entry bundle of 16 MiB over a slow line.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Fetches over http and https. An https server must show a certificate that leads to a root of the
/// system (or of the file that `SSL_CERT_FILE` names). What a log answers does not depend on that:
/// it is verified with the log's key.
#[derive(Clone)]
pub struct Http {
    plain: Client<HttpConnector, Full<Bytes>>,
    /// The reason why there is none, if the root certificates cannot be read.
    tls: Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, String>,
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Http {
    /// Makes a client. Reads the system's root certificates.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        // The TLS connector passes https URLs to it.
        connector.enforce_http(false);
        let builder = Client::builder(TokioExecutor::new());
        let tls = HttpsConnectorBuilder::new().with_native_roots();
        let tls = tls.map(|tls| {
            let tls = tls.https_only().enable_http1();
            builder.build(tls.wrap_connector(connector.clone()))
        });
        Self {
            plain: builder.build(connector),
            // A machine without root certificates can still read over http.
            tls: tls.map_err(|error| error.to_string()),
        }
    }

    async fn send(&self, ask: &Ask) -> Result<Answer, FetchError> {
        let url = || ask.url.clone();
        let unreachable = |cause| FetchError::Unreachable { url: url(), cause };
        let request = request(ask).ok_or_else(|| FetchError::Url(url()))?;
        let answer = match (request.uri().scheme_str(), &self.tls) {
            (Some("https"), Ok(tls)) => tls.request(request).await,
            (Some("https"), Err(error)) => return Err(FetchError::Roots(error.clone())),
            _ => self.plain.request(request).await,
        };
        let answer = answer.map_err(|error| unreachable(with_causes(&error)))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ask.limit).collect();
        let body = body.await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let limit = ask.limit;
                FetchError::TooLarge { url: url(), limit }
            } else {
                unreachable(format!("the answer is cut short: {error}"))
            }
        })?;
        Ok(Answer {
            status,
            body: body.to_bytes().into(),
        })
    }
}

impl Fetch for Http {
    async fn fetch(&self, ask: &Ask) -> Result<Answer, FetchError> {
        let too_slow = |_| FetchError::TooSlow {
            url: ask.url.clone(),
            seconds: TIMEOUT.as_secs(),
        };
        let answer = tokio::time::timeout(TIMEOUT, self.send(ask)).await;
        answer.map_err(too_slow)?
    }
}

/// Returns `None` if the URL is not one of http or https.
fn request(ask: &Ask) -> Option<Request<Full<Bytes>>> {
    let url: Uri = ask.url.parse().ok()?;
    let (Some("http" | "https"), Some(_)) = (url.scheme_str(), url.authority()) else {
        return None;
    };
    let request = match ask.json {
        Some(_) => Request::post(url).header(CONTENT_TYPE, "application/json"),
        None => Request::get(url),
    };
    let body = Bytes::from(ask.json.clone().unwrap_or_default());
    let request = request.header(USER_AGENT, "treehead");
    request.body(Full::new(body)).ok()
}

/// Returns the error with its causes, because the client's own text says only that it failed.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let own = error.to_string();
        // Several layers repeat the text of the layer below.
        if !text.ends_with(&own) {
            text = format!("{text}: {own}");
        }
        cause = error.source();
    }
    if text.contains("certificate expired") || text.contains("not valid yet") {
        text.push_str(". Is the clock of this machine right?");
    }
    text
}
