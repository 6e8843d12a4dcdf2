//! Many entries in one request: each is answered as if it had been sent alone.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prometheus::Registry;
use serde_json::{Value, json};
use server::OnDuplicate;
use server::limits::{MAX_BATCH, MAX_BATCH_QUEUED};

use crate::life::{only_key, verify};
use crate::proposal::Signer;
use crate::support::{Answer, OF_V1, OF_V2, TestLog, open_log, open_log_for};

const ENTRIES: &str = "/api/v1/log/entries";
const ENTRIES_V2: &str = "/api/v2/log/entries";
const BATCH: &str = "/api/v1/log/entries/batch";

fn body(entries: &[String]) -> String {
    format!("{{\"entries\":[{}]}}", entries.join(","))
}

fn proposals(count: usize) -> Vec<String> {
    let signer = Signer::new();
    (0..count)
        .map(|artifact| signer.proposal(&artifact.to_be_bytes()))
        .collect()
}

/// The results of a batch, which was answered.
fn results(answer: &Answer) -> Vec<Value> {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/json"),
        "{}",
        answer.body
    );
    assert!(answer.body.ends_with("]}\n"));
    let mut answer = answer.json();
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(1));
    serde_json::from_value(answer["results"].take()).expect("a list")
}

#[tokio::test]
async fn each_entry_is_answered_by_the_rules_of_single_ones() {
    let log = TestLog::start().await;
    let [known, first, second] = proposals(3).try_into().expect("three");
    let stored = log.post(ENTRIES, &known).await;
    let unknown = r#"{"kind":"bogus","apiVersion":"0.0.1","spec":{}}"#.to_owned();
    let forged = first.replace("0.0.1", "0.0.9");
    let all = [
        &known,
        &first,
        &unknown,
        &"{}".into(),
        &forged,
        &first,
        &second,
        &"[]".into(),
    ]
    .map(String::clone);
    let mut results = results(&log.post(BATCH, &body(&all)).await).into_iter();

    let mut next = || results.next().expect("as many as were sent");
    let id = only_key(&stored.json());
    assert_eq!(next(), conflict(&id));
    let one = created(&log, next()).await;
    for sent in [&unknown, &"{}".into(), &forged] {
        let alone = log.post(ENTRIES, sent).await;
        assert!(matches!(alone.status, 400 | 422));
        assert_eq!(
            next(),
            json!({"status": alone.status, "error": alone.json()}),
            "{sent}"
        );
    }
    assert_eq!(next(), conflict(&only_key(&one)), "equal to one before it");
    let two = created(&log, next()).await;
    assert_eq!(next()["status"], 400);
    assert_eq!(results.next(), None);
    assert_eq!(
        [&one, &two].map(|entry| entry[only_key(entry)]["logIndex"].clone()),
        [json!(1), json!(2)]
    );
    assert_eq!(log.get("/api/v1/log").await.json()["treeSize"], 3);
    assert_eq!(
        log.post(ENTRIES, &second).await.status,
        409,
        "it is the same log"
    );
}

fn conflict(id: &str) -> Value {
    let message =
        format!("an equivalent entry already exists in the transparency log with UUID {id}");
    json!({"status": 409, "error": {"code": 409, "message": message}, "location": format!("{ENTRIES}/{id}")})
}

/// The entry of a result, which is what a reader gets as well.
async fn created(log: &TestLog, result: Value) -> Value {
    assert_eq!(result["status"], 201, "{result}");
    assert_eq!(
        result.as_object().map(serde_json::Map::len),
        Some(2),
        "{result}"
    );
    let entry = result["entry"].clone();
    let id = only_key(&entry);
    verify(log, &id, &entry[&id]).await;
    let mut read = log.get(&format!("{ENTRIES}/{id}")).await.json();
    // It may have a newer head.
    read[&id]["verification"]["inclusionProof"] =
        entry[&id]["verification"]["inclusionProof"].clone();
    assert_eq!(read, entry);
    entry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_batch_goes_in_by_parts_in_its_order_and_is_proved_in_one_head() {
    let log = TestLog::start().await;
    let all = proposals(MAX_BATCH);
    let results = results(&log.post(BATCH, &body(&all)).await);
    assert_eq!(results.len(), MAX_BATCH);
    let mut heads = BTreeSet::new();
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["status"], 201, "{result}");
        let id = only_key(&result["entry"]);
        let entry = &result["entry"][&id];
        assert_eq!(
            entry["logIndex"], index,
            "dense, and in the order of the request"
        );
        let leaf: Value = serde_json::from_slice(
            &STANDARD
                .decode(entry["body"].as_str().expect("a text"))
                .expect("base64"),
        )
        .expect("JSON");
        let sent: Value = serde_json::from_str(&all[index]).expect("JSON");
        assert_eq!(
            leaf["spec"]["data"], sent["spec"]["data"],
            "the one that was sent in this place"
        );
        heads.insert(entry["verification"]["inclusionProof"]["checkpoint"].to_string());
        if index % 37 == 0 {
            verify(&log, &id, entry).await;
        }
    }
    assert_eq!(heads.len(), 1);
    assert_eq!(log.get("/api/v1/log").await.json()["treeSize"], MAX_BATCH);
}

