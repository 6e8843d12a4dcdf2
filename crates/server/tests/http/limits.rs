//! What arrives is bounded.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use ledger::{EntryClaims, Ledger, NewEntry, V1};
use tower::ServiceExt as _;

use crate::proposal::Signer;
use crate::support::{TestLog, open_log};

const ENTRIES: &str = "/api/v1/log/entries";
const LARGEST_LEAF: usize = V1.max_leaf_bytes as usize;

#[tokio::test]
async fn bodies_over_the_limit_are_refused_with_the_limit() {
    let mut opened = open_log().await;
    opened.1.limits.body_bytes = 4096;
    let log = TestLog::of(opened);
    let refusal = r#"{"code":413,"message":"Request Entity Too Large. Limit set to 4096"}"#;
    for target in [
        ENTRIES,
        "/api/v1/log/entries/batch",
        "/api/v1/log/entries/retrieve",
        "/api/v1/index/retrieve",
    ] {
        let answer = log.post(target, &" ".repeat(4097)).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (413, refusal),
            "{target}"
        );
        let unknown_length = Request::post(target)
            .header("content-type", "application/json")
            .header("transfer-encoding", "chunked")
            .body(Body::from(" ".repeat(4097)))
            .expect("a request");
        assert_eq!(log.send(unknown_length).await.body, refusal);
    }
    assert_eq!(
        log.post(ENTRIES, &Signer::new().proposal(b"x"))
            .await
            .status,
        201,
        "smaller ones still get in"
    );
}

#[tokio::test]
async fn large_bodies_are_checked_as_well() {
    let log = TestLog::start().await;
    let proposal = Signer::new().proposal(b"x");
    let padded = format!(
        "{{\"padding\":\"{}\",{}",
        "x".repeat(200_000),
        &proposal[1..]
    );
    assert_eq!(
        log.post(ENTRIES, &padded).await.status,
        201,
        "unknown members are ignored"
    );
    assert_eq!(
        log.post(ENTRIES, &proposal).await.status,
        409,
        "it is the same entry"
    );
    let broken = format!("{}{{", " ".repeat(200_000));
    assert_eq!(log.post(ENTRIES, &broken).await.status, 400);
}

