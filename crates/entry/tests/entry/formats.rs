//! Keys and signatures that real tools made: gpg 2.2.40 and 1.4.23 (with its clock set), minisign
//! 0.11, signify 31, ssh-keygen of OpenSSH 9.2. `docs/KINDS.md` says why each is taken or refused.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::{
    Policy, ProposedEntry, Refusal, UnixSeconds, VerifiedEntry, index_keys_of_leaf, key_search_key,
};
use serde_json::{Value, json};

/// No kind but TUF looks at it.
const NOW: UnixSeconds = UnixSeconds(0);

/// Format, key, signature.
type Case = (&'static str, &'static str, &'static str);

const TAKEN: [Case; 27] = [
    ("pgp", "ed25519.key", "ed25519.asc"),
    ("pgp", "ed25519.key", "ed25519.text.sig"),
    ("pgp", "nistp256.key", "nistp256.asc"),
    ("pgp", "nistp384.key", "nistp384.asc"),
    ("pgp", "nistp521.key", "nistp521.asc"),
    ("pgp", "secp256k1.key", "secp256k1.asc"),
    // What Rekor v1.5.4 refuses and v1.5.3 took.
    ("pgp", "old-rsa.key", "v3-rsa-sha256.asc"),
    ("pgp", "old-rsa.key", "v3-rsa-text.sig"),
    ("pgp", "old-dsa.key", "v3-dsa-sha1.asc"),
    ("pgp", "noflags.key", "noflags.asc"),
    ("pgp", "prolonged.key", "prolonged.asc"),
    ("pgp", "prolonged-subkey.key", "prolonged-subkey.asc"),
    // What both took.
    ("pgp", "prolonged.key", "late.asc"),
    ("pgp", "expired.key", "prolonged.asc"),
    ("pgp", "old-rsa.key", "rsa-sha1.asc"),
    ("pgp", "old-dsa.key", "dsa-sha1.asc"),
    ("pgp", "old-dsa.key", "dsa-sha256.asc"),
    // A hash that is shorter than the curve (made with go-crypto 1.4.1).
    ("pgp", "nistp384-sha256.key", "nistp384-sha256.asc"),
    ("pgp", "nistp521-sha256.key", "nistp521-sha256.asc"),
    // What v1.5.4 takes and v1.5.3 refused.
    ("pgp", "superseded.key", "before-revocation.asc"),
    ("minisign", "minisign.pub", "message.minisig"),
    ("minisign", "minisign.pub", "message.legacy.minisig"),
    ("minisign", "signify.pub", "signify.sig"),
    ("ssh", "ed25519.pub", "ed25519.sig"),
    ("ssh", "ed25519-cert.pub", "ed25519-cert.sig"),
    ("ssh", "ecdsab256.pub", "ecdsab256.sig"),
    ("ssh", "rsab2048.pub", "rsab2048.sig"),
];

const REFUSED: [(Case, &str); 11] = [
    (("pgp", "expired.key", "late.asc"), "openpgp: key expired"),
    (
        ("pgp", "superseded.key", "after-revocation.asc"),
        "openpgp: signature made by revoked key",
    ),
    (
        ("pgp", "compromised.key", "before-revocation.asc"),
        "openpgp: signature made by revoked key",
    ),
    (
        ("pgp", "old-rsa.key", "rsa-md5.asc"),
        "invalid PGP signature: openpgp: unsupported feature: hash function 1",
    ),
    (
        ("pgp", "old-rsa.key", "rsa-ripemd160.asc"),
        "invalid PGP signature: openpgp: unsupported feature: hash function 3",
    ),
    (
        ("pgp", "noflags.key", "noflags-subkey.asc"),
        "openpgp: signature made by unknown entity",
    ),
    (
        ("pgp", "brainpoolP256r1.key", "brainpoolP256r1.asc"),
        "error reading PGP public key: openpgp: signatures with Brainpool keys cannot be verified here",
    ),
    (
        ("pgp", "ed25519.key", "nistp256.asc"),
        "openpgp: signature made by unknown entity",
    ),
    (
        ("ssh", "ed25519.pub", "ed25519-sha256.sig"),
        "ssh: signature did not verify: only those over SHA-512 can be logged (ssh-keygen -O hashalg=sha512)",
    ),
    (
        ("ssh", "ed25519.pub", "ed25519-git.sig"),
        "invalid signature namespace: git",
    ),
    (
        ("ssh", "ecdsab256.pub", "ed25519.sig"),
        "ssh: signature type ssh-ed25519 for key type ecdsa-sha2-nistp256",
    ),
];

#[test]
fn output_of_real_tools_is_accepted() {
    let larger_curves = [
        ("ssh", "ecdsab384.pub", "ecdsab384.sig"),
        ("ssh", "ecdsab521.pub", "ecdsab521.sig"),
    ];
    for case in TAKEN.into_iter().chain(larger_curves) {
        let entry = verify(&proposal(case)).unwrap_or_else(|refusal| panic!("{case:?}: {refusal}"));
        let leaf: Value = serde_json::from_slice(entry.leaf_bytes()).unwrap();
        assert_eq!(
            serde_json_canonicalizer::to_vec(&leaf).unwrap(),
            entry.leaf_bytes(),
            "{case:?}"
        );
        let keys = index_keys_of_leaf(entry.leaf_bytes()).unwrap();
        assert_eq!(keys.as_deref(), Some(entry.index_keys()), "{case:?}");
        assert_eq!(
            key_search_key(case.0, &file(case.0, case.1)).as_ref(),
            Ok(&entry.index_keys()[0]),
            "{case:?}"
        );
    }
}

/// The canonical key and the canonical signature say what the submitted ones said.
#[test]
fn canonical_forms_are_fixed_points() {
    for case in TAKEN {
        let leaf = verify(&proposal(case)).unwrap().leaf_bytes().to_vec();
        let mut again: Value = serde_json::from_slice(&leaf).unwrap();
        again["spec"]["data"]["content"] = json!(STANDARD.encode(message()));
        let entry = verify(&again).unwrap_or_else(|refusal| panic!("{case:?}: {refusal}"));
        assert_eq!(entry.leaf_bytes(), leaf, "{case:?}");
    }
}

#[test]
fn refusals_say_why() {
    for (case, reason) in REFUSED {
        assert_eq!(refusal(&proposal(case)), reason, "{case:?}");
    }
}

#[test]
fn another_message_is_refused() {
    for case in TAKEN {
        let mut other = proposal(case);
        other["spec"]["data"]["content"] = json!(STANDARD.encode(b"signed by examplf\n"));
        let refusal = refusal(&other);
        let expected = match case.0 {
            "pgp" => "openpgp: invalid signature: ",
            "minisign" => "failed to verify signature",
            _ => "ssh: signature did not verify",
        };
        assert!(refusal.starts_with(expected), "{case:?}: {refusal}");
    }
}

#[test]
fn a_flipped_bit_of_a_signature_is_refused() {
    for case in TAKEN {
        let mut other = proposal(case);
        let signature = STANDARD
            .decode(other["spec"]["signature"]["content"].as_str().unwrap())
            .unwrap();
        let text = String::from_utf8_lossy(&signature).into_owned();
        // Of a text, a digit in the last line but one that has many of them.
        let at = match text.contains('\u{fffd}') {
            true => signature.len() - 1,
            false => {
                let line = text
                    .lines()
                    .rfind(|line| line.len() > 40 && !line.contains([' ', '-']));
                text.rfind(line.unwrap()).unwrap() + 20
            }
        };
        let mut flipped = signature;
        flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
        other["spec"]["signature"]["content"] = json!(STANDARD.encode(&flipped));
        // The last line of minisign is the signature over the comment, which Rekor does not look
        // at.
        let is_comment = case.2.ends_with("minisig");
        assert_eq!(verify(&other).is_ok(), is_comment, "{case:?}");
    }
}

/// No byte of a key or signature, changed or the last one, makes more than a refusal or another
/// entry.
#[test]
fn changed_and_cut_inputs_are_entries_or_refusals() {
    for case in [
        ("pgp", "noflags.key", "ed25519.text.sig"),
        ("minisign", "minisign.pub", "message.minisig"),
        ("ssh", "ed25519.pub", "ed25519.sig"),
    ] {
        let (key, signature) = (file(case.0, case.1), file(case.0, case.2));
        let key = if case.0 == "pgp" { binary(&key) } else { key };
        let good = if case.0 == "pgp" {
            binary(&file("pgp", "ed25519.key"))
        } else {
            key.clone()
        };
        for at in 0..key.len() {
            for change in [0xff, 0x01, 0x80] {
                let mut changed = key.clone();
                changed[at] ^= change;
                let _ = key_search_key(case.0, &changed);
            }
            let _ = key_search_key(case.0, &key[..at]);
        }
        for at in 0..signature.len() {
            for change in [0xff, 0x01, 0x80] {
                let mut changed = signature.clone();
                changed[at] ^= change;
                let _ = verify(&proposal_of(case.0, &good, &changed));
            }
            let cut = verify(&proposal_of(case.0, &good, &signature[..at]));
            assert!(cut.is_err() || case.0 != "pgp", "{at}");
        }
    }
}

/// What an armored block of gpg holds.
fn binary(armored: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(armored).unwrap();
    let (_, body) = text.split_once("\n\n").unwrap();
    STANDARD
        .decode(
            body.lines()
                .take_while(|line| !line.starts_with(['=', '-']))
                .collect::<String>(),
        )
        .unwrap()
}

/// User IDs stay in their order, and their addresses are index keys.
#[test]
fn addresses_of_user_ids_are_index_keys() {
    let entry = verify(&proposal(("pgp", "ed25519.key", "ed25519.asc"))).unwrap();
    let mut addresses = entry.index_keys()[1..3].to_vec();
    addresses.sort_unstable();
    assert_eq!(addresses, ["ed@keys.example", "two@keys.example"]);
}

fn proposal((format, key, signature): Case) -> Value {
    proposal_of(format, &file(format, key), &file(format, signature))
}

fn proposal_of(format: &str, key: &[u8], signature: &[u8]) -> Value {
    json!({"kind": "rekord", "apiVersion": "0.0.1", "spec": {
        "signature": {
            "format": format,
            "content": STANDARD.encode(signature),
            "publicKey": {"content": STANDARD.encode(key)},
        },
        "data": {"content": STANDARD.encode(message())},
    }})
}

fn verify(proposal: &Value) -> Result<VerifiedEntry, Refusal> {
    ProposedEntry::from_json(proposal.to_string().as_bytes())?.verify(&Policy::default(), NOW)
}

fn refusal(proposal: &Value) -> String {
    verify(proposal)
        .err()
        .map(|refusal| refusal.to_string())
        .unwrap_or_default()
}

fn message() -> Vec<u8> {
    file(".", "message")
}

fn file(format: &str, name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/entry/pki");
    std::fs::read(folder.join(format).join(name)).unwrap()
}
