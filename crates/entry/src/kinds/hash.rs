//! Hashes that the leaf bytes of several kinds hold instead of the client's bytes, and the index
//! keys of public keys.

use crate::kind::Canonical;
use crate::member::Member;
use crate::refusal::Refusal;
use crate::search;
use pki::digest::HashAlgorithm;
use pki::jcs;
use pki::x509::Key;

/// A SHA-256 in leaf bytes. The value is any text where a client gives it.
#[derive(Clone)]
pub(super) struct CommittedHash {
    value: String,
}

impl CommittedHash {
    /// The hash of `bytes`.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            value: tlog::sha256(bytes).to_string(),
        }
    }

    /// The hash that `member` gives, if it is an object. What is missing or wrong goes to `faults`,
    /// with `path` as Rekor has it in its messages.
    pub(super) fn from_json(
        member: Member<'_>,
        path: &str,
        faults: &mut Vec<String>,
    ) -> Result<Option<Self>, Refusal> {
        let Some([algorithm, value]) = member.object(["algorithm", "value"])? else {
            return Ok(None);
        };
        match algorithm.text()? {
            None => faults.push(format!("{path}.algorithm in body is required")),
            Some(name) if name != HashAlgorithm::Sha256.name() => {
                faults.push(format!(
                    "{path}.algorithm in body should be one of [sha256]"
                ));
            }
            Some(_) => {}
        }
        let value = value.text()?;
        if value.is_none() {
            faults.push(format!("{path}.value in body is required"));
        }
        Ok(value.map(|value| Self {
            value: value.into_owned(),
        }))
    }

    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// Returns the index key of the hash.
    pub(super) fn index_key(&self) -> String {
        format!("sha256:{}", self.value)
    }

    /// Appends it in its canonical form.
    pub(super) fn push_to(&self, leaf: &mut String) {
        *leaf += r#"{"algorithm":"sha256","value":"#;
        *leaf += &jcs::string(&self.value);
        leaf.push('}');
    }
}

/// Returns the index keys of a public key: its hash as Rekor names it in the index of envelopes,
/// with `sha256:`, by which its own search for a public key does not find them; the bare hash, by
/// which ours does; and the names in its certificate.
pub(super) fn index_keys_of_key(key: &Key) -> Vec<String> {
    let hash = search::key_hash(key);
    [format!("sha256:{hash}"), hash]
        .into_iter()
        .chain(search::key_names(key))
        .collect()
}

/// Refuses if anything is missing or wrong, with all of it in one message, as Rekor.
pub(super) fn validated(faults: Vec<String>) -> Result<(), Refusal> {
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Invalid(format!(
            "validation failure list:\n{}",
            faults.join("\n")
        ))),
    }
}

/// Why leaf bytes cannot be submitted once more, for a kind whose leaf bytes lack what was signed.
pub(super) fn not_insertable(reason: &str) -> Refusal {
    Refusal::Invalid(format!("entry not insertable into log: {reason}"))
}

/// The part of an entry that a look-up needs.
pub(super) fn found_by(leaf_bytes: Vec<u8>) -> Canonical {
    Canonical {
        leaf_bytes,
        index_keys: Vec::new(),
        attestation: None,
        packages: Vec::new(),
    }
}
