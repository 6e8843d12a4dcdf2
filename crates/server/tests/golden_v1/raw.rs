//! Requests as they stand on the wire, against the statuses that Rekor v1.6.1 gave them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::golden::{self, Differences};
use crate::proposal::Signer;
use crate::support::{OF_BOTH, open_log_by};
use crate::{RecordedTime, lists};

/// Longest wait for an answer; a few requests are never whole, and get none.
const SOON: Duration = Duration::from_secs(2);
/// Entries of the log, so that there is something to read.
const ENTRIES: usize = 3;
/// HTTP/2, which Rekor does not speak without TLS.
const PASSED_OVER: &str = "h2c prior";

#[tokio::test]
async fn statuses_of_raw_requests_match_the_newest_recordings() {
    let Some(folder) = golden::path("newest/new/http") else {
        return;
    };
    let text = fs::read_to_string(folder.join("raw.json")).expect("readable");
    let cases: BTreeMap<String, Value> = serde_json::from_str(&text).expect("JSON");
    let differences = Differences::read();
    let (address, _folder) = serve().await;
    let signer = Signer::new();
    for number in 0..ENTRIES {
        let body = signer.proposal(&number.to_be_bytes());
        let head = "POST /api/v1/log/entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n";
        let answer = exchange(
            address,
            &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
        )
        .await;
        assert_eq!(status(&answer), 201, "{answer}");
    }
    let mut failures = Vec::new();
    let mut replayed = BTreeSet::new();
    for (name, case) in &cases {
        let request = case["request"].as_str().expect("a request");
        // Of very long ones only the beginning was kept.
        if name == PASSED_OVER || !request.contains("\r\n\r\n") {
            continue;
        }
        let id = format!("http/{name}");
        let answer = exchange(address, request).await;
        let expected = status(case["new"][0].as_str().expect("a status line"));
        let found = lists::difference(expected, status(&answer), &[]);
        if found.as_deref() != differences.of(&id) {
            failures.push(format!(
                "{id}: {found:?}, in docs/API.md {:?}\n  {answer:.300}",
                differences.of(&id)
            ));
        }
        replayed.insert(id);
    }
    failures.extend(differences.unused(&["http/"], &replayed));
    println!("{} raw requests replayed", replayed.len());
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// A log on a port. It runs until the test ends.
async fn serve() -> (SocketAddr, TempDir) {
    let (ledger, mut settings, folder) = open_log_by(Arc::new(RecordedTime), OF_BOTH).await;
    settings.public = true;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let metrics_listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(server::serve(
        listener,
        metrics_listener,
        ledger,
        settings,
        std::future::pending(),
    ));
    (address, folder)
}

/// Sends a request on a new connection and reads until the server closes it, or says no more.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut answer = Vec::new();
    // What was refused early may be reset after its answer.
    drop(timeout(SOON, stream.read_to_end(&mut answer)).await);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status in the first line; 0 where there is none.
fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}
