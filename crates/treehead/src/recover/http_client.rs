//! GET requests to a server that is a source.

use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::{sleep, timeout};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer: the server itself gives a request up after 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Attempts of one request, for a server that is busy or restarted meanwhile.
const ATTEMPTS: u32 = 5;
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(2);
/// Largest answer that is read: twice what a page of rows takes.
const MAX_ANSWER_BYTES: usize = 2 * server::limits::MAX_ROWS_BYTES as usize;

/// A client of one server.
pub(super) struct HttpClient {
    base: String,
    transport: Transport,
}

enum Transport {
    Plain(Client<HttpConnector, Empty<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>),
}

impl HttpClient {
    /// Makes a client for the server at this URL. A server at an https URL must show a certificate
    /// that leads to a root of the system, or of the file that `SSL_CERT_FILE` names.
    pub(super) fn new(base: &str) -> Result<Self, String> {
        let url: Uri = base.parse().map_err(|_| format!("{base:?} is not a URL"))?;
        if url.authority().is_none() || url.query().is_some() {
            return Err(format!("{base:?} is not the URL of a server"));
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let builder = Client::builder(TokioExecutor::new());
        let transport = match url.scheme_str() {
            Some("https") => {
                // The TLS connector passes https URLs to it.
                connector.enforce_http(false);
                let tls = HttpsConnectorBuilder::new().with_native_roots();
                let tls = tls.map_err(|error| error.to_string())?.https_only();
                Transport::Tls(builder.build(tls.enable_http1().wrap_connector(connector)))
            }
            _ => Transport::Plain(builder.build(connector)),
        };
        Ok(Self {
            base: base.to_owned(),
            transport,
        })
    }

    /// Returns the body of a path, or `None` where there is nothing.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Bytes>, String> {
        let mut attempt = 1;
        loop {
            let answer = timeout(ANSWER_TIMEOUT, self.get_once(path)).await;
            let fault = match answer {
                Ok(Ok((StatusCode::OK, body))) => return Ok(Some(body)),
                Ok(Ok((StatusCode::NOT_FOUND, _))) => return Ok(None),
                Ok(Ok((status, body))) => {
                    let message = String::from_utf8_lossy(&body);
                    let fault = format!("{path}: {status}: {}", message.trim());
                    if status != StatusCode::SERVICE_UNAVAILABLE {
                        return Err(fault);
                    }
                    fault
                }
                Ok(Err(fault)) => format!("{path}: {fault}"),
                Err(_) => format!("{path}: no answer within {} s", ANSWER_TIMEOUT.as_secs()),
            };
            if attempt == ATTEMPTS {
                return Err(fault);
            }
            tracing::warn!(fault, attempt, "the source does not answer; trying again");
            attempt += 1;
            sleep(PAUSE).await;
        }
    }

    async fn get_once(&self, path: &str) -> Result<(StatusCode, Bytes), String> {
        let request = Request::get(format!("{}{path}", self.base))
            .header(USER_AGENT, "treehead")
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let answer = match &self.transport {
            Transport::Plain(client) => client.request(request).await,
            Transport::Tls(client) => client.request(request).await,
        };
        let answer = answer.map_err(|error| with_cause(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect();
        let body = body.await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }
}

/// Returns the error with its cause, because the client's own text says only that it failed.
fn with_cause(error: &hyper_util::client::legacy::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
