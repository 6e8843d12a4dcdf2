//! GET requests to a server that is a source.

use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use tokio::time::sleep;

use crate::http_client::{Answer, Bounds, HttpClient};

const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(5),
    // The server itself gives a request up after 30 s.
    answer: Duration::from_secs(60),
    // Twice what a page of rows takes.
    answer_bytes: 2 * server::limits::MAX_ROWS_BYTES as usize,
};
/// Attempts of one request, for a server that is busy or restarted meanwhile.
const ATTEMPTS: u32 = 5;
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(2);
/// A client of one server, which asks a busy one again.
pub(super) struct SourceClient {
    base: String,
    client: HttpClient,
}

impl SourceClient {
    /// Makes a client for the server at this URL. A server at an https URL must show a certificate
    /// that leads to a root of the system, or of the file that `SSL_CERT_FILE` names.
    pub(super) fn new(base: &str) -> Result<Self, String> {
        let url: Uri = base.parse().map_err(|_| format!("{base:?} is not a URL"))?;
        if url.authority().is_none() || url.query().is_some() {
            return Err(format!("{base:?} is not the URL of a server"));
        }
        Ok(Self {
            base: base.to_owned(),
            client: HttpClient::new(base, BOUNDS)?,
        })
    }

    /// Returns the body of a path, or `None` where there is nothing.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Bytes>, String> {
        let mut attempt = 1;
        loop {
            let fault = match self.get_once(path).await {
                Ok(Answer { status, body, .. }) if status == StatusCode::OK => {
                    return Ok(Some(body));
                }
                Ok(answer) if answer.status == StatusCode::NOT_FOUND => return Ok(None),
                Ok(Answer { status, body, .. }) => {
                    let message = String::from_utf8_lossy(&body);
                    let fault = format!("{path}: {status}: {}", message.trim());
                    if status != StatusCode::SERVICE_UNAVAILABLE {
                        return Err(fault);
                    }
                    fault
                }
                Err(fault) => format!("{path}: {fault}"),
            };
            if attempt == ATTEMPTS {
                return Err(fault);
            }
            tracing::warn!(fault, attempt, "the source does not answer; trying again");
            attempt += 1;
            sleep(PAUSE).await;
        }
    }

    async fn get_once(&self, path: &str) -> Result<Answer, String> {
        let request = Request::get(format!("{}{path}", self.base))
            .header(USER_AGENT, "treehead")
            .body(Full::default())
            .map_err(|error| error.to_string())?;
        self.client.send(request).await
    }
}
