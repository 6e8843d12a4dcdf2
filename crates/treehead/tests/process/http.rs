//! One request on one connection: small enough to see what a killed server leaves of it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer takes; a test that meets it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: String,
    head: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn get(server: SocketAddr, path: &str) -> Answer {
    try_get(server, path).unwrap()
}

/// Fails if the connection ends before the answer is whole.
pub(crate) fn try_get(server: SocketAddr, path: &str) -> io::Result<Answer> {
    request(server, "GET", path, "")
}

pub(crate) fn post(server: SocketAddr, path: &str, json: &str) -> Answer {
    try_post(server, path, json).unwrap()
}

/// Fails if the connection ends before the answer is whole.
pub(crate) fn try_post(server: SocketAddr, path: &str, json: &str) -> io::Result<Answer> {
    request(server, "POST", path, json)
}

fn request(server: SocketAddr, method: &str, path: &str, json: &str) -> io::Result<Answer> {
    let mut stream = connect(server)?;
    stream.write_all(head(method, path, json.len()).as_bytes())?;
    stream.write_all(json.as_bytes())?;
    answer(stream)
}

pub(crate) fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Request line and headers of a request with a body of that many bytes; none for 0.
pub(crate) fn head(method: &str, path: &str, length: usize) -> String {
    let body = match length {
        0 => String::new(),
        length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
    };
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{body}\r\n")
}

/// Reads the answer to its end.
pub(crate) fn answer(mut stream: TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is cut off");
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(cut)?;
    let answer = Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    };
    let length: usize = answer
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .ok_or_else(cut)?;
    if answer.body.len() < length {
        Err(cut())
    } else {
        Ok(answer)
    }
}
