//! Unique packages: one package URL, one digest, in all logs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use server::{OnSecondDigest, OnUnjudged, UniquePackages};
use tlog::sha256;

use crate::life::only_key;
use crate::proposal::Signer;
use crate::support::{Answer, TestLog, open_log};

const V1: &str = "/api/v1/log/entries";
const V2: &str = "/api/v2/log/entries";
const BATCH: &str = "/api/v1/log/entries/batch";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

const REFUSES: UniquePackages = UniquePackages {
    second_digest: OnSecondDigest::Refused,
    unjudged: OnUnjudged::Accepted,
};

async fn start(unique_packages: UniquePackages) -> TestLog {
    let (ledger, mut settings, folder) = open_log().await;
    settings.unique_packages = unique_packages;
    TestLog::of((ledger, settings, folder))
}

/// A statement that a package has this digest, as npm's provenance says it.
fn statement(purl: &str, content: &str) -> Value {
    let digest = sha256(content.as_bytes()).to_string();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": purl, "digest": {"sha512": digest.repeat(2)}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    })
}

fn signature(signer: &Signer, payload: &str) -> Vec<u8> {
    let (kind, length) = (PAYLOAD_TYPE, payload.len());
    let message = format!("DSSEv1 {} {kind} {length} {payload}", kind.len());
    signer.sign(message.as_bytes())
}

/// An entry of the kind `dsse`.
fn dsse(signer: &Signer, statement: &Value) -> String {
    let payload = statement.to_string();
    let envelope = json!({
        "payloadType": PAYLOAD_TYPE,
        "payload": STANDARD.encode(&payload),
        "signatures": [{"sig": STANDARD.encode(signature(signer, &payload))}],
    });
    json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": {
        "envelope": envelope.to_string(),
        "verifiers": [signer.public_key()],
    }}})
    .to_string()
}

/// An entry of the kind `intoto`.
fn intoto(signer: &Signer, statement: &Value) -> String {
    let payload = statement.to_string();
    let signature = STANDARD.encode(signature(signer, &payload));
    json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
        "envelope": {
            "payloadType": PAYLOAD_TYPE,
            "payload": STANDARD.encode(STANDARD.encode(&payload)),
            "signatures": [{"publicKey": signer.public_key(), "sig": STANDARD.encode(signature)}],
        },
        "hash": {"algorithm": "sha256", "value": sha256(payload.as_bytes()).to_string()},
    }}})
    .to_string()
}

/// A request of v2 for an envelope.
fn dsse_v2(signer: &Signer, statement: &Value) -> String {
    let payload = statement.to_string();
    let lines = signer.pem();
    let spki: String = lines
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    json!({"dsseRequestV002": {
        "envelope": {
            "payloadType": PAYLOAD_TYPE,
            "payload": STANDARD.encode(&payload),
            "signatures": [{"sig": STANDARD.encode(signature(signer, &payload))}],
        },
        "verifiers": [{"publicKey": {"rawBytes": spki}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}],
    }})
    .to_string()
}

/// The answer says that the package has another digest in this entry.
fn assert_refused(answer: &Answer, purl: &str, uuid: &str, log_index: u64) {
    assert_eq!(answer.status, 409, "{}", answer.body);
    let message = answer.json()["message"].as_str().map(str::to_owned);
    let expected = format!(
        "{purl} has another digest in the transparency log already: UUID {uuid}, log index {log_index}"
    );
    assert_eq!(message.as_deref(), Some(expected.as_str()));
    // Clients take it for the place of an entry that is equal to theirs.
    assert_eq!(answer.header("location"), "");
}

