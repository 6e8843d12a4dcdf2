//! The server on sockets: connections, time-outs, the stop, the metrics.

use std::net::SocketAddr;
use std::time::Duration;

use ledger::{Ledger, Log, V1, V2};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

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
    pub(crate) done: JoinHandle<Result<(), host::ServeError>>,
    pub(crate) folder: TempDir,
}

pub(crate) async fn serve(change: impl FnOnce(&mut server::Settings)) -> Served {
    let (ledger, mut settings, folder) = open_log().await;
    change(&mut settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let metrics_listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, metrics) = (
        listener.local_addr().expect("bound"),
        metrics_listener.local_addr().expect("bound"),
    );
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move { drop(stopped.await) };
    let done = tokio::spawn(server::serve(
        listener,
        metrics_listener,
        ledger.clone(),
        settings,
        shutdown,
    ));
    Served {
        address,
        metrics,
        ledger,
        stop,
        done,
        folder,
    }
}

impl Served {
    /// The v2 log.
    pub(crate) fn v2(&self) -> &Log {
        self.ledger.log(&V2).expect("a v2 log")
    }

    /// Waits until the server works on a request, which its metrics say.
    async fn is_working(&self) {
        let working = async {
            while !exchange(self.metrics, GET_METRICS)
                .await
                .contains("requests_in_flight 1")
            {
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
    timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .expect("in time")
        .expect("closed in order");
    String::from_utf8(answer).expect("UTF-8")
}

/// A connection of HTTP/1.1 that is idle after an answer.
async fn keep_alive(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address).await;
    stream
        .write_all(
            GET_LOG
                .replace("/api/v1/log", "/ping")
                .replace("close", "keep-alive")
                .as_bytes(),
        )
        .await
        .expect("open");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n.") {
        answer.push(stream.read_u8().await.expect("an answer"));
    }
    stream
}

/// A connection of HTTP/2 whose client does not say a word after its preface and empty settings.
async fn silent_http2(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address).await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream
        .write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat())
        .await
        .expect("open");
    // The acknowledgement comes last.
    let mut answer = Vec::new();
    while !answer.ends_with(&[0, 0, 0, 4, 1, 0, 0, 0, 0]) {
        answer.push(stream.read_u8().await.expect("settings"));
    }
    stream
}

/// The type of the frame that ends an HTTP/2 connection.
const GOAWAY: u8 = 7;

/// The types of the HTTP/2 frames in these bytes.
fn frame_types(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        types.push(*kind);
        bytes = &rest[u32::from_be_bytes([0, *a, *b, *c]) as usize..];
    }
    types
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
    assert!(
        exchange(served.address, &post(&Signer::new().proposal(b"x")))
            .await
            .starts_with("HTTP/1.1 201 ")
    );
    assert!(
        exchange(served.address, GET_LOG)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    let text = exchange(served.metrics, GET_METRICS).await;
    assert!(
        text.contains("content-type: text/plain; version=0.0.4"),
        "{text}"
    );
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
    assert!(
        !cfg!(target_os = "linux") || text.contains("process_resident_memory_bytes "),
        "{text}"
    );
    assert!(
        exchange(served.metrics, GET_LOG)
            .await
            .starts_with("HTTP/1.1 404 ")
    );
}

