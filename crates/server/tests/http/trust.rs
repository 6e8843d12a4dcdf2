//! What clients are told to trust.

use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use host::PublicUrl;
use ledger::store::{KeyRole, KeyRow, TreeRow, TreeState};
use ledger::{Api, TreeId, V1, V2};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use server::trust::{Document, Others, TrustMaterial, TrustSettings};
use sigstore_protobuf_specs::dev::sigstore::trustroot::v1::{
    ClientTrustConfig, SigningConfig, TrustedRoot,
};
use tlog::{KeyAlgorithm, NoteKey, SigningKey, VerifyingKey};

use crate::support::{NAME, TestLog};

const CREATED: i64 = 1_700_000_000;

fn key(role: KeyRole, algorithm: KeyAlgorithm) -> KeyRow {
    let rng = SystemRandom::new();
    let key = match algorithm {
        KeyAlgorithm::EcdsaP256 => SigningKey::generate_p256_pkcs8(&rng),
        KeyAlgorithm::Ed25519 => SigningKey::generate_ed25519_pkcs8(&rng),
    };
    let key = SigningKey::from_pkcs8(&key.expect("randomness"), &rng).expect("the key just made");
    let spki = key.verifying_key().spki().to_vec();
    KeyRow { role, spki }
}

/// The `shard`-th tree of a log of the ledger `log.example`.
fn tree(api: &Api, shard: i64, state: TreeState) -> TreeRow {
    let created_at = CREATED + shard * 1_000;
    let tree_id = TreeId(shard + 1);
    let (origin, keys) = match api == &V1 {
        true => (
            format!("log.example/trees/{tree_id}"),
            vec![
                key(KeyRole::Checkpoint, KeyAlgorithm::Ed25519),
                key(KeyRole::Log, KeyAlgorithm::EcdsaP256),
            ],
        ),
        false if shard == 0 => (
            "log.example".to_owned(),
            vec![key(KeyRole::Log, KeyAlgorithm::Ed25519)],
        ),
        false => (
            format!("s{shard}.logs.example"),
            vec![key(KeyRole::Log, KeyAlgorithm::EcdsaP256)],
        ),
    };
    TreeRow {
        tree_id,
        name: "log.example".to_owned(),
        api: api.name.to_owned(),
        origin,
        first_log_index: 0,
        max_leaf_bytes: api.max_leaf_bytes,
        state,
        created_at,
        frozen_at: (state == TreeState::Frozen).then_some(created_at + 900),
        keys,
    }
}

/// A ledger whose logs have one tree each.
fn both_logs() -> [TreeRow; 2] {
    [&V1, &V2].map(|api| tree(api, 0, TreeState::Active))
}

/// A ledger whose logs were rotated.
fn rotated() -> [TreeRow; 5] {
    [
        tree(&V1, 0, TreeState::Frozen),
        tree(&V2, 0, TreeState::Frozen),
        tree(&V1, 1, TreeState::Active),
        tree(&V2, 1, TreeState::Frozen),
        tree(&V2, 2, TreeState::Active),
    ]
}

fn material(trees: &[TreeRow], others: Others) -> TrustMaterial {
    let settings = TrustSettings {
        public_url: None,
        others,
    };
    TrustMaterial::new(trees, &settings).expect("material")
}

/// The URL, version and window of each service for Rekor.
fn services(material: &TrustMaterial) -> Vec<(String, u64, Value)> {
    let config = document(material, Document::SigningConfig);
    let services = config["rekorTlogUrls"].as_array().expect("services");
    let services = services.iter().map(|service| {
        (
            service["url"].as_str().expect("a URL").to_owned(),
            service["majorApiVersion"].as_u64().expect("a version"),
            service["validFor"].clone(),
        )
    });
    services.collect()
}

fn document(material: &TrustMaterial, document: Document) -> Value {
    serde_json::from_str(&text(material, document)).expect("JSON")
}

