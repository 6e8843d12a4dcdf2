//! The server on sockets: connections, time-outs, the stop, the metrics.

use std::net::SocketAddr;
use std::time::Duration;

use ledger::Ledger;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::proposal::Signer;
use crate::support::open_log;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(60);

const GET_LOG: &str = "GET /api/v1/log HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const GET_METRICS: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    metrics: SocketAddr,
    pub(crate) ledger: Ledger,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) done: JoinHandle<Result<(), server::ServeError>>,
    pub(crate) folder: TempDir,
}

pub(crate) async fn serve(change: impl FnOnce(&mut server::Settings)) -> Served {
    let (ledger, mut settings, folder) = open_log().await;
    change(&mut settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let metrics_listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, metrics) = (listener.local_addr().expect("bound"), metrics_listener.local_addr().expect("bound"));
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move { drop(stopped.await) };
    let done = tokio::spawn(server::serve(listener, metrics_listener, ledger.clone(), settings, shutdown));
    Served { address, metrics, ledger, stop, done, folder }
}

impl Served {
    /// Waits until the server works on a request, which its metrics say.
    async fn is_working(&self) {
        let working = async {
            while !exchange(self.metrics, GET_METRICS).await.contains("requests_in_flight 1") {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, working).await.expect("it begins");
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("it listens")
}

/// Sends text on a new connection and reads until the server closes it.
async fn exchange(address: SocketAddr, text: &str) -> String {
    let mut stream = connect(address).await;
    stream.write_all(text.as_bytes()).await.expect("it reads");
    read_to_end(&mut stream).await
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer)).await.expect("in time").expect("closed in order");
    String::from_utf8(answer).expect("UTF-8")
}

fn post(body: &str) -> String {
    format!("{}{body}", post_head(body.len()))
}