#[tokio::test]
async fn a_second_digest_is_refused_by_both_apis_and_names_the_first_entry() {
    let log = start(REFUSES).await;
    let signer = Signer::new();
    let purl = "pkg:npm/@scope/name@1.0.0";
    let first = dsse(&signer, &statement("pkg:npm/%40scope/name@1.0.0", "one"));
    let stored = log.post(V1, &first).await;
    assert_eq!(stored.status, 201, "{}", stored.body);
    let uuid = only_key(&stored.json());

    let spellings = [
        "pkg:npm/@scope/name@v1.0.0",
        "pkg:NPM/%40scope%2Fname@1.0.0?x=y",
    ];
    for spelling in spellings {
        let second = statement(spelling, "two");
        for (api, body) in [
            (V1, dsse(&signer, &second)),
            (V1, intoto(&signer, &second)),
            (V2, dsse_v2(&signer, &second)),
        ] {
            assert_refused(&log.post(api, &body).await, purl, &uuid, 0);
        }
    }
    assert_eq!(log.v1().head().size.0 + log.v2().head().size.0, 1);

    // The same entry again is a duplicate, as ever.
    let again = log.post(V1, &first).await;
    assert_eq!(again.status, 409);
    assert!(again.header("location").ends_with(&uuid));
    // Another statement about the same digest, in either log, and other packages.
    for (api, body) in [
        (V1, intoto(&signer, &statement(purl, "one"))),
        (V2, dsse_v2(&signer, &statement(purl, "one"))),
        (
            V2,
            dsse_v2(&signer, &statement("pkg:npm/@scope/name@1.0.1", "two")),
        ),
        (V1, signer.proposal(b"no package")),
        (V2, signer.proposal_v2(b"no package")),
    ] {
        let answer = log.post(api, &body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_batch_answers_each_entry_by_its_packages() {
    let log = start(REFUSES).await;
    let signer = Signer::new();
    let of =
        |version: usize, content: &str| statement(&format!("pkg:cargo/a@{version}.0.0"), content);
    let entries = [
        dsse(&signer, &of(1, "one")),
        dsse_v2(&signer, &of(2, "one")),
        dsse(&signer, &of(3, "one")),
    ];
    let send = async |entries: &[String]| {
        let body = format!("{{\"entries\":[{}]}}", entries.join(","));
        log.post(BATCH, &body).await.json()["results"].clone()
    };
    let results = send(&entries).await;
    let statuses = |results: &Value| {
        let results = results.as_array().expect("a list").iter();
        results
            .map(|result| result["status"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(statuses(&results), [201, 201, 201]);
    let results = send(&[
        dsse(&signer, &of(2, "two")),
        dsse_v2(&signer, &of(1, "two")),
        dsse(&signer, &of(4, "two")),
        signer.proposal(b"no package"),
    ])
    .await;
    assert_eq!(statuses(&results), [409, 409, 201, 201]);
    for result in &results.as_array().expect("a list")[..2] {
        let message = result["error"]["message"].as_str().expect("a text");
        assert!(message.contains("has another digest"), "{message}");
        assert_eq!(result["location"], Value::Null);
    }
}

#[tokio::test]
async fn a_second_digest_is_logged_and_found_if_it_is_only_reported() {
    let log = start(UniquePackages {
        second_digest: OnSecondDigest::Reported,
        unjudged: OnUnjudged::Accepted,
    })
    .await;
    let signer = Signer::new();
    for content in ["one", "two"] {
        let answer = log
            .post(V1, &dsse(&signer, &statement("pkg:gem/a@1", content)))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    let found = log
        .get("/api/v1/index/search?contradicts=pkg:gem/a@1")
        .await
        .json();
    let found: Vec<u64> = found["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|entry| entry["logIndex"].as_u64())
        .collect();
    assert_eq!(found, [1]);
}

#[tokio::test]
async fn entries_that_cannot_be_judged_are_refused_if_it_is_wanted() {
    let log = start(UniquePackages {
        second_digest: OnSecondDigest::Refused,
        unjudged: OnUnjudged::Refused,
    })
    .await;
    let signer = Signer::new();
    let first = statement("pkg:npm/a@1.0.0", "one");
    assert_eq!(log.post(V2, &dsse_v2(&signer, &first)).await.status, 201);
    let mut other_algorithm = first.clone();
    let digest = sha256(b"one").to_string();
    other_algorithm["subject"][0]["digest"] = json!({"sha256": digest});
    let answer = log.post(V1, &dsse(&signer, &other_algorithm)).await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(
        answer.body.contains("cannot be compared"),
        "{}",
        answer.body
    );
    let mut both = first.clone();
    both["subject"][0]["digest"]["sha256"] = digest.into();
    let answer = log.post(V1, &dsse(&signer, &both)).await;
    assert_eq!(
        answer.status, 409,
        "an equal digest carries no other one: {}",
        answer.body
    );
    let mut two_digests = statement("pkg:npm/b@1.0.0", "one");
    let subjects = two_digests["subject"].as_array_mut().expect("a list");
    subjects.push(statement("pkg:npm/b@1.0.0", "two")["subject"][0].clone());
    for (api, body, reason) in [
        (
            V1,
            signer.proposal(b"x"),
            "only entries that name a package",
        ),
        (
            V2,
            signer.proposal_v2(b"x"),
            "only entries that name a package",
        ),
        (
            V1,
            dsse(&signer, &statement("pkg:npm/a", "one")),
            "only entries that name a package",
        ),
        (
            V1,
            dsse(&signer, &two_digests),
            "pkg:npm/b@1.0.0 two digests",
        ),
    ] {
        let answer = log.post(api, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains(reason), "{}", answer.body);
    }
}
