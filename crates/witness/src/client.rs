//! The client that sends checkpoints to witnesses.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Longest wait for a connection, TLS apart.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// An idle connection stays open this long for the next head.
const KEEP_IDLE: Duration = Duration::from_secs(60);
/// Largest answer that is read: a cosignature has some 200 bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// A client of witnesses over HTTP/1.1, which keeps connections open. It follows no redirects: the
/// operator sets the address of a witness.
#[derive(Clone)]
pub struct Client {
    plain: HttpClient<HttpConnector, Full<Bytes>>,
    /// `None` if no witness has an https URL.
    tls: Option<HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a URL of a witness.
    #[error("{0:?} is not an http or https URL of a witness")]
    Url(String),
    /// The system's root certificates.
    #[error("the system's root certificates cannot be read: {0}")]
    Roots(std::io::Error),
}

impl Client {
    /// Makes a client for these submission prefixes.
    ///
    /// An https witness must show a certificate that leads to a root of the system (or of the file
    /// that `SSL_CERT_FILE` names). Its cosignatures do not depend on that: they are verified with
    /// its key.
    pub fn new<'u>(
        submission_prefixes: impl IntoIterator<Item = &'u str>,
    ) -> Result<Self, ClientError> {
        let mut needs_tls = false;
        for url in submission_prefixes {
            needs_tls |= add_checkpoint_url(url)?.scheme_str() == Some("https");
        }
        let mut builder = HttpClient::builder(TokioExecutor::new());
        builder
            .pool_idle_timeout(KEEP_IDLE)
            .pool_timer(hyper_util::rt::TokioTimer::new());
        let tls = match needs_tls {
            true => {
                let tls = HttpsConnectorBuilder::new()
                    .with_native_roots()
                    .map_err(ClientError::Roots)?;
                Some(builder.build(tls.https_only().enable_http1().wrap_connector(connector())))
            }
            false => None,
        };
        Ok(Self {
            plain: builder.build(connector()),
            tls,
        })
    }

    /// POSTs the body of an `add-checkpoint`. Returns the status and the body (empty if it is not
    /// text). The caller bounds the time.
    pub async fn add_checkpoint(
        &self,
        submission_prefix: &str,
        body: String,
    ) -> Result<(u16, String), String> {
        let url = add_checkpoint_url(submission_prefix).map_err(|error| error.to_string())?;
        let is_https = url.scheme_str() == Some("https");
        let request = Request::post(url)
            .header(USER_AGENT, "treehead")
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let answer = match (is_https, &self.tls) {
            (false, _) => self.plain.request(request),
            (true, Some(tls)) => tls.request(request),
            (true, None) => return Err("not set up for https".to_owned()),
        };
        let answer = answer.await.map_err(|error| with_cause(&error))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        Ok((status, String::from_utf8(body.into()).unwrap_or_default()))
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    // The TLS connector passes https URLs to it.
    connector.enforce_http(false);
    connector
}

fn add_checkpoint_url(submission_prefix: &str) -> Result<Uri, ClientError> {
    let wrong = || ClientError::Url(submission_prefix.to_owned());
    let url: Uri = format!("{}/add-checkpoint", submission_prefix.trim_end_matches('/'))
        .parse()
        .map_err(|_| wrong())?;
    match (url.scheme_str(), url.authority(), url.query()) {
        (Some("http" | "https"), Some(_), None) => Ok(url),
        _ => Err(wrong()),
    }
}

/// Returns the error with its cause, because the client's own text says only that it failed.
fn with_cause(error: &hyper_util::client::legacy::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_prefix_is_a_url_without_query() {
        let url = add_checkpoint_url("https://witness.example/w1/").map(|url| url.to_string());
        assert_eq!(
            url.ok().as_deref(),
            Some("https://witness.example/w1/add-checkpoint")
        );
        for wrong in [
            "witness.example",
            "/w1",
            "ftp://witness.example",
            "http://a b",
            "https://w.example?x=",
            "",
        ] {
            assert!(add_checkpoint_url(wrong).is_err(), "{wrong}");
        }
    }
}
