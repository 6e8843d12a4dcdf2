//! `index/lookup`.

use serde_json::{Value, json};
use tlog::sha256;

use crate::life::only_key;
use crate::proposal::Signer;
use crate::support::TestLog;

const ENTRIES: &str = "/api/v1/log/entries";
const ENTRIES_V2: &str = "/api/v2/log/entries";
const LOOK_UP: &str = "/api/v1/index/lookup";

async fn results(log: &TestLog, asked: Value) -> Vec<Value> {
    let answer = log.post(LOOK_UP, &asked.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["results"].as_array().expect("a list").clone()
}

fn uuids(result: &Value) -> Vec<&str> {
    let entries = result["entries"].as_array().expect("a list").iter();
    entries
        .map(|entry| entry["uuid"].as_str().expect("a text"))
        .collect()
}

#[tokio::test]
async fn each_key_has_the_entries_of_all_logs() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let mut ids = Vec::new();
    for artifact in 0..40_u8 {
        let answer = log.post(ENTRIES, &signer.proposal(&[artifact])).await;
        ids.push(only_key(&answer.json()));
    }
    log.post(ENTRIES_V2, &signer.proposal_v2(&[7])).await;
    let digest = |artifact: &[u8]| format!("SHA256:{}", sha256(artifact));
    let key = sha256(signer.pem().as_bytes()).to_string();

    let asked = json!({"keys": [digest(&[7]), digest(b"never"), key, digest(&[39])]});
    let found = results(&log, asked).await;
    let of_both = &found[0]["entries"];
    assert_eq!(of_both[0]["uuid"], ids[7]);
    assert_eq!(
        (&of_both[0]["log"], &of_both[1]["log"]),
        (&json!("v1"), &json!("v2"))
    );
    let proved = log.get(of_both[1]["url"].as_str().expect("a path")).await;
    assert_eq!(proved.status, 200);
    assert_eq!(found[1], json!({"entries": []}));
    assert_eq!(uuids(&found[3]), [&ids[39]]);

    // A frequent key is read on below its last hit in each log.
    assert_eq!(uuids(&found[2]).len(), 16 + 1);
    assert_eq!(found[2]["below"], json!({"v1": 24}));
    let rest = json!({"keys": [key], "log": "v1", "below": 24, "limit": 24});
    let rest = results(&log, rest).await;
    let older: Vec<&str> = ids[..24].iter().rev().map(String::as_str).collect();
    assert_eq!(uuids(&rest[0]), older);
    let of_v2 = results(&log, json!({"keys": [digest(&[7])], "log": "v2"})).await;
    assert_eq!(uuids(&of_v2[0]).len(), 1);

    let answer = log.post(LOOK_UP, r#"{"keys":["a"],"log":"v3"}"#).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
}
