//! Fetches over HTTP/1.1. No other file of this crate knows a network, a clock or a runtime.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::fetch::{Answer, Ask, Fetch, FetchError, Reply, Submit};

/// Longest wait for a connection, TLS apart.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole answer: an entry bundle of 16 MiB over a slow line.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for the answer to a submission: a log of treehead takes up to 60 s for an entry and
/// 300 s for a large batch, and answers before that.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(320);
/// The media type of a query to a time-stamp authority.
const TIME_STAMP_QUERY: &str = "application/timestamp-query";
/// Largest time stamp: that of a log's entry has 10 KiB, with certificates.
const MAX_TIME_STAMP: usize = 64 << 10;

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

    /// Asks a time-stamp authority (RFC 3161) with a query in DER.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub async fn time_stamp(&self, url: &str, query: Vec<u8>) -> Result<Answer, FetchError> {
        let parsed = parse(url);
        let request = parsed.and_then(|parsed| {
            let request = Request::post(parsed).header(CONTENT_TYPE, TIME_STAMP_QUERY);
            let request = request.header(USER_AGENT, "treehead");
            request.body(Full::new(Bytes::from(query))).ok()
        });
        let request = request.ok_or_else(|| FetchError::Url(url.to_owned()))?;
        let exchange = self.exchange(request, url, MAX_TIME_STAMP);
        let (answer, _) = within(TIMEOUT, url, exchange).await?;
        Ok(answer)
    }

    async fn send(&self, ask: &Ask) -> Result<(Answer, HeaderMap), FetchError> {
        let request = request(ask).ok_or_else(|| FetchError::Url(ask.url.clone()))?;
        self.exchange(request, &ask.url, ask.limit).await
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        url: &str,
        limit: usize,
    ) -> Result<(Answer, HeaderMap), FetchError> {
        let url = || url.to_owned();
        let unreachable = |cause| FetchError::Unreachable { url: url(), cause };
        let answer = match (request.uri().scheme_str(), &self.tls) {
            (Some("https"), Ok(tls)) => tls.request(request).await,
            (Some("https"), Err(error)) => return Err(FetchError::Roots(error.clone())),
            _ => self.plain.request(request).await,
        };
        let answer = answer.map_err(|error| unreachable(with_causes(&error)))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, limit).collect();
        let body = body.await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                FetchError::TooLarge { url: url(), limit }
            } else {
                unreachable(format!("the answer is cut short: {error}"))
            }
        })?;
        let answer = Answer {
            status: head.status.as_u16(),
            body: body.to_bytes().into(),
        };
        Ok((answer, head.headers))
    }
}

/// Waits for an answer so long.
async fn within<T>(
    time: Duration,
    url: &str,
    answer: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let too_slow = |_| FetchError::TooSlow {
        url: url.to_owned(),
        seconds: time.as_secs(),
    };
    tokio::time::timeout(time, answer).await.map_err(too_slow)?
}

impl Fetch for Http {
    async fn fetch(&self, ask: &Ask) -> Result<Answer, FetchError> {
        let (answer, _) = within(TIMEOUT, &ask.url, self.send(ask)).await?;
        Ok(answer)
    }
}

impl Submit for Http {
    async fn submit(&self, ask: &Ask) -> Result<Reply, FetchError> {
        let (answer, headers) = within(SUBMIT_TIMEOUT, &ask.url, self.send(ask)).await?;
        let text = |value: Option<&http::HeaderValue>| {
            let text = value.and_then(|value| value.to_str().ok());
            text.map(str::to_owned)
        };
        let retry_after = text(headers.get(RETRY_AFTER));
        Ok(Reply {
            status: answer.status,
            body: answer.body,
            location: text(headers.get(LOCATION)),
            // The date form is not used by logs, and then the usual wait applies.
            retry_after: retry_after.and_then(|seconds| seconds.trim().parse().ok()),
            log_index: text(headers.get("x-log-index")),
        })
    }
}

/// Returns `None` if the URL is not one of http or https.
fn parse(url: &str) -> Option<Uri> {
    let url: Uri = url.parse().ok()?;
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    (is_http && url.authority().is_some()).then_some(url)
}

fn request(ask: &Ask) -> Option<Request<Full<Bytes>>> {
    let url = parse(&ask.url)?;
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
