//! What clients are told to trust.

use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use host::PublicUrl;
use ledger::store::{KeyRole, KeyRow, TreeRow, TreeState};
use ledger::{Apis, TreeId};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use server::trust::{Document, Others, TrustMaterial, TrustSettings};
use sigstore_protobuf_specs::dev::sigstore::trustroot::v1::{
    ClientTrustConfig, SigningConfig, TrustedRoot,
};
use tlog::{NoteKey, SigningKey};

use crate::support::{NAME, TestLog};

const CREATED: i64 = 1_700_000_000;

fn spki() -> Vec<u8> {
    let rng = SystemRandom::new();
    let key = SigningKey::generate_p256_pkcs8(&rng).expect("randomness");
    SigningKey::from_pkcs8(&key, &rng)
        .expect("the key just made")
        .verifying_key()
        .spki()
        .to_vec()
}

/// The `shard`-th tree of a log called `log.example`.
fn tree(shard: i64, state: TreeState) -> TreeRow {
    let created_at = CREATED + shard * 1_000;
    TreeRow {
        tree_id: TreeId(shard + 1),
        name: "log.example".to_owned(),
        origin_v1: format!("log.example - {}", shard + 1),
        origin_v2: if shard == 0 {
            "log.example".to_owned()
        } else {
            format!("s{shard}.logs.example")
        },
        first_log_index: 0,
        max_leaf_bytes: 65_535,
        apis: ledger::Apis::Both,
        state,
        created_at,
        frozen_at: (state == TreeState::Frozen).then_some(created_at + 900),
        keys: vec![KeyRow {
            role: KeyRole::Log,
            spki: spki(),
        }],
    }
}

fn document(material: &TrustMaterial, document: Document) -> Value {
    serde_json::from_str(&material.text(document)).expect("JSON")
}

/// What others run: one service of each sort, in the form that their own tools write.
fn others() -> Others {
    let window = json!({"start": "2020-01-01T00:00:00Z"});
    let service = |url: &str| json!([{"url": url, "majorApiVersion": 1, "validFor": window, "operator": "example.org"}]);
    let authority = |uri: &str| {
        json!([{"subject": {"organization": "o", "commonName": "c"}, "uri": uri,
            "certChain": {"certificates": [{"rawBytes": "AAAA"}]}, "validFor": window}])
    };
    let log = |url: &str, id: u8| {
        json!([{"baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": {"keyId": STANDARD.encode([id; 32])},
            "publicKey": {"rawBytes": "AAAA", "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": window}}])
    };
    let root = json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": log("https://old.example", 1), "ctlogs": log("https://ct.example", 2),
        "certificateAuthorities": authority("https://ca.example"), "timestampAuthorities": authority("https://tsa.example"),
    });
    let config = json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": service("https://ca.example"), "oidcUrls": service("https://id.example"),
        "rekorTlogUrls": service("https://old.example"), "rekorTlogConfig": {"selector": "ALL"},
        "tsaUrls": service("https://tsa.example/api/v1/timestamp"),
    });
    Others::default()
        .with_trusted_root(&root.to_string())
        .and_then(|others| others.with_signing_config(&config.to_string()))
        .expect("documents of others")
}

#[tokio::test]
async fn every_document_is_served_and_read_back() {
    let log = TestLog::start().await;
    let get = async |document: Document| {
        let answer = log.get(document.path()).await;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (200, "no-cache"),
            "{document:?}"
        );
        answer
    };
    let root: TrustedRoot =
        serde_json::from_str(&get(Document::TrustedRoot).await.body).expect("a trusted root");
    let config: SigningConfig =
        serde_json::from_str(&get(Document::SigningConfig).await.body).expect("a config");
    let both: ClientTrustConfig =
        serde_json::from_str(&get(Document::TrustConfig).await.body).expect("a trust config");
    assert_eq!(
        (both.trusted_root.as_ref(), both.signing_config.as_ref()),
        (Some(&root), Some(&config))
    );

    let id = &root.tlogs[0].log_id.as_ref().expect("a log ID").key_id;
    assert_eq!(id.as_slice(), log.ledger.tree().log_id.as_ref());
    assert_eq!(root.tlogs[0].base_url, format!("https://{NAME}"));

    let pem = get(Document::LogPublicKey).await;
    assert_eq!(pem.header("content-type"), "application/x-pem-file");
    assert_eq!(pem.body, log.ledger.tree().public_key_pem);
    let vkey = get(Document::CheckpointVkey).await.body;
    let key = NoteKey::from_str(vkey.trim_end()).expect("a vkey");
    tlog::Checkpoint::open(&log.ledger.head().checkpoint_v2, NAME, &[key])
        .expect("a checkpoint under that key");
}

