//! The HTTP client of webhooks. It follows no redirects.

use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ::http::{Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// Longest wait for a connection, TLS apart.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole answer: within the 15 to 30 s that the specification of Standard
/// Webhooks recommends.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// An idle connection stays open this long for the next notice.
const KEEP_IDLE: Duration = Duration::from_secs(60);
/// Bytes of an answer that are read, so that its connection can be used again.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The URL of a receiver: https, or http on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url(Uri);

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let malformed = || format!("{text:?} is no URL");
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') {
            return Err("a URL holds no password; requests are signed".to_owned());
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if is_this_machine(authority.host()) => Ok(Self(uri)),
            Some("http") => Err(format!(
                "{text}: http is only for this machine (localhost); others get https"
            )),
            _ => Err(malformed()),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a host is a loopback address or `localhost`.
pub(super) fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = address.parse().ok();
    host.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback())
}

/// A client for one receiver.
#[derive(Clone, Debug)]
pub(super) enum Client {
    Plain(HyperClient<HttpConnector, Full<Bytes>>),
    Tls(HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Client {
    /// Makes a client for this URL. A server at an https URL must show a certificate that leads to
    /// a root of the system, or of the file that `SSL_CERT_FILE` names.
    pub(super) fn new(url: &Url) -> Result<Self, String> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let mut builder = HyperClient::builder(TokioExecutor::new());
        builder
            .pool_idle_timeout(KEEP_IDLE)
            .pool_timer(TokioTimer::new());
        if url.0.scheme_str() != Some("https") {
            return Ok(Self::Plain(builder.build(connector)));
        }
        // The TLS connector passes https URLs to it.
        connector.enforce_http(false);
        let tls = HttpsConnectorBuilder::new().with_native_roots();
        let tls = tls.map_err(|error| format!("the system's root certificates: {error}"))?;
        let tls = tls.https_only().enable_http1().wrap_connector(connector);
        Ok(Self::Tls(builder.build(tls)))
    }

    /// Sends a request and returns the status of the answer.
    pub(super) async fn send(&self, request: Request<String>) -> Result<StatusCode, String> {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(request)).await;
        answer.unwrap_or_else(|_| {
            let seconds = ANSWER_TIMEOUT.as_secs();
            Err(format!("no answer within {seconds} s"))
        })
    }

    async fn exchange(&self, request: Request<String>) -> Result<StatusCode, String> {
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let answer = match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        };
        // The client's own text says only that it failed.
        let answer = answer.map_err(|error| match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        })?;
        let status = answer.status();
        // The status is the answer; a body that is cut or too long changes nothing.
        let _ = Limited::new(answer.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await;
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_https_or_of_this_machine() {
        for (url, is_allowed) in [
            ("https://example.com/hook?a=b", true),
            ("https://192.168.0.1/hook", true),
            ("http://localhost:8080/", true),
            ("http://127.0.0.1:8080/", true),
            ("http://[::1]:8080/", true),
            ("http://example.com/", false),
            ("http://192.168.0.1/", false),
            ("http://localhost.example.com/", false),
            ("https://user:password@example.com/", false),
            ("ftp://example.com/", false),
            ("/hook", false),
            ("", false),
        ] {
            assert_eq!(Url::parse(url).is_ok(), is_allowed, "{url}");
        }
    }
}
