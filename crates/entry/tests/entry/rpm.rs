//! RPM packages. The seeds of the fuzz target are signed by rpmsign, or by gpg where rpm would not
//! make them.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::packages::{base64, spec_of, submit};

const KEY: &[u8] = include_bytes!("../../../../fuzz/keys/pgp.asc");
const RPMSIGN: &[u8] = include_bytes!("../../../../fuzz/seeds/rpm/rpmsign");
const UNSIGNED: &[u8] = include_bytes!("../../../../fuzz/seeds/rpm/unsigned");
const ALL_SIGNED: &[u8] = include_bytes!("../../../../fuzz/seeds/rpm/all-signed");
const DIGEST: &[u8] = include_bytes!("../../../../fuzz/seeds/rpm/digest");

fn spec(package: &[u8]) -> Value {
    json!({"publicKey": {"content": base64(KEY)}, "package": {"content": base64(package)}})
}

fn refusal(package: &[u8]) -> String {
    submit("rpm", spec(package)).err().unwrap()
}

#[test]
fn signed_packages_are_taken() {
    let entry = submit("rpm", spec(RPMSIGN)).unwrap();
    let hash = tlog::sha256(RPMSIGN).to_string();
    let headers = json!({"Architecture": "noarch", "Epoch": "0", "Name": "hello", "Release": "1",
        "RPMSIGTAG_MD5": "7befbcf250363f67e056a4910c3cb69e", "Version": "1.0"});
    let expected = json!({"hash": {"algorithm": "sha256", "value": hash}, "headers": headers});
    assert_eq!(spec_of(&entry)["package"], expected);
    assert_eq!(
        entry.index_keys()[1..],
        ["packager@example.com".to_owned(), format!("sha256:{hash}")]
    );

    let headers = &spec_of(&submit("rpm", spec(DIGEST)).unwrap())["package"]["headers"];
    assert_eq!(
        (&headers["Epoch"], &headers["RPMSIGTAG_MD5"]),
        (&Value::from("7"), &Value::Null)
    );
    submit("rpm", spec(ALL_SIGNED)).unwrap();
}

#[test]
fn refusals_say_why() {
    assert_eq!(refusal(b"x"), "error reading RPM lead: unexpected EOF");
    assert_eq!(refusal(&[0; 100]), "file is not an RPM");
    assert_eq!(
        refusal(&RPMSIGN[..100]),
        "error reading RPM header: unexpected EOF"
    );
    assert_eq!(refusal(UNSIGNED), "no supported PGP signature found in RPM");
    let seeds: [(&[u8], &str); 5] = [
        (
            include_bytes!("../../../../fuzz/seeds/rpm/other-payload"),
            "payload digest mismatch",
        ),
        (
            include_bytes!("../../../../fuzz/seeds/rpm/other-header"),
            "SHA-256 mismatch in signature header",
        ),
        (
            include_bytes!("../../../../fuzz/seeds/rpm/other-md5"),
            "md5 digest mismatch",
        ),
        (
            include_bytes!("../../../../fuzz/seeds/rpm/header-only"),
            "the payload is covered by no signature, neither by one of its own nor by a digest in the signed header",
        ),
        (
            include_bytes!("../../../../fuzz/seeds/rpm/two-packets"),
            "openpgp: invalid data: trailing garbage after PGP signature packet",
        ),
    ];
    for (package, expected) in seeds {
        assert_eq!(refusal(package), expected);
    }
}

/// Counts and sizes in headers allocate nothing.
#[test]
fn sizes_that_are_claimed_are_not_believed() {
    for at in 96 + 8..96 + 16 {
        let mut package = RPMSIGN.to_vec();
        package[at] = 0xff;
        let refusal = refusal(&package);
        assert!(
            refusal.contains("RPM header") || refusal == "bad magic for header",
            "{refusal}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// A package with a changed byte is refused, or it was no byte that is signed.
    #[test]
    fn changed_byte(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        for original in [ALL_SIGNED, DIGEST] {
            let headers = &spec_of(&submit("rpm", spec(original)).unwrap())["package"]["headers"];
            let mut package = original.to_vec();
            package[at.index(original.len())] ^= 1_u8 << bit;
            if let Ok(entry) = submit("rpm", spec(&package)) {
                let changed = &spec_of(&entry)["package"]["headers"];
                prop_assert!(changed == headers || changed["RPMSIGTAG_MD5"].is_null());
            }
        }
    }
}