#[tokio::test]
async fn documents_take_get_and_head_only() {
    let log = TestLog::start().await;
    for document in Document::ALL {
        let answer = log.post(document.path(), "{}").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, "GET,HEAD"),
            "{document:?}"
        );
    }
}

#[test]
fn one_tree_alone() {
    let material = TrustMaterial::new(&[tree(0, TreeState::Active)], &TrustSettings::default())
        .expect("material");
    let root = document(&material, Document::TrustedRoot);
    assert_eq!(
        root["mediaType"],
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
    );
    let log = &root["tlogs"][0];
    assert_eq!(log["baseUrl"], "https://log.example");
    assert_eq!(log["hashAlgorithm"], "SHA2_256");
    assert_eq!(log["publicKey"]["keyDetails"], "PKIX_ECDSA_P256_SHA_256");
    // Two seconds early: the clock of the first entry may be behind.
    assert_eq!(
        log["publicKey"]["validFor"],
        json!({"start": "2023-11-14T22:13:18Z"})
    );
    assert!(
        log.get("operator").is_none() && log.get("checkpointKeyId").is_none(),
        "older clients refuse them"
    );
    // Without a time-stamp authority nobody is sent to v2, and sigstore-js fails on a `tsaConfig`.
    let config = document(&material, Document::SigningConfig);
    let window = json!({"start": "2023-11-14T22:13:18Z"});
    assert_eq!(
        config,
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "rekorTlogUrls": [
                {"url": "https://log.example", "majorApiVersion": 1, "validFor": window, "operator": "log.example"}
            ],
            "rekorTlogConfig": {"selector": "ANY"},
        })
    );
}

#[test]
fn all_shards_with_their_windows() {
    let mut trees = [
        tree(0, TreeState::Frozen),
        tree(1, TreeState::Frozen),
        tree(2, TreeState::Active),
    ];
    trees[2].keys.insert(
        0,
        KeyRow {
            role: KeyRole::Cosigner,
            spki: ed25519(),
        },
    );
    let url = Some(PublicUrl::http("localhost", 3000));
    let settings = TrustSettings {
        public_url: url,
        others: others(),
    };
    let material = TrustMaterial::new(&trees, &settings).expect("material");
    let root = document(&material, Document::TrustedRoot);
    let logs: Vec<_> = root["tlogs"]
        .as_array()
        .expect("logs")
        .iter()
        .map(|log| {
            (
                log["baseUrl"].as_str().expect("a URL"),
                &log["publicKey"]["validFor"],
            )
        })
        .collect();
    let window = |from: &str, to: &str| json!({"start": format!("2023-11-14T{from}Z"), "end": format!("2023-11-14T{to}Z")});
    let (first, second) = (
        window("22:13:18", "22:28:22"),
        window("22:29:58", "22:45:02"),
    );
    assert_eq!(
        logs,
        [
            (
                "https://old.example",
                &json!({"start": "2020-01-01T00:00:00Z"})
            ),
            ("http://log.example:3000", &first),
            // v1 checkpoints of later trees are signed under the log's name, v2 ones under the host
            // name of the tree.
            ("http://log.example:3000", &second),
            ("http://s1.logs.example:3000", &second),
            (
                "http://log.example:3000",
                &json!({"start": "2023-11-14T22:46:38Z"})
            ),
            (
                "http://s2.logs.example:3000",
                &json!({"start": "2023-11-14T22:46:38Z"})
            ),
        ]
    );
    let vkeys = material.text(Document::CheckpointVkey);
    let names: Vec<_> = vkeys
        .lines()
        .map(|line| line.split('+').next().expect("a name"))
        .collect();
    assert_eq!(
        names,
        [
            "s2.logs.example",
            "s2.logs.example",
            "s1.logs.example",
            "log.example"
        ]
    );
    let first = NoteKey::from_str(vkeys.lines().next().expect("a line")).expect("a vkey");
    assert_eq!(
        first.key().spki(),
        trees[2].keys[1].spki,
        "the log key goes before the others"
    );
    assert_eq!(
        material
            .text(Document::LogPublicKey)
            .matches("BEGIN PUBLIC KEY")
            .count(),
        3
    );
}

