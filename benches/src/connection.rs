//! One keep-alive HTTP/1.1 connection, as cheap as it gets: the request is one write, the answer
//! one or two reads.
//!
//! Absent, because no log needs it: pipelining, TLS, trailers with a meaning, interim answers.

use anyhow::{Context, Result, bail, ensure};
use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest answer taken: a batch of 1,000 entries of 4 KiB, and as much again.
const MAX_ANSWER: usize = 8 << 20;
/// Space to read into at first. A tile or an entry with its proof comes in one read.
const BUFFER: usize = 16 << 10;
/// Header lines of an answer at most; Rekor sends a dozen.
const MAX_HEADERS: usize = 48;

/// The address to connect to.
#[derive(Clone)]
pub(crate) struct Target {
    address: String,
    /// The value of `Host`.
    pub(crate) host: String,
}

impl Target {
    /// Takes `http://host[:port]`.
    pub(crate) fn new(url: &Uri) -> Result<Self> {
        ensure!(
            url.scheme_str() == Some("http"),
            "{url}: only http:// is spoken here"
        );
        let Some(authority) = url.authority() else {
            bail!("{url} has no host")
        };
        ensure!(url.path() == "/", "{url}: give the log without a path");
        let address = format!(
            "{}:{}",
            authority.host(),
            authority.port_u16().unwrap_or(80)
        );
        Ok(Self {
            address,
            host: authority.as_str().to_owned(),
        })
    }

    /// A whole GET request.
    pub(crate) fn get(&self, path: &str, accept: &str) -> Vec<u8> {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: {accept}\r\n\r\n",
            self.host
        )
        .into()
    }

    /// A whole POST request with a JSON body.
    pub(crate) fn post(&self, path: &str, body: &str) -> Vec<u8> {
        let (host, length) = (&self.host, body.len());
        let head = "Accept: application/json\r\nContent-Type: application/json";
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}").into()
    }
}

/// An open connection with nothing in flight.
pub(crate) struct Connection {
    target: Target,
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    /// The body of the last answer that came in chunks.
    unchunked: Vec<u8>,
    /// The server said that it closes, or what it sent cannot be trusted to have ended.
    is_used_up: bool,
}

/// One answer, until the next request.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

/// The head of an answer: where its body begins, and how it ends.
struct Head {
    length: usize,
    status: u16,
    body: Framing,
    closes: bool,
}

enum Framing {
    Length(usize),
    Chunked,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        let stream = connect(target).await?;
        let (buffer, unchunked) = (vec![0; BUFFER], Vec::new());
        Ok(Self {
            target: target.clone(),
            stream,
            buffer,
            filled: 0,
            unchunked,
            is_used_up: false,
        })
    }

    /// Sends one whole request and reads the whole answer. Connects anew first if the last exchange
    /// left no other way.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        if self.is_used_up {
            self.stream = connect(&self.target).await?;
        }
        // Until the answer has ended: whoever gives up in between must not read its rest as the
        // next one.
        self.is_used_up = true;
        self.stream.write_all(request).await?;
        self.filled = 0;
        let head = loop {
            self.read().await?;
            if let Some(head) = Head::parse(&self.buffer[..self.filled])? {
                break head;
            }
        };
        let body = match head.body {
            Framing::Length(length) => {
                let end = head.length + length;
                ensure!(end <= MAX_ANSWER, "an answer of {end} bytes");
                while self.filled < end {
                    self.read().await?;
                }
                ensure!(self.filled == end, "bytes after the answer");
                &self.buffer[head.length..end]
            }
            Framing::Chunked => {
                self.read_chunks(head.length).await?;
                self.unchunked.as_slice()
            }
        };
        self.is_used_up = head.closes;
        Ok(Answer {
            status: head.status,
            body,
        })
    }

    /// Reads the chunks that begin at `position` (RFC 9112 section 7.1), and trailers, which are
    /// dropped.
    async fn read_chunks(&mut self, mut position: usize) -> Result<()> {
        self.unchunked.clear();
        loop {
            let (start, size) = loop {
                match httparse::parse_chunk_size(&self.buffer[position..self.filled]) {
                    Ok(httparse::Status::Complete((length, size))) => {
                        break (position + length, size as usize);
                    }
                    Ok(httparse::Status::Partial) => self.read().await?,
                    Err(_) => bail!("not the length of a chunk"),
                }
            };
            if size == 0 {
                return self.read_trailers(start).await;
            }
            ensure!(size <= MAX_ANSWER, "a chunk of {size} bytes");
            let end = start + size;
            while self.filled < end + 2 {
                self.read().await?;
            }
            ensure!(
                &self.buffer[end..end + 2] == b"\r\n",
                "a chunk that is longer than it says"
            );
            self.unchunked.extend_from_slice(&self.buffer[start..end]);
            position = end + 2;
        }
    }

    async fn read_trailers(&mut self, start: usize) -> Result<()> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        loop {
            match httparse::parse_headers(&self.buffer[start..self.filled], &mut headers)? {
                httparse::Status::Complete((length, _)) => {
                    ensure!(start + length == self.filled, "bytes after the answer");
                    return Ok(());
                }
                httparse::Status::Partial => {}
            }
            headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<()> {
        if self.filled == self.buffer.len() {
            ensure!(self.filled < 2 * MAX_ANSWER, "an answer without an end");
            self.buffer.resize(2 * self.filled, 0);
        }
        let count = self.stream.read(&mut self.buffer[self.filled..]).await?;
        ensure!(count > 0, "the server closed the connection");
        self.filled += count;
        Ok(())
    }
}