fn text(material: &TrustMaterial, document: Document) -> String {
    material.text(document).expect("a document")
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

    let trees = [&V1, &V2].map(|api| log.ledger.log(api).expect("a log").tree());
    for (found, tree) in root.tlogs.iter().zip(&trees) {
        let id = &found.log_id.as_ref().expect("a log ID").key_id;
        assert_eq!(id.as_slice(), tree.log_id.as_ref());
        assert_eq!(found.base_url, format!("https://{NAME}"));
    }

    let pem = get(Document::LogPublicKey).await;
    assert_eq!(pem.header("content-type"), "application/x-pem-file");
    assert_eq!(pem.body, trees[0].public_key_pem);
    let vkeys = get(Document::CheckpointVkey).await.body;
    for (api, vkey) in [&V2, &V1].into_iter().zip(vkeys.lines()) {
        let log = log.ledger.log(api).expect("a log");
        let key = NoteKey::from_str(vkey).expect("a vkey");
        tlog::Checkpoint::open(&log.head().checkpoint, &log.tree().origin, &[key])
            .expect("a checkpoint under that key");
    }
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
fn one_tree_of_each_log() {
    let material = material(&both_logs(), Others::default());
    let root = document(&material, Document::TrustedRoot);
    assert_eq!(
        root["mediaType"],
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
    );
    for (log, key) in [(0, "PKIX_ECDSA_P256_SHA_256"), (1, "PKIX_ED25519")] {
        let log = &root["tlogs"][log];
        assert_eq!(log["baseUrl"], "https://log.example");
        assert_eq!(log["hashAlgorithm"], "SHA2_256");
        assert_eq!(log["publicKey"]["keyDetails"], key);
        // Two seconds early: the clock of the first entry may be behind.
        assert_eq!(
            log["publicKey"]["validFor"],
            json!({"start": "2023-11-14T22:13:18Z"})
        );
        assert!(
            log.get("operator").is_none() && log.get("checkpointKeyId").is_none(),
            "older clients refuse them"
        );
    }
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

/// Rekor v1: SHA-256 of the SPKI. Rekor v2: the note key hash under the origin.
#[test]
fn log_ids_are_those_of_rekor() {
    let trees = both_logs();
    let root = document(&material(&trees, Others::default()), Document::TrustedRoot);
    let id = |log: usize| {
        root["tlogs"][log]["logId"]["keyId"]
            .as_str()
            .expect("an ID")
    };
    let of_v1 = tlog::sha256(&trees[0].keys[1].spki);
    let key = VerifyingKey::from_spki(&trees[1].keys[0].spki).expect("a key");
    let of_v2 = NoteKey::new("log.example", key).expect("a name").key_hash();
    assert_eq!(id(0), STANDARD.encode(of_v1.0));
    assert_eq!(id(1), STANDARD.encode(of_v2.0));
}

#[test]
fn all_shards_with_their_windows() {
    let trees = rotated();
    let settings = TrustSettings {
        public_url: Some(PublicUrl::http("localhost", 3000)),
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
    let since = |from: &str| json!({"start": format!("2023-11-14T{from}Z")});
    assert_eq!(
        logs,
        [
            (
                "https://old.example",
                &json!({"start": "2020-01-01T00:00:00Z"})
            ),
            ("http://log.example:3000", &first),
            ("http://log.example:3000", &first),
            // Rekor's checkpoints of v1 are signed under the ledger's name, whatever the tree; those
            // of v2 under the host name of the tree.
            ("http://log.example:3000", &since("22:29:58")),
            ("http://s1.logs.example:3000", &second),
            ("http://s2.logs.example:3000", &since("22:46:38")),
        ]
    );
    let vkeys = text(&material, Document::CheckpointVkey);
    let names: Vec<_> = vkeys
        .lines()
        .map(|line| line.split('+').next().expect("a name"))
        .collect();
    assert_eq!(
        names,
        [
            "s2.logs.example",
            "s1.logs.example",
            "log.example",
            "log.example/trees/2",
            "log.example/trees/1",
        ]
    );
    let last = NoteKey::from_str(vkeys.lines().last().expect("a line")).expect("a vkey");
    assert_eq!(last.key().spki(), trees[0].keys[0].spki);
    let pems = text(&material, Document::LogPublicKey);
    assert_eq!(pems.matches("BEGIN PUBLIC KEY").count(), 2, "of v1 alone");
}

/// sigstore-js takes the newest service that has not ended, whatever its version; rekor-monitor
/// takes the newest one of v2 for the active tree, and reads the others.
#[test]
fn no_rotation_moves_a_client_to_another_api() {
    let start = json!("2023-11-14T22:13:18Z");
    let of_v1 = ("https://log.example".to_owned(), 1, json!({"start": start}));
    let before = services(&material(&both_logs(), others()));
    let of_v2 = |url: &str, window: Value| (url.to_owned(), 2, window);
    assert_eq!(
        before,
        [
            of_v2("https://log.example", json!({"start": start})),
            of_v1.clone()
        ]
    );
    let after = services(&material(&rotated(), others()));
    assert_eq!(
        after,
        [
            of_v2(
                "https://log.example",
                json!({"start": "2023-11-14T22:13:16Z", "end": "2023-11-14T22:28:20Z"})
            ),
            of_v2(
                "https://s1.logs.example",
                json!({"start": "2023-11-14T22:13:17Z", "end": "2023-11-14T22:45:00Z"})
            ),
            of_v2("https://s2.logs.example", json!({"start": start})),
            of_v1,
        ]
    );
    // A host name of its own from the first tree on.
    let mut own_name = tree(&V2, 0, TreeState::Active);
    own_name.origin = "v2.example".to_owned();
    let alone = services(&material(&[own_name], Others::default()));
    assert_eq!(alone[0].0, "https://v2.example");
}

#[test]
fn a_log_that_is_added_wins_no_client_by_its_start() {
    for [first, added] in [[&V1, &V2], [&V2, &V1]] {
        let trees = [
            tree(first, 0, TreeState::Active),
            tree(added, 1, TreeState::Active),
        ];
        let services = services(&material(&trees, others()));
        let versions: Vec<u64> = services.iter().map(|(_, version, _)| *version).collect();
        assert_eq!(versions, [2, 1], "the first of equally new ones is taken");
        assert_eq!(services[0].2, services[1].2);
    }
}

#[test]
fn what_others_run_is_kept_and_their_log_is_not_signed_with() {
    let material = material(&rotated(), others());
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
    assert_eq!(config["rekorTlogConfig"], json!({"selector": "ANY"}));
    assert_eq!(
        config["tsaConfig"],
        json!({"selector": "ANY"}),
        "sigstore-go needs one"
    );
}

#[test]
fn clients_are_sent_to_the_logs_that_there_are() {
    let versions = |trees: &[TreeRow], others: Others| -> Vec<u64> {
        let services = services(&material(trees, others));
        services
            .into_iter()
            .map(|(_, version, _)| version)
            .collect()
    };
    let both = both_logs();
    assert_eq!(
        versions(&both, Others::default()),
        [1],
        "v2 has no time of its own"
    );
    assert_eq!(versions(&both, others()), [2, 1]);
    assert_eq!(versions(&both[..1], others()), [1]);
    assert_eq!(versions(&both[1..], Others::default()), [2]);
    let v2_alone = material(&both[1..], Others::default());
    assert_eq!(v2_alone.text(Document::LogPublicKey), None);
}

#[test]
fn adding_to_an_earlier_export_changes_nothing() {
    let trees = both_logs();
    let first = material(&trees, others());
    let again = Others::default()
        .with_trusted_root(&text(&first, Document::TrustedRoot))
        .and_then(|others| others.with_signing_config(&text(&first, Document::SigningConfig)))
        .expect("our own documents");
    let again = material(&trees, again);
    assert_eq!(
        text(&again, Document::TrustConfig),
        text(&first, Document::TrustConfig)
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
