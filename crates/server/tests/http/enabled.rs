//! Kinds and operations that an operator switched off.

use server::Operations;

use crate::proposal::Signer;
use crate::support::{TestLog, open_log};

const ENTRIES: &str = "/api/v1/log/entries";

#[tokio::test]
async fn a_kind_that_is_not_enabled_is_read_and_not_written() {
    let mut opened = open_log().await;
    opened.1.policy = opened.1.policy.with_kinds([""; 0]).expect("no names");
    let log = TestLog::of(opened);
    let proposal = Signer::new().proposal(b"x");
    let answer = log.post(ENTRIES, &proposal).await;
    let expected = "{\"code\":400,\"message\":\"error processing entry: entry kind 'hashedrekord' is not enabled for submission on this server\"}\n";
    assert_eq!((answer.status, answer.body.as_str()), (400, expected));
    let query = format!("{{\"entries\":[{proposal}]}}");
    assert_eq!(log.post("/api/v1/log/entries/retrieve", &query).await.body, "[]\n");
    assert_eq!(log.get("/api/v1/log").await.json()["treeSize"], 0);
}

#[tokio::test]
async fn an_operation_that_is_not_enabled_is_not_implemented() {
    let mut opened = open_log().await;
    opened.1.operations = Operations::from_names(["getLogInfo", "searchLogQuery"]).expect("names");
    let log = TestLog::of(opened);
    assert_eq!(log.get("/api/v1/log").await.status, 200);
    assert_eq!(log.post("/api/v1/log/entries/retrieve", "{}").await.status, 200);
    for (answer, title) in [
        (log.post(ENTRIES, &Signer::new().proposal(b"x")).await, "Create Entry"),
        (log.post("/api/v1/index/retrieve", "{}").await, "Search Index"),
        (log.get(&format!("{ENTRIES}?logIndex=0")).await, "Get Log Entry by Index"),
        (log.get(&format!("{ENTRIES}/{}", "0".repeat(64))).await, "Get Log Entry by UUID"),
        (log.get("/api/v1/log/publicKey").await, "Get Public Key"),
        (log.get("/api/v1/log/proof?lastSize=1").await, "Get Log Proof"),
        (log.get("/api/v1/index/search").await, "Search Entries"),
        (log.post("/api/v1/log/entries/batch", "{}").await, "Create Entries"),
    ] {
        let expected = format!("{{\"code\":501,\"message\":\"{title} API not enabled in this Rekor instance\"}}\n");
        assert_eq!((answer.status, answer.body), (501, expected));
    }
    assert_eq!(log.get("/api/v1/log").await.json()["treeSize"], 0);
}