#[tokio::test]
async fn what_alerts_look_at_is_there_before_the_first_failure() {
    let served = serve(|settings| settings.limits.connections = 7).await;
    let text = exchange(served.metrics, GET_METRICS).await;
    for line in [
        r#"treehead_http_refused_total{reason="body-budget"} 0"#,
        r#"treehead_http_requests_total{access="read",code="503",operation="readyz"} 0"#,
        r#"treehead_http_requests_total{access="write",code="500",operation="createEntry"} 0"#,
        r#"treehead_append_errors_total{log="v1",reason="clock"} 0"#,
        r#"treehead_append_errors_total{log="v2",reason="clock"} 0"#,
        r#"treehead_attestations_unavailable_total{log="v1",reason="missing"} 0"#,
        "treehead_http_connections_limit 7",
        r#"treehead_queue_entries_limit{log="v2"} 4096"#,
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
        let head = format!(
            "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("it reads");
        stream
            .write_all(&[b"Content-Type: application/grpc\r\n\r\n", body].concat())
            .await
            .expect("it reads");
        let mut answer = Vec::new();
        timeout(SOON, stream.read_to_end(&mut answer))
            .await
            .expect("in time")
            .expect("closed in order");
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
    assert!(
        TcpStream::connect(served.address).await.is_err(),
        "no more connections"
    );
    stream
        .write_all(end.as_bytes())
        .await
        .expect("it still reads");
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 201 "));
    timeout(SOON, served.done)
        .await
        .expect("it stops")
        .expect("no panic")
        .expect("all was answered");
    let v1 = served.ledger.log(&V1).expect("a v1 log");
    assert_eq!(v1.head().size.0, 1);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let served = serve(|settings| settings.limits.stop_grace = Duration::from_millis(50)).await;
    let mut stream = connect(served.address).await;
    stream
        .write_all(post_head(20).as_bytes())
        .await
        .expect("it reads");
    served.is_working().await;
    served.stop.send(()).expect("it runs");
    let outcome = timeout(SOON, served.done)
        .await
        .expect("it stops")
        .expect("no panic");
    assert!(
        matches!(outcome, Err(host::ServeError::Unfinished(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn the_longest_idle_connection_goes_for_the_next_one() {
    let served = serve(|settings| settings.limits.connections = 2).await;
    let mut idle = vec![
        keep_alive(served.address).await,
        silent_http2(served.address).await,
    ];
    for _ in 0..3 {
        idle.push(keep_alive(served.address).await);
        let closed = idle.remove(0).read_to_end(&mut Vec::new()).await;
        closed.expect("in order");
    }
    let text = exchange(served.metrics, GET_METRICS).await;
    for line in [
        "treehead_http_connections 2",
        "treehead_http_connections_limit 2",
        r#"treehead_http_connections_closed_total{reason="for-newcomer"} 3"#,
        r#"treehead_http_connections_closed_total{reason="age"} 0"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn an_address_over_its_limit_gives_up_its_idle_connections_and_then_gets_503() {
    let served = serve(|settings| settings.limits.connections_per_address = 1).await;
    let mut first = keep_alive(served.address).await;
    let mut at_work = connect(served.address).await;
    at_work
        .write_all(post_head(20).as_bytes())
        .await
        .expect("it reads");
    assert_eq!(read_to_end(&mut first).await, "");
    served.is_working().await;
    let mut refused = connect(served.address).await;
    let answer = read_to_end(&mut refused).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 1\r\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with("\r\n\r\n{\"code\":503,\"message\":\"too many connections\"}"),
        "{answer}"
    );
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.2:0".parse().expect("an address"))
        .expect("loopback has many");
    let mut elsewhere = socket.connect(served.address).await.expect("it listens");
    elsewhere
        .write_all(GET_LOG.as_bytes())
        .await
        .expect("it reads");
    assert!(
        read_to_end(&mut elsewhere)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    let text = exchange(served.metrics, GET_METRICS).await;
    for line in [
        r#"treehead_http_connections_closed_total{reason="for-same-address"} 1"#,
        r#"treehead_http_connections_closed_total{reason="address-full"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed() {
    let served = serve(|_| {}).await;
    let mut silent = silent_http2(served.address).await;
    tokio::time::pause();
    tokio::time::advance(host::limits::HTTP2_IDLE - Duration::from_secs(1)).await;
    let mut bytes = Vec::new();
    let reading = silent.read_to_end(&mut bytes);
    tokio::time::resume();
    timeout(SOON, reading)
        .await
        .expect("in time")
        .expect("closed in order");
    assert!(frame_types(&bytes).contains(&GOAWAY), "{bytes:?}");
    let text = exchange(served.metrics, GET_METRICS).await;
    assert!(
        text.contains(r#"treehead_http_connections_closed_total{reason="idle"} 1"#),
        "{text}"
    );
}

#[tokio::test]
async fn a_stop_closes_connections_without_work_at_once() {
    let served = serve(|_| {}).await;
    let mut idle = keep_alive(served.address).await;
    let mut silent = silent_http2(served.address).await;
    let mut in_its_headers = connect(served.address).await;
    in_its_headers
        .write_all(b"GET / HT")
        .await
        .expect("it reads");
    let started = Instant::now();
    served.stop.send(()).expect("it runs");
    assert_eq!(read_to_end(&mut idle).await, "");
    let mut bytes = Vec::new();
    silent
        .read_to_end(&mut bytes)
        .await
        .expect("closed in order");
    assert!(frame_types(&bytes).contains(&GOAWAY), "{bytes:?}");
    timeout(SOON, served.done)
        .await
        .expect("it stops")
        .expect("no panic")
        .expect("nothing was unanswered");
    // Far below the idle limits and the grace, and far above what it takes.
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_stop_waits_for_an_answer_that_is_read_slowly() {
    const LENGTH: usize = 16 * 1024 * 1024;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let metrics_listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = axum::Router::new().fallback(async || vec![b'x'; LENGTH]);
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        let role = host::Role {
            router,
            beside_metrics: axum::Router::new(),
            probe_paths: &[],
            metrics: prometheus::Registry::new(),
            refused: host::refused_requests(&[]).expect("a valid name"),
            limits: host::Limits::default(),
        };
        let shutdown = async { drop(stopped.await) };
        host::serve(listener, metrics_listener, role, shutdown, async {}).await
    });
    let mut stream = connect(address).await;
    stream
        .write_all(GET_LOG.as_bytes())
        .await
        .expect("it reads");
    let mut start = [0; 16];
    stream.read_exact(&mut start).await.expect("an answer");
    stop.send(()).expect("it runs");
    // Longer than connections without work get.
    tokio::time::sleep(2 * host::limits::FAREWELL).await;
    let rest = read_to_end(&mut stream).await;
    assert!(rest.len() > LENGTH, "{} bytes", rest.len());
    timeout(SOON, served)
        .await
        .expect("it stops")
        .expect("no panic")
        .expect("all was answered");
}

#[tokio::test]
async fn probes_are_answered_while_all_places_for_requests_are_taken() {
    // One place for requests, which the slow one has.
    let served = serve(|settings| settings.limits.connections = 2).await;
    let mut slow = connect(served.address).await;
    slow.write_all(post_head(20).as_bytes())
        .await
        .expect("it reads");
    served.is_working().await;
    let mut waits = connect(served.address).await;
    waits.write_all(GET_LOG.as_bytes()).await.expect("buffered");
    for probe in ["/healthz", "/readyz"] {
        let probe = GET_LOG.replace("/api/v1/log", probe);
        let answer = exchange(served.address, &probe).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.contains("SERVING"),
            "{answer}"
        );
        assert!(
            exchange(served.metrics, &probe)
                .await
                .starts_with("HTTP/1.1 200 ")
        );
    }
    // It was the longest without work.
    let closed = timeout(SOON, waits.read_to_end(&mut Vec::new()))
        .await
        .expect("in time");
    assert!(closed.map_or(true, |read| read == 0));
}

#[tokio::test]
async fn idle_connections_do_not_keep_scrapers_out() {
    let served = serve(|_| {}).await;
    let mut idle = Vec::new();
    for _ in 0..2 * host::limits::METRICS_CONNECTIONS {
        idle.push(connect(served.metrics).await);
    }
    assert!(
        exchange(served.metrics, GET_METRICS)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

#[tokio::test]
async fn heads_that_two_servers_may_read_differently_are_refused() {
    let served = serve(|_| {}).await;
    let get =
        |headers: &str| format!("GET /api/v1/log HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    for (headers, status, message) in [
        ("", 400, "missing required Host header"),
        ("Host: a\r\nHost: b\r\n", 400, "more than one Host header"),
        ("Host: a b\r\n", 400, "malformed Host header"),
        (
            "Host: a\r\nExpect: 200-ok\r\n",
            417,
            "the only expectation that can be met is 100-continue",
        ),
    ] {
        let answer = exchange(served.address, &get(headers)).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(
            answer.ends_with(&format!(
                "\r\n\r\n{{\"code\":{status},\"message\":\"{message}\"}}"
            )),
            "{answer}"
        );
    }
    assert!(
        exchange(served.address, "GET /api/v1/log HTTP/1.0\r\n\r\n")
            .await
            .starts_with("HTTP/1.0 200 ")
    );
    let text = exchange(served.metrics, GET_METRICS).await;
    assert!(
        text.contains(r#"treehead_http_refused_total{reason="host"} 3"#),
        "{text}"
    );
}

#[tokio::test]
async fn every_answer_forbids_guessing_its_type() {
    let served = serve(|_| {}).await;
    let nosniff = "\r\nx-content-type-options: nosniff\r\n";
    for target in ["/api/v1/log", "/checkpoint", "/", "/nope", "/healthz"] {
        let answer = exchange(served.address, &GET_LOG.replace("/api/v1/log", target)).await;
        assert!(answer.contains(nosniff), "{target}: {answer}");
    }
    assert!(
        exchange(served.metrics, GET_METRICS)
            .await
            .contains(nosniff)
    );
}

#[tokio::test]
async fn headers_are_bounded() {
    let served = serve(|_| {}).await;
    let long = format!(
        "GET /ping HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "y".repeat(3 * host::limits::MAX_HEADER_BYTES)
    );
    let answer = exchange(served.address, &long).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = format!(
        "GET /ping HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X: y\r\n".repeat(host::limits::MAX_HEADERS)
    );
    assert!(
        exchange(served.address, &many)
            .await
            .starts_with("HTTP/1.1 431 ")
    );
}

#[tokio::test]
async fn a_client_that_writes_before_it_reads_sees_why_it_is_refused() {
    let served = serve(|settings| settings.limits.body_bytes = 100_000).await;
    let answer = exchange(served.address, &post(&" ".repeat(150_000))).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("Limit set to 100000"),
        "{answer}"
    );
    let waits = post_head(150_000).replace("Host: x", "Host: x\r\nExpect: 100-continue");
    let answer = exchange(served.address, &waits).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

/// As proxies do that pass `Expect` on.
#[tokio::test]
async fn a_body_that_follows_an_unmet_expectation_does_not_destroy_the_refusal() {
    let served = serve(|settings| settings.limits.body_bytes = 100_000).await;
    let length = 4_000_000;
    for round in 0..20 {
        let mut stream = connect(served.address).await;
        let head = post_head(length).replace("Host: x", "Host: x\r\nExpect: 100-continue");
        stream.write_all(head.as_bytes()).await.expect("a head");
        stream
            .write_all(&vec![b' '; length])
            .await
            .unwrap_or_else(|error| panic!("round {round}, the body: {error}"));
        let mut answer = String::new();
        let read = timeout(SOON, stream.read_to_string(&mut answer))
            .await
            .expect("it is closed");
        read.unwrap_or_else(|error| panic!("round {round}, the answer: {error}"));
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
}
