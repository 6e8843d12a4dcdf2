//! Helm provenance. The seeds of the fuzz target are signed by gpg.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::packages::{base64, spec_of, submit};

const KEY: &[u8] = include_bytes!("../../../../fuzz/keys/pgp.asc");
const SIGNED: &[u8] = include_bytes!("../../../../fuzz/seeds/helm/signed");

fn spec(provenance: &[u8]) -> Value {
    json!({"publicKey": {"content": base64(KEY)}, "chart": {"provenance": {"content": base64(provenance)}}})
}

fn refusal(provenance: &[u8]) -> String {
    submit("helm", spec(provenance)).err().unwrap()
}

#[test]
fn signed_provenance_is_taken() {
    let entry = submit("helm", spec(SIGNED)).unwrap();
    let value = "6dec7ea21e655d5796c1e214cfb75b73428b2abfa2e66c8f7bc64ff4a7b3b29f";
    assert_eq!(
        spec_of(&entry)["chart"]["hash"],
        json!({"algorithm": "sha256", "value": value})
    );
    assert_eq!(
        entry.index_keys()[1..],
        ["packager@example.com".to_owned(), format!("sha256:{value}")]
    );
    // Blanks at the ends of lines are not signed.
    let with_blanks = String::from_utf8(SIGNED.to_vec())
        .unwrap()
        .replace("name: test\n", "name: test  \r\n");
    assert_eq!(
        submit("helm", spec(with_blanks.as_bytes()))
            .unwrap()
            .leaf_bytes(),
        entry.leaf_bytes()
    );
    let two: &[u8] = include_bytes!("../../../../fuzz/seeds/helm/two-files");
    assert_eq!(
        spec_of(&submit("helm", spec(two)).unwrap())["chart"]["hash"]["value"],
        "b",
        "the first one"
    );
}

#[test]
fn refusals_say_why() {
    let seeds: [(&[u8], &str); 6] = [
        (b"x", "unable to decode provenance file"),
        (
            include_bytes!("../../../../fuzz/seeds/helm/no-colon"),
            "invalid hash found in Provenance file",
        ),
        (
            include_bytes!("../../../../fuzz/seeds/helm/no-files"),
            "unable to locate chart hash",
        ),
        (
            include_bytes!("../../../../fuzz/seeds/helm/one-document"),
            "error occurred parsing message block: message block must have at least two parts",
        ),
        (
            include_bytes!("../../../../fuzz/seeds/helm/tampered"),
            "openpgp: invalid signature: RSA verification failure",
        ),
        (
            &vec![b' '; (1 << 20) + 1],
            "a provenance file of 1048577 bytes is too large, the limit is 1048576",
        ),
    ];
    for (provenance, expected) in seeds {
        assert_eq!(refusal(provenance), expected);
    }
    assert_eq!(
        submit("helm", json!({"publicKey": {}, "chart": {}}))
            .err()
            .unwrap(),
        "validation failure list:\nchart.chart.provenance in body is required\npublicKey.publicKey.content in body is required"
    );
}

#[test]
fn large_documents_are_not_parsed() {
    let lines = "  x: y\n".repeat(10_000);
    let large = String::from_utf8(SIGNED.to_vec())
        .unwrap()
        .replace("files:\n", &format!("files:\n{lines}"));
    assert_eq!(
        refusal(large.as_bytes()),
        "the list of digests in the provenance file is too large"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Provenance with a changed byte is refused, or the entry is the same but for the signature's
    /// text.
    #[test]
    fn changed_byte(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let hash = &spec_of(&submit("helm", spec(SIGNED)).unwrap())["chart"]["hash"];
        let mut provenance = SIGNED.to_vec();
        provenance[at.index(SIGNED.len())] ^= 1_u8 << bit;
        if let Ok(entry) = submit("helm", spec(&provenance)) {
            prop_assert_eq!(&spec_of(&entry)["chart"]["hash"], hash);
        }
    }
}