#[tokio::test]
async fn what_is_refused_as_a_whole_leaves_nothing_in_the_log() {
    let log = TestLog::start().await;
    let valid = proposals(1).remove(0);
    let too_many = body(&vec![valid.clone(); MAX_BATCH + 1]);
    for (sent, status, message) in [
        ("", 422, "proposedEntries in body is required"),
        (&valid, 422, "entries in body is required"),
        (
            r#"{"entries":[]}"#,
            422,
            "entries in body should have at least 1 items",
        ),
        (
            &too_many,
            422,
            "entries in body should have at most 1000 items",
        ),
        (
            &format!("{{\"entries\":[{valid},"),
            400,
            "parsing proposedEntries body from \"\" failed, because ",
        ),
        (
            &format!("[{valid}]"),
            400,
            "parsing proposedEntries body from \"\" failed, because ",
        ),
    ] {
        let answer = log.post(BATCH, sent).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(
            answer.json()["message"]
                .as_str()
                .expect("a text")
                .starts_with(message),
            "{}",
            answer.body
        );
    }
    assert_eq!(log.get("/api/v1/log").await.json()["treeSize"], 0);
    let answer = log.get(BATCH).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (422, &json!(605)),
        "an entry with that ID"
    );
}

#[tokio::test]
async fn an_entry_goes_to_the_log_of_its_api_and_is_answered_by_it() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let by_v2: Vec<String> = (0..3).map(|number| signer.proposal_v2(&[number])).collect();
    assert_eq!(log.post(ENTRIES_V2, &by_v2[0]).await.status, 201);
    let forged = r#"{"hashedRekordRequestV002":{"digest":"!"}}"#.to_owned();
    let all = [
        signer.proposal(b"x"),
        by_v2[1].clone(),
        by_v2[0].clone(),
        forged.clone(),
        signer.proposal(b"y"),
        by_v2[2].clone(),
    ];
    let results = results(&log.post(BATCH, &body(&all)).await);
    let statuses: Vec<_> = results
        .iter()
        .map(|result| result["status"].clone())
        .collect();
    assert_eq!(statuses, [201, 201, 201, 400, 201, 201]);
    for (place, index) in [(0, 0), (4, 1)] {
        let entry = created(&log, results[place].clone()).await;
        assert_eq!(entry[only_key(&entry)]["logIndex"], index);
    }
    // The one that was in the log already is the stored one, as it is for a single entry.
    for (place, index) in [(2, "0"), (1, "1"), (5, "2")] {
        let entry = &results[place]["entry"];
        assert_eq!(entry["logIndex"], index);
        crate::v2::verify(&log, entry);
    }
    let alone = log.post(ENTRIES_V2, &forged).await;
    assert_eq!(results[3]["error"], alone.json());
    assert_eq!((log.v1().head().size.0, log.v2().head().size.0), (2, 3));
}

#[tokio::test]
async fn an_entry_for_a_log_that_is_not_there_is_refused_alone() {
    let signer = Signer::new();
    let sent = [signer.proposal(b"x"), signer.proposal_v2(b"x")];
    for (logs, absent) in [(OF_V1, 1), (OF_V2, 0)] {
        let log = TestLog::of(open_log_for(logs).await);
        let results = results(&log.post(BATCH, &body(&sent)).await);
        assert_eq!(
            results[1 - absent]["status"],
            201,
            "{}",
            results[1 - absent]
        );
        let target = [ENTRIES, ENTRIES_V2][absent];
        let alone = log.post(target, &sent[absent]).await;
        assert_eq!(
            results[absent],
            json!({"status": alone.status, "error": alone.json()})
        );
        assert!(matches!(alone.status, 404 | 501), "{}", alone.body);
    }
}

#[tokio::test]
async fn a_duplicate_of_v2_may_be_a_conflict() {
    let mut opened = open_log().await;
    opened.1.duplicates.v2 = OnDuplicate::Conflict;
    let log = TestLog::of(opened);
    let one = Signer::new().proposal_v2(b"x");
    let results = results(&log.post(BATCH, &body(&[one.clone(), one.clone()])).await);
    let alone = log.post(ENTRIES_V2, &one).await;
    assert_eq!(
        (results[0]["status"].clone(), alone.status),
        (json!(201), 409)
    );
    assert_eq!(results[1], json!({"status": 409, "error": alone.json()}));
}

#[tokio::test]
async fn duplicates_are_shown_where_they_are_for_single_entries() {
    let mut opened = open_log().await;
    opened.1.duplicates.v1 = OnDuplicate::Stored;
    let log = TestLog::of(opened);
    let one = proposals(1).remove(0);
    let results = results(&log.post(BATCH, &body(&[one.clone(), one])).await);
    for result in results {
        let entry = created(&log, result).await;
        assert_eq!(entry[only_key(&entry)]["logIndex"], 0);
    }
}

