//! Heavy entries: in bounded memory, and nobody waits for them.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use http::Request;
use serde_json::json;

use crate::proposal::Signer;
use crate::support::{Answer, TestLog, open_log};

const ENTRIES: &str = "/api/v1/log/entries";
const MIB: u64 = 1024 * 1024;
/// Sent at once.
const PACKAGES: u64 = 16;
/// Of one package, 8 MiB in base64: all of them, decoded, would take 224 MiB.
const PACKAGE_BYTES: u64 = 6 * MIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_packages_at_once_take_little_memory_and_delay_nobody() {
    let mut opened = open_log().await;
    opened.1.limits.body_bytes = 9 * MIB;
    opened.1.limits.body_bytes_in_flight = 36 * MIB;
    let log = Arc::new(TestLog::of(opened));
    let artifact = vec![7; usize::try_from(PACKAGE_BYTES).expect("small")];
    let text = Bytes::from(STANDARD.encode(&artifact));
    let signers: Vec<Signer> = (0..PACKAGES).map(|_| Signer::new()).collect();
    let before = peak_memory();
    let answers = join_all(
        signers
            .iter()
            .map(|signer| package(&log, &text, rekord_around(signer, &artifact))),
    )
    .await;
    for answer in answers {
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    let grown = peak_memory() - before;
    // What may be in flight, and as much for the allocator and the tests that run beside this one.
    assert!(grown < 2 * 36 * MIB, "{grown} bytes more");
    assert_eq!(log.v1().head().size.0, 2 * PACKAGES);
}

/// A `rekord`, up to its artifact, and from there on; in between comes base64 of it.
fn rekord_around(signer: &Signer, artifact: &[u8]) -> [String; 2] {
    let signature = STANDARD.encode(signer.sign(artifact));
    let signature = json!({"format": "x509", "content": signature, "publicKey": {"content": signer.public_key()}});
    [
        r#"{"kind":"rekord","apiVersion":"0.0.1","spec":{"data":{"content":""#.to_owned(),
        format!(r#""}},"signature":{signature}}}}}"#),
    ]
}

/// Sends a package, and in the middle of its body, which waits meanwhile, an ordinary entry.
async fn package(log: &Arc<TestLog>, text: &Bytes, [before, after]: [String; 2]) -> Answer {
    let length = before.len() + text.len() + after.len();
    let (first, second) = (text.slice(..text.len() / 2), text.slice(text.len() / 2..));
    let beside = Arc::clone(log);
    let ordinary = async move {
        let answer = beside
            .post(ENTRIES, &Signer::new().proposal(b"ordinary"))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        Bytes::new()
    };
    let body = stream::iter([Bytes::from(before), first])
        .chain(stream::once(ordinary))
        .chain(stream::iter([second, Bytes::from(after)]))
        .map(Ok::<_, io::Error>);
    let request = Request::post(ENTRIES)
        .header("content-type", "application/json")
        .header("content-length", length)
        .body(Body::from_stream(body))
        .expect("a request");
    log.send(request).await
}

/// Most memory that this process has had, in bytes; 0 where the system does not say.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

#[tokio::test]
async fn small_packages_are_checked_as_well() {
    let log = TestLog::start().await;
    let [before, after] = rekord_around(&Signer::new(), b"x");
    let proposal = format!("{before}{}{after}", STANDARD.encode("x"));
    assert_eq!(log.post(ENTRIES, &proposal).await.status, 201);
    let retrieve = format!("{{\"entries\":[{proposal}]}}");
    let found = log.post("/api/v1/log/entries/retrieve", &retrieve).await;
    assert_eq!(
        found.json().as_array().map(Vec::len),
        Some(1),
        "{}",
        found.body
    );
    let forged = format!("{before}{}{after}", STANDARD.encode("y"));
    assert_eq!(log.post(ENTRIES, &forged).await.status, 400);
}
