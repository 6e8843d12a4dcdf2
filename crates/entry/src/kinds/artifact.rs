//! The artifact of a kind that takes it whole: `{"hash":{"algorithm":…,"value":…},"content":…}`.

use crate::kind::Purpose;
use crate::member::Member;
use crate::refusal::Refusal;
use crate::search;
use pki::Work;
use pki::digest::{Digest, HashAlgorithm};

/// An artifact as submitted, and the SHA-256 that the client claims.
pub(super) struct Artifact {
    pub(super) content: Vec<u8>,
    claimed: Option<String>,
}

impl Artifact {
    /// Decodes the member `name` of a spec. None if it is not an object. Faults of its fields are
    /// added to `faults`, in the words of Rekor.
    pub(super) fn decode(
        member: Member<'_>,
        name: &str,
        faults: &mut Vec<String>,
    ) -> Result<Option<Self>, Refusal> {
        let Some([hash, content]) = member.object(["hash", "content"])? else {
            faults.push(format!("{name} in body is required"));
            return Ok(None);
        };
        let content = content.base64(&format!("{name} content"))?;
        let claimed = match hash.object(["algorithm", "value"])? {
            None => None,
            Some([algorithm, value]) => {
                let path = format!("{name}.{name}.hash.{name}.hash");
                match algorithm.text()?.as_deref() {
                    Some("sha256") => {}
                    Some(_) => faults.push(format!(
                        "{path}.algorithm in body should be one of [sha256]"
                    )),
                    None => faults.push(format!("{path}.algorithm in body is required")),
                }
                let value = value.text()?;
                if value.is_none() {
                    faults.push(format!("{path}.value in body is required"));
                }
                value.map(|value| value.into_owned())
            }
        };
        Ok(Some(Self { content, claimed }))
    }

    /// Checks what Rekor checks when it reads a proposal: the claimed hash is well-formed, or the
    /// artifact is there.
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        match &self.claimed {
            Some(value) => Digest::from_hex(HashAlgorithm::Sha256, value)
                .map(drop)
                .map_err(|_| Refusal::Invalid("invalid value for hash".to_owned())),
            None if self.content.is_empty() => Err(Refusal::Invalid(
                "'content' must be specified for package".to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// Checks that the artifact is there where `purpose` needs it.
    pub(super) fn require_content(&self, purpose: Purpose<'_>, name: &str) -> Result<(), Refusal> {
        match purpose {
            Purpose::Insert { .. } if self.content.is_empty() => Err(Refusal::Invalid(format!(
                "entry not insertable into log: missing {name} content"
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the artifact's SHA-256 in hexadecimal digits. It MUST be the claimed one, if the
    /// client claims one.
    pub(super) fn sha256(&self, work: &mut Work) -> Result<String, Refusal> {
        work.take_hashing(self.content.len())?;
        let computed = hex::encode(tlog::sha256(&self.content).0);
        match &self.claimed {
            Some(claimed) if *claimed != computed => Err(Refusal::Invalid(format!(
                "SHA mismatch: {computed} != {claimed}"
            ))),
            _ => Ok(computed),
        }
    }
}

/// Refuses with a list of the faults of fields, if there are any.
pub(super) fn refuse(faults: &[String]) -> Result<(), Refusal> {
    match faults {
        [] => Ok(()),
        faults => Err(Refusal::Invalid(format!(
            "validation failure list:\n{}",
            faults.join("\n")
        ))),
    }
}

/// `sha256:<value>` of the hash in leaf bytes.
pub(super) fn hash_key_of_leaf(hash: Member<'_>) -> Result<String, Refusal> {
    let [algorithm, value] = hash.object(["algorithm", "value"])?.unwrap_or_default();
    match (algorithm.text()?, value.text()?) {
        // Another log may have taken what would be one of this log's own keys.
        (Some(algorithm), Some(value)) if !search::is_reserved(&algorithm) => {
            Ok(format!("{algorithm}:{value}"))
        }
        _ => Err(Refusal::Invalid("the leaf bytes have no hash".to_owned())),
    }
}

/// Returns the bytes of a `publicKey`. None if it is not an object.
pub(super) fn key_content(public_key: Member<'_>) -> Result<Option<Vec<u8>>, Refusal> {
    let content = public_key.object(["content"])?;
    content
        .map(|[content]| content.base64("publicKey content"))
        .transpose()
}

/// Returns the key. If it is absent, adds a fault.
pub(super) fn require_key(key: Option<Vec<u8>>, faults: &mut Vec<String>) -> Vec<u8> {
    match &key {
        None => faults.push("publicKey in body is required".to_owned()),
        Some(content) if content.is_empty() => {
            faults.push("publicKey.publicKey.content in body is required".to_owned());
        }
        Some(_) => {}
    }
    key.unwrap_or_default()
}
