//! A receiver of webhooks that checks each signature by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The reply to one request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Status(u16),
    Never,
}

/// A receiver with its requests.
pub(super) struct Receiver {
    pub(super) url: String,
    got: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Receiver {
    /// ID and mark of each request so far.
    pub(super) fn got(&self) -> Vec<(String, bool)> {
        self.got.lock().unwrap().clone()
    }

    pub(super) async fn wait_for(&self, requests: usize) {
        while self.got().len() < requests {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Starts a receiver with a reply for each request.
pub(super) async fn receiver(replies: Vec<Reply>) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let got = Arc::new(Mutex::new(Vec::new()));
    let receiver = Receiver {
        url,
        got: Arc::clone(&got),
    };
    tokio::spawn(async move {
        for reply in replies {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read(&mut stream).await;
            got.lock().unwrap().push(request);
            match reply {
                Reply::Status(status) => {
                    let answer = format!(
                        "HTTP/1.1 {status} x\r\nlocation: /elsewhere\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                Reply::Never => std::mem::forget(stream),
            }
        }
    });
    receiver
}

/// Reads a request, checks its signature, and returns ID and mark.
async fn read(stream: &mut TcpStream) -> (String, bool) {
    let mut reader = BufReader::new(stream);
    let mut headers = HashMap::new();
    let mut line = String::new();
    reader.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("POST /hook HTTP/1.1"), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).await.unwrap();
    let body = String::from_utf8(body).unwrap();

    let secret = STANDARD
        .decode(SECRET.trim_start_matches("whsec_"))
        .unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let id = headers["webhook-id"].clone();
    let signed = format!("{id}.{}.{body}", headers["webhook-timestamp"]);
    let signature = headers["webhook-signature"].strip_prefix("v1,").unwrap();
    let signature = STANDARD.decode(signature).unwrap();
    hmac::verify(&key, signed.as_bytes(), &signature).unwrap();

    let notice: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(notice["id"], id.as_str());
    assert_eq!(notice["timestamp"], "2026-11-22T21:51:19Z");
    (id, notice["repeated"].as_bool().unwrap())
}