#[test]
fn what_others_run_is_kept_and_their_log_is_not_signed_with() {
    let settings = TrustSettings {
        public_url: None,
        others: others(),
    };
    let trees = [tree(0, TreeState::Frozen), tree(1, TreeState::Active)];
    let material = TrustMaterial::new(&trees, &settings).expect("material");
    let root = document(&material, Document::TrustedRoot);
    for (list, member, url) in [
        ("ctlogs", "baseUrl", "https://ct.example"),
        ("certificateAuthorities", "uri", "https://ca.example"),
        ("timestampAuthorities", "uri", "https://tsa.example"),
    ] {
        assert_eq!(root[list][0][member], url);
    }
    let config = document(&material, Document::SigningConfig);
    let urls = |list: &str| -> Vec<(String, u64)> {
        let services = config[list].as_array().expect("services").iter();
        services
            .map(|service| {
                (
                    service["url"].as_str().expect("a URL").to_owned(),
                    service["majorApiVersion"].as_u64().expect("a version"),
                )
            })
            .collect()
    };
    assert_eq!(urls("caUrls"), [("https://ca.example".to_owned(), 1)]);
    assert_eq!(urls("oidcUrls"), [("https://id.example".to_owned(), 1)]);
    assert_eq!(
        urls("tsaUrls"),
        [("https://tsa.example/api/v1/timestamp".to_owned(), 1)]
    );
    // v2 first: sigstore-js takes the first of those that are equally new.
    assert_eq!(
        urls("rekorTlogUrls"),
        [
            ("https://s1.logs.example".to_owned(), 2),
            ("https://log.example".to_owned(), 1)
        ]
    );
    assert_eq!(config["rekorTlogConfig"], json!({"selector": "ANY"}));
    assert_eq!(
        config["tsaConfig"],
        json!({"selector": "ANY"}),
        "sigstore-go needs one"
    );
}

#[test]
fn clients_are_sent_to_the_apis_that_the_tree_takes() {
    let urls = |apis: Apis, others: Others| -> Vec<u64> {
        let tree = TreeRow {
            apis,
            ..tree(0, TreeState::Active)
        };
        let material = TrustMaterial::new(
            &[tree],
            &TrustSettings {
                public_url: None,
                others,
            },
        )
        .expect("material");
        let config = document(&material, Document::SigningConfig);
        let services = config["rekorTlogUrls"].as_array().expect("services");
        services
            .iter()
            .map(|service| service["majorApiVersion"].as_u64().expect("a version"))
            .collect()
    };
    assert_eq!(
        urls(Apis::Both, Others::default()),
        [1],
        "v2 has no time of its own"
    );
    assert_eq!(urls(Apis::Both, others()), [2, 1]);
    assert_eq!(urls(Apis::V1, others()), [1]);
    assert_eq!(urls(Apis::V2, Others::default()), [2]);
}

#[test]
fn adding_to_an_earlier_export_changes_nothing() {
    let trees = [tree(0, TreeState::Active)];
    let settings = TrustSettings {
        public_url: None,
        others: others(),
    };
    let material = TrustMaterial::new(&trees, &settings).expect("material");
    let again = Others::default()
        .with_trusted_root(&material.text(Document::TrustedRoot))
        .and_then(|others| others.with_signing_config(&material.text(Document::SigningConfig)))
        .expect("our own documents");
    let again = TrustMaterial::new(
        &trees,
        &TrustSettings {
            public_url: None,
            others: again,
        },
    )
    .expect("material");
    assert_eq!(
        again.text(Document::TrustConfig),
        material.text(Document::TrustConfig)
    );
}

#[test]
fn other_documents_are_refused_by_what_they_are() {
    let refusal = |outcome: Result<Others, server::trust::OthersError>| {
        outcome.expect_err("refused").to_string()
    };
    let others = Others::default;
    let config =
        json!({"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.1+json"}).to_string();
    assert!(refusal(others().with_signing_config(&config)).contains("v0.1"));
    assert!(refusal(others().with_trusted_root(&config)).starts_with("not a trusted root"));
    assert!(
        refusal(others().with_trusted_root("{\"tlog\": []}")).starts_with("not a trusted root")
    );
    assert!(refusal(others().with_trusted_root("[]")).starts_with("not a trusted root"));
}

fn ed25519() -> Vec<u8> {
    let key =
        ring::signature::Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("randomness");
    SigningKey::from_pkcs8(key.as_ref(), &SystemRandom::new())
        .expect("the key just made")
        .verifying_key()
        .spki()
        .to_vec()
}
