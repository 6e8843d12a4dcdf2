//! Readiness: a write would be taken, or the reason why not, over HTTP and gRPC.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use ledger::Clock;

use crate::proposal::Signer;
use crate::support::{OF_BOTH, TestLog, open_log_by};

/// A clock that the test sets, in Unix seconds.
struct SetClock(Arc<AtomicI64>);

impl Clock for SetClock {
    fn unix_millis(&self) -> i64 {
        self.0.load(Ordering::Relaxed) * 1_000
    }

    fn since_boot(&self) -> Duration {
        Duration::from_millis(self.unix_millis().unsigned_abs())
    }
}

/// The status that the health service of gRPC gives the whole server.
async fn grpc_health(log: &TestLog) -> u8 {
    let request = Request::post("/grpc.health.v1.Health/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from(vec![0; 5]))
        .expect("a request");
    let answer = log.send(request).await;
    // A frame with one member: the status.
    let [0, 0, 0, 0, 2, 8, status] = answer.bytes[..] else {
        panic!("{answer:?}");
    };
    status
}

#[tokio::test]
async fn a_log_whose_clock_is_behind_its_head_takes_no_writes_and_says_so() {
    let now = Arc::new(AtomicI64::new(1_800_000_000));
    let clock = Arc::new(SetClock(Arc::clone(&now)));
    let log = TestLog::of(open_log_by(clock, OF_BOTH).await);
    let signer = Signer::new();
    let write = async |artifact| {
        let proposal = signer.proposal(&[artifact]);
        log.post("/api/v1/log/entries", &proposal).await.status
    };
    assert_eq!(write(0).await, 201);
    assert_eq!(log.get("/readyz").await.body, "{\"status\":\"SERVING\"}\n");
    assert_eq!(grpc_health(&log).await, 1);
    now.fetch_sub(100, Ordering::Relaxed);
    assert_eq!(write(1).await, 503);
    let answer = log.get("/readyz").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let body = answer.json();
    assert_eq!(
        (&body["status"], &body["log"]),
        (&"NOT_SERVING".into(), &"v1".into())
    );
    assert!(!body["reason"].as_str().expect("a text").is_empty());
    assert_eq!(grpc_health(&log).await, 2);
    now.fetch_add(100, Ordering::Relaxed);
    assert_eq!(write(2).await, 201);
    assert_eq!(log.get("/readyz").await.status, 200);
}