#[tokio::test]
async fn packages_and_long_entries_are_checked_as_well() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let padded = |length: usize| {
        let proposal = signer.proposal(&length.to_be_bytes());
        format!(
            "{{\"padding\":\"{}\",{}",
            "x".repeat(length),
            &proposal[1..]
        )
    };
    let signature = STANDARD.encode(signer.sign(b"x"));
    let signature = json!({"format": "x509", "content": signature, "publicKey": {"content": signer.public_key()}});
    let package = json!({"kind": "rekord", "apiVersion": "0.0.1", "spec": {
        "data": {"content": STANDARD.encode("x")}, "signature": signature}});
    let all = [
        padded(1),
        padded(10_000),
        padded(200_000),
        package.to_string(),
    ];
    for result in results(&log.post(BATCH, &body(&all)).await) {
        created(&log, result).await;
    }
}

#[tokio::test]
async fn a_log_that_stops_says_of_each_when_to_come_back() {
    let log = TestLog::start().await;
    log.ledger.stop().await;
    let expected = json!({"status": 503, "error": {"code": 503, "message": "the server is stopping"}, "retryAfter": 5});
    assert_eq!(
        results(&log.post(BATCH, &body(&proposals(2))).await),
        [expected.clone(), expected]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_takes_nothing_out_of_the_log_and_holds_nothing() {
    let opened = open_log().await;
    let metrics = opened.1.metrics.clone();
    let log = TestLog::of(opened);
    let all = proposals(3 * MAX_BATCH_QUEUED);
    let sent = body(&all);
    tokio::select! {
        biased;
        () = begun(&log) => {}
        answer = log.post(BATCH, &sent) => panic!("answered before it was left: {}", answer.status),
    }
    // All places are free again, or this would not be answered.
    let results = results(&log.post(BATCH, &sent).await);
    let stored = results
        .iter()
        .filter(|result| result["status"] == 409)
        .count();
    assert!(
        stored > 0
            && results
                .iter()
                .all(|result| matches!(result["status"].as_u64(), Some(201 | 409)))
    );
    assert_eq!(log.v1().head().size.0, all.len() as u64, "each once");
    for gauge in [
        "treehead_http_body_bytes_in_flight",
        "treehead_http_answer_bytes_in_flight",
    ] {
        assert_eq!(value(&metrics, gauge), 0.0, "{gauge}");
    }
}

/// Waits until a part of what was sent is in the log.
async fn begun(log: &TestLog) {
    while log.v1().head().size.0 == 0 {
        tokio::task::yield_now().await;
    }
}

fn value(metrics: &Registry, name: &str) -> f64 {
    let families = metrics.gather();
    let family = families
        .iter()
        .find(|family| family.name() == name)
        .expect("registered");
    family.get_metric()[0].get_gauge().get_value()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_goes_on_in_the_next_tree() {
    let log = TestLog::start().await;
    let sent = body(&proposals(MAX_BATCH));
    let rotated = async {
        begun(&log).await;
        log.rotate_v1().await;
    };
    let (answer, ()) = tokio::join!(log.post(BATCH, &sent), rotated);
    let (mut indexes, mut heads) = (BTreeSet::new(), BTreeSet::new());
    for result in results(&answer) {
        assert_eq!(result["status"], 201, "{result}");
        let id = only_key(&result["entry"]);
        let entry = &result["entry"][&id];
        indexes.insert(entry["logIndex"].as_u64().expect("an index"));
        heads.insert(entry["verification"]["inclusionProof"]["checkpoint"].to_string());
    }
    assert_eq!(
        indexes,
        (0..MAX_BATCH as u64).collect(),
        "dense over both trees"
    );
    assert!(heads.len() <= 2, "one head of each tree");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_and_single_writers_share_one_log() {
    let log = TestLog::start().await;
    let batches: Vec<String> = (0..4).map(|_| body(&proposals(200))).collect();
    let singles = proposals(200);
    let (batches, singles) = tokio::join!(
        futures_util::future::join_all(batches.iter().map(|batch| log.post(BATCH, batch))),
        futures_util::future::join_all(singles.iter().map(|single| log.post(ENTRIES, single))),
    );
    let mut indexes = BTreeSet::new();
    let mut note = |entry: &Value| {
        indexes.insert(
            entry[only_key(entry)]["logIndex"]
                .as_u64()
                .expect("an index"),
        )
    };
    for answer in singles {
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert!(note(&answer.json()));
    }
    for result in batches.iter().flat_map(results) {
        assert_eq!(result["status"], 201, "{result}");
        assert!(note(&result["entry"]));
    }
    assert_eq!(indexes, (0..1000).collect(), "dense and unique");
}