async fn connect(target: &Target) -> Result<TcpStream> {
    let stream = TcpStream::connect(&target.address)
        .await
        .with_context(|| target.address.clone())?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Head {
    /// `None`: more of it has to come.
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) =
            answer.parse(bytes).context("not an answer of HTTP/1")?
        else {
            return Ok(None);
        };
        let status = answer.code.context("no status")?;
        let mut body = matches!(status, 204 | 304).then_some(Framing::Length(0));
        let mut closes = false;
        for header in answer.headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                let length = std::str::from_utf8(header.value)?
                    .parse()
                    .context("content-length")?;
                body = Some(Framing::Length(length));
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                ensure!(
                    header.value.eq_ignore_ascii_case(b"chunked"),
                    "an encoding other than chunked"
                );
                body = Some(Framing::Chunked);
            } else if header.name.eq_ignore_ascii_case("connection") {
                closes = header.value.eq_ignore_ascii_case(b"close");
            }
        }
        let body = body.context("an answer that does not say how long it is")?;
        Ok(Some(Self {
            length,
            status,
            body,
            closes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers each connection's requests with these texts, each in two halves, and
    /// then closes.
    async fn serve(answers: &'static [&'static str]) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                for answer in answers {
                    if stream.read(&mut request).await.unwrap() == 0 {
                        break;
                    }
                    let (first, second) = answer.as_bytes().split_at(answer.len() / 2);
                    stream.write_all(first).await.unwrap();
                    tokio::task::yield_now().await;
                    stream.write_all(second).await.unwrap();
                }
            }
        });
        Target::new(&url.parse().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn bodies_come_by_length_and_in_chunks() {
        let target = serve(&[
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst",
            "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nsec\r\n3\r\nond\r\n0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ])
        .await;
        let mut connection = Connection::open(&target).await.unwrap();
        // The second round is on a new connection, since the server said that it closes.
        for _ in 0..2 {
            for (status, body) in [(200, "first"), (201, "second"), (404, "")] {
                let answer = connection.exchange(&target.get("/", "*/*")).await.unwrap();
                assert_eq!((answer.status, answer.body), (status, body.as_bytes()));
            }
        }
    }

    #[tokio::test]
    async fn a_large_answer_grows_the_buffer() {
        let body: &'static str = "x".repeat(5 * BUFFER).leak();
        let answer: &'static str = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .leak();
        let target = serve(Box::leak(Box::new([answer]))).await;
        let mut connection = Connection::open(&target).await.unwrap();
        assert_eq!(
            connection
                .exchange(&target.get("/", "*/*"))
                .await
                .unwrap()
                .body,
            body.as_bytes()
        );
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error_and_the_next_one_is_fresh() {
        for (answer, says) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabc",
                "bytes after",
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", "closed"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
                "content-length",
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", "how long"),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
                "longer",
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
                "chunk",
            ),
            ("hello, who is there?\r\n", "HTTP/1"),
        ] {
            let target = serve(Box::leak(Box::new([answer]))).await;
            let mut connection = Connection::open(&target).await.unwrap();
            for _ in 0..2 {
                let error = connection
                    .exchange(&target.get("/", "*/*"))
                    .await
                    .err()
                    .unwrap();
                assert!(format!("{error:#}").contains(says), "{answer}: {error:#}");
            }
        }
    }
}