fn post_head(length: usize) -> String {
    format!(
        "POST /api/v1/log/entries HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let served = serve(|_| {}).await;
    assert!(exchange(served.address, &post(&Signer::new().proposal(b"x"))).await.starts_with("HTTP/1.1 201 "));
    assert!(exchange(served.address, GET_LOG).await.starts_with("HTTP/1.1 200 "));
    let text = exchange(served.metrics, GET_METRICS).await;
    assert!(text.contains("content-type: text/plain; version=0.0.4"), "{text}");
    for line in [
        "rekor_new_entries 1",
        r#"rekor_qps_by_api{code="200",method="GET",path="/api/v1/log"} 1"#,
        r#"rekor_qps_by_api{code="201",method="POST",path="/api/v1/log/entries"} 1"#,
        r#"rekor_latency_by_api_count{method="POST",path="/api/v1/log/entries"} 1"#,
        r#"rekor_build_info{build_date="unknown",goversion="rustc",revision="unknown",version="0.0.0"} 1"#,
        "treehead_http_requests_in_flight 0",
        "treehead_http_body_bytes_in_flight 0",
        "treehead_http_answer_bytes_in_flight 0",
        r#"treehead_http_request_duration_seconds_count{method="GET",route="/api/v1/log"} 1"#,
        "treehead_verification_duration_seconds_count 1",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(!cfg!(target_os = "linux") || text.contains("process_resident_memory_bytes "), "{text}");
    assert!(exchange(served.metrics, GET_LOG).await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn what_alerts_look_at_is_there_before_the_first_failure() {
    let served = serve(|settings| settings.limits.connections = 7).await;
    let text = exchange(served.metrics, GET_METRICS).await;
    for line in [
        r#"treehead_http_refused_total{reason="body-budget"} 0"#,
        r#"treehead_http_requests_total{access="read",code="503",operation="readyz"} 0"#,
        r#"treehead_http_requests_total{access="write",code="500",operation="createEntry"} 0"#,
        r#"treehead_append_errors_total{reason="clock"} 0"#,
        r#"treehead_attestations_unavailable_total{reason="missing"} 0"#,
        "treehead_http_connections_limit 7",
        "treehead_queue_entries_limit 4096",
        "treehead_ready 1",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn every_answer_is_counted_by_its_operation_and_status() {
    let served = serve(|settings| settings.read_only = true).await;
    let ask = async |head: &str, body: &[u8]| {
        let mut stream = connect(served.address).await;
        let head = format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        stream.write_all(head.as_bytes()).await.expect("it reads");
        stream.write_all(&[b"Content-Type: application/grpc\r\n\r\n", body].concat()).await.expect("it reads");
        let mut answer = Vec::new();
        timeout(SOON, stream.read_to_end(&mut answer)).await.expect("in time").expect("closed in order");
    };
    ask(&format!("POST {}", crate::grpc::CREATE_ENTRY), &[0; 5]).await;
    ask("POST /grpc.health.v1.Health/Check", &[0; 5]).await;
    for target in ["/checkpoint", "/tile/0/000.p/1", "/trust/log.pub", "/nope"] {
        exchange(served.address, &GET_LOG.replace("/api/v1/log", target)).await;
    }
    let text = exchange(served.metrics, GET_METRICS).await;
    for (operation, access, code) in [
        ("createEntry", "write", 405),
        ("grpcHealth", "read", 200),
        ("getCheckpoint", "read", 200),
        ("getTile", "read", 404),
        ("getLogPublicKeys", "read", 200),
        ("unmatched", "none", 404),
    ] {
        let line = format!(
            "treehead_http_requests_total{{access=\"{access}\",code=\"{code}\",operation=\"{operation}\"}} 1\n"
        );
        assert!(text.contains(&line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn a_stop_finishes_what_was_accepted() {
    let served = serve(|_| {}).await;
    let request = post(&Signer::new().proposal(b"x"));
    let (begin, end) = request.split_at(request.len() - 10);
    // An idle connection must not delay the stop.
    let mut idle = connect(served.address).await;
    let mut stream = connect(served.address).await;
    stream.write_all(begin.as_bytes()).await.expect("it reads");
    served.is_working().await;
    served.stop.send(()).expect("it runs");
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(TcpStream::connect(served.address).await.is_err(), "no more connections");
    stream.write_all(end.as_bytes()).await.expect("it still reads");
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 201 "));
    timeout(SOON, served.done).await.expect("it stops").expect("no panic").expect("all was answered");
    assert_eq!(served.ledger.head().size.0, 1);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let served = serve(|settings| settings.limits.stop_grace = Duration::from_millis(50)).await;
    let mut stream = connect(served.address).await;
    stream.write_all(post_head(20).as_bytes()).await.expect("it reads");
    served.is_working().await;
    served.stop.send(()).expect("it runs");
    let outcome = timeout(SOON, served.done).await.expect("it stops").expect("no panic");
    assert!(matches!(outcome, Err(server::ServeError::Unfinished(_))), "{outcome:?}");
}

#[tokio::test]
async fn connections_are_bounded_and_the_next_one_waits() {
    let served = serve(|settings| settings.limits.connections = 1).await;
    let mut first = connect(served.address).await;
    first.write_all(GET_LOG.replace("close", "keep-alive").as_bytes()).await.expect("it reads");
    let mut answer = [0; 16];
    first.read_exact(&mut answer).await.expect("an answer");
    let mut second = connect(served.address).await;
    second.write_all(GET_LOG.as_bytes()).await.expect("buffered");
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(100), second.read(&mut byte)).await.is_err(), "no place");
    drop(first);
    assert!(read_to_end(&mut second).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn headers_are_bounded() {
    let served = serve(|_| {}).await;
    let long =
        format!("GET /ping HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(3 * server::limits::MAX_HEADER_BYTES));
    let answer = exchange(served.address, &long).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = format!("GET /ping HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(server::limits::MAX_HEADERS));
    assert!(exchange(served.address, &many).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_client_that_writes_before_it_reads_sees_why_it_is_refused() {
    let served = serve(|settings| settings.limits.body_bytes = 100_000).await;
    let answer = exchange(served.address, &post(&" ".repeat(150_000))).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("Limit set to 100000"), "{answer}");
    let waits = post_head(150_000).replace("Host: x", "Host: x\r\nExpect: 100-continue");
    let answer = exchange(served.address, &waits).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}
