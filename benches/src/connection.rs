//! One keep-alive HTTP/1.1 connection.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Largest answer taken. An entry with its proof has about 4 KiB.
const MAX_ANSWER: usize = 1 << 20;

/// Where to connect to.
pub(crate) struct Target {
    address: String,
    host: HeaderValue,
}

impl Target {
    /// Takes `http://host[:port]`.
    pub(crate) fn new(url: &Uri) -> Result<Self> {
        ensure!(url.scheme_str() == Some("http"), "{url}: only http:// is spoken here");
        let Some(authority) = url.authority() else { bail!("{url} has no host") };
        ensure!(url.path() == "/", "{url}: give the log without a path");
        Ok(Self {
            address: format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)),
            host: HeaderValue::from_str(authority.as_str())?,
        })
    }
}

/// An open connection with nothing in flight.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(&target.address).await.with_context(|| target.address.clone())?;
        stream.set_nodelay(true)?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what breaks it shows in the answer that does not come.
        tokio::spawn(driver);
        Ok(Self { sender, host: target.host.clone() })
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &'static str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes)> {
        self.sender.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host)
            .header(ACCEPT, "application/json;q=1, application/x-pem-file")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        match body {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) => bail!("answer cut short: {error}"),
        }
    }
}
