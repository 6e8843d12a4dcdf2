//! What a leaf says by itself: for monitors, audits and people who look at an entry.

mod signer;
mod statement;

use serde::Serialize;

use crate::envelope::Envelope;
use crate::index_keys::lower_case;
use crate::kinds::KindName;
use crate::parts::{KeyIndex, Parts};
use crate::refusal::Refusal;
use crate::search::raw_keys;

pub use signer::{CertificateSummary, Signer};
pub use statement::{StatementSummary, summarize_attestation};

/// The claims of leaf bytes of any kind of both APIs. Nothing is verified: whoever needs to know
/// that an entry is in a log, or that a signature is right, checks that apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The kind, `hashedrekord`.
    pub kind: String,
    /// The version of the kind, `0.0.1`.
    pub version: String,
    /// Digests of artifacts, envelopes and payloads, `sha256:<hexadecimal digits in lower case>`.
    pub digests: Vec<String>,
    /// The keys that the leaf holds, in its order. Of a `rfc3161` entry the certificates in the
    /// time-stamp, of a `tuf` entry the root.
    pub signers: Vec<Signer>,
    /// The search keys that follow from the leaf, each once and in lower case. A `dsse`, `intoto`
    /// or `cose` entry has others besides, which follow from its payload
    /// ([`StatementSummary::index_keys`]).
    pub index_keys: Vec<String>,
}

/// Why bytes have no summary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// They are not a JSON object with the form of an entry.
    #[error("not an entry: {0}")]
    NotAnEntry(#[from] Refusal),
    /// The object names no kind.
    #[error("not an entry: it names no kind")]
    NoKind,
}

/// Returns what a leaf says. An entry of a kind that is not known here has neither digests nor
/// signers. A key or certificate that cannot be read is no error: its signer has the parts that can
/// be read, at least the hash of the key.
///
/// The time it takes is proportional to the length of the leaf, but for OpenPGP keys and TUF roots,
/// whose own signatures are checked within the work that a request of this length may cause.
pub fn summarize(leaf_bytes: &[u8]) -> Result<Summary, Unreadable> {
    let envelope = Envelope::from_json(leaf_bytes)?;
    let (kind, version, spec) = envelope.parts();
    if kind.is_empty() {
        return Err(Unreadable::NoKind);
    }
    let registered = KindName::new(kind).and_then(|name| name.in_version(version));
    let parts = match (registered, spec) {
        (Ok(kind), Some(spec)) => kind.parts_of_leaf(spec),
        _ => Parts::new(),
    };
    let signers = parts.keys.iter();
    let signers = signers
        .map(|(format, key)| Signer::read(*format, key))
        .collect();
    Ok(Summary {
        kind: kind.to_owned(),
        version: version.to_owned(),
        ..of_parts(parts, signers)
    })
}

fn of_parts(parts: Parts, signers: Vec<(Signer, Vec<String>)>) -> Summary {
    let mut index_keys = Vec::new();
    for (signer, names) in &signers {
        match parts.key_index {
            KeyIndex::Hash => index_keys.push(signer.key_hash.clone()),
            KeyIndex::HashTwice => {
                index_keys.push(format!("sha256:{}", signer.key_hash));
                index_keys.push(signer.key_hash.clone());
            }
            KeyIndex::None => continue,
        }
        index_keys.extend_from_slice(names);
    }
    index_keys.extend(raw_keys(&parts.digests));
    index_keys.extend(parts.index_keys);
    Summary {
        digests: lower_case(parts.digests),
        signers: signers.into_iter().map(|(signer, _)| signer).collect(),
        index_keys: lower_case(index_keys),
        ..Summary::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_than_entries_have_no_summary() {
        for bytes in [&b"{}"[..], b"null", b"[]", b"", b"\xff", b"{\"kind\":7}"] {
            assert!(summarize(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_entry_of_an_unknown_kind_has_a_summary() {
        let summary = summarize(br#"{"apiVersion":"7","kind":"new","spec":[]}"#).unwrap();
        assert_eq!((&*summary.kind, &*summary.version), ("new", "7"));
        assert!(summary.signers.is_empty());
    }

    #[test]
    fn a_key_that_cannot_be_read_has_a_hash() {
        let leaf = br#"{"apiVersion":"0.0.1","kind":"dsse","spec":{
            "payloadHash":{"algorithm":"sha256","value":"AB"},
            "signatures":[{"verifier":"eHg="},7,{"verifier":"LS0t"}]}}"#;
        let summary = summarize(leaf).unwrap();
        assert_eq!(summary.digests, ["sha256:ab"]);
        let hashes: Vec<&str> = summary.signers.iter().map(|s| &*s.key_hash).collect();
        let expected = [b"xx", &b"---"[..]].map(|key| hex::encode(tlog::sha256(key).0));
        assert_eq!(hashes, expected);
        assert!(summary.index_keys.contains(&expected[0]));
    }

    #[test]
    fn statements_do_not_forge_the_keys_of_this_log() {
        let statement = br#"{"subject":[{"name":"x","digest":{
            "sha256":"AB","Purl=pkg":"npm/victim@1.0.0","contradicts=pkg":"npm/victim@1.0.0"}}]}"#;
        let summary = summarize_attestation(statement);
        assert_eq!(summary.digests, ["sha256:ab"]);
        assert_eq!(summary.index_keys, ["sha256:ab", "subject=x"]);
    }

    #[test]
    fn packages_of_statements() {
        let statement = br#"{"predicateType":"p","subject":[
            {"name":"pkg:npm/%40a/b@1.0.0?x=y","digest":{"sha512":"AB"}},7,
            {"name":7,"uri":"pkg:pypi/x@2","digest":{"sha256":"cd","x":7}},
            {"name":"file","digest":{"sha1":"ef"}}]}"#;
        let summary = summarize_attestation(statement);
        let packages: Vec<(&str, &[String])> = summary
            .packages
            .iter()
            .map(|package| (&*package.purl, &*package.digests))
            .collect();
        let digests = |texts: &[&str]| texts.iter().map(|&t| t.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            packages,
            [
                ("pkg:npm/@a/b@1.0.0", &*digests(&["sha512:ab"])),
                ("pkg:pypi/x@2", &*digests(&["sha256:cd", "x:"])),
            ]
        );
        assert_eq!(summary.predicate_type, "p");
        let keys = &summary.index_keys;
        assert!(keys.contains(&"purl=pkg:npm/@a/b".to_owned()), "{keys:?}");
        for nothing in [&b"text"[..], b"", b"[]", b"{}"] {
            assert_eq!(summarize_attestation(nothing), StatementSummary::default());
        }
    }
}