#[tokio::test]
async fn a_large_body_waits_its_turn_on_either_api() {
    let mut opened = open_log().await;
    opened.1.limits.body_bytes = 100_000;
    // Room for one body of unknown length.
    opened.1.limits.body_bytes_in_flight = 0;
    let log = TestLog::of(opened);
    tokio::time::pause();
    let chunked = |target: &str, body| {
        let request = Request::post(target).header("content-type", "application/json");
        log.send(
            request
                .header("transfer-encoding", "chunked")
                .body(body)
                .expect("a request"),
        )
    };
    // A byte now and then holds the room as long as a body may take.
    let drops = || {
        futures_util::stream::unfold((), async |()| {
            tokio::time::sleep(host::limits::BODY_PAUSE / 2).await;
            Some((Ok::<_, std::io::Error>(" "), ()))
        })
    };
    for target in [ENTRIES, "/api/v2/log/entries"] {
        let slow = || chunked(ENTRIES, Body::from_stream(drops()));
        let waits = chunked(target, Body::from("{".repeat(70_000)));
        let (first, second, third, answer) = tokio::join!(slow(), slow(), slow(), waits);
        assert_eq!([first.status, second.status, third.status], [408; 3]);
        assert_eq!(answer.status, 400, "{target}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_body_needs_no_header_that_announces_it() {
    let log = TestLog::start().await;
    // As over HTTP/2.
    let request = Request::post(ENTRIES)
        .header("content-type", "text/plain")
        .body(Body::from("{}"));
    assert_eq!(log.send(request.expect("a request")).await.status, 415);
}

#[tokio::test]
async fn long_targets_are_refused() {
    let log = TestLog::start().await;
    let answer = log
        .get(&format!("/api/v1/log?x={}", "y".repeat(4096)))
        .await;
    let refusal = r#"{"code":414,"message":"Request URI Too Long. Limit set to 4096"}"#;
    assert_eq!((answer.status, answer.body.as_str()), (414, refusal));
    assert_eq!(
        log.get(&format!("/api/v1/log?x={}", "y".repeat(4000)))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_log_that_stops_answers_503_and_still_reads() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    assert_eq!(log.post(ENTRIES, &signer.proposal(b"x")).await.status, 201);
    log.ledger.stop().await;
    let answer = log.post(ENTRIES, &signer.proposal(b"y")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
    assert_eq!(
        answer.body,
        "{\"code\":503,\"message\":\"the server is stopping\"}\n"
    );
    assert_eq!(log.get(&format!("{ENTRIES}?logIndex=0")).await.status, 200);
}

#[tokio::test]
async fn an_entry_that_is_refused_leaves_no_trace() {
    let log = TestLog::start().await;
    let (one, other) = (Signer::new(), Signer::new());
    let forged = one
        .proposal(b"x")
        .replace(&one.public_key(), &other.public_key());
    let answer = log.post(ENTRIES, &forged).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .body
            .starts_with(r#"{"code":400,"message":"error processing entry: "#),
        "{}",
        answer.body
    );
    let not_a_key = one
        .proposal(b"x")
        .replace(&one.public_key(), &STANDARD.encode("no key"));
    assert_eq!(log.post(ENTRIES, &not_a_key).await.status, 400);
    assert_eq!(log.get("/api/v1/log").await.json()["treeSize"], 0);
}

/// Appends leaves to the v1 log that are of these sizes, each filled with its number.
async fn append_leaves(ledger: &Ledger, sizes: &[usize]) {
    let log = ledger.log(&V1).expect("a v1 log");
    for (number, size) in (0..).zip(sizes) {
        let entry = NewEntry {
            leaf_bytes: vec![number; *size],
            kind: "test:1".into(),
            index_keys: Vec::new(),
            attestation: None,
            claims: EntryClaims::default(),
        };
        log.append(entry).await.expect("it fits");
    }
}

#[tokio::test]
async fn ten_of_the_largest_leaves_are_shown_at_once() {
    let log = TestLog::of(open_log().await);
    append_leaves(&log.ledger, &[LARGEST_LEAF; 10]).await;
    let is_leaf = |entry: &serde_json::Value, number: u8| {
        let fields = entry.as_object().expect("an entry").values().next();
        let body = fields.expect("one member")["body"].as_str();
        STANDARD.decode(body.expect("base64")).expect("base64") == vec![number; LARGEST_LEAF]
    };
    let answer = log
        .post(
            "/api/v1/log/entries/retrieve",
            r#"{"logIndexes":[0,1,2,3,4,5,6,7,8,9]}"#,
        )
        .await;
    assert_eq!(answer.status, 200);
    let entries = answer.json();
    let entries = entries.as_array().expect("a list");
    assert_eq!(entries.len(), 10);
    for (number, entry) in (0..).zip(entries) {
        assert!(is_leaf(entry, number), "{number}");
    }
    let answer = log.get("/api/v1/log/entries?logIndex=7").await;
    assert!(is_leaf(&answer.json(), 7));
}

#[tokio::test]
async fn large_leaves_that_are_not_read_leave_room_for_usual_ones() {
    let (ledger, settings, _folder) = open_log().await;
    append_leaves(&ledger, &[LARGEST_LEAF, 100]).await;
    let router = server::router(ledger, &settings).expect("fresh metrics");
    let send = async |request: Request<Body>| {
        let answer = router.clone().oneshot(request).await.expect("infallible");
        assert_eq!(answer.status(), 200);
        answer
    };
    let get = |log_index: u64| {
        let request = Request::get(format!("{ENTRIES}?logIndex={log_index}"));
        request.body(Body::empty()).expect("a request")
    };
    let mut unread = Vec::new();
    // 1.4 MB each: there is no room for one more.
    for _ in 0..47 {
        unread.push(send(get(0)).await);
    }
    send(get(1)).await;
    let retrieve = Request::post("/api/v1/log/entries/retrieve")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"logIndexes":[1]}"#))
        .expect("a request");
    send(retrieve).await;
}
