//! What may be logged: kinds, signature checks, canonical leaf bytes, index keys.
//!
//! Pure: no I/O, clock, randomness or async.

/// Why an entry is refused. The server maps it to Rekor's status and body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not JSON, or of the wrong JSON type. 400 (Rekor says 500 on create).
    #[error("{0}")]
    Json(String),
    /// A required member of the outer object is missing. 422, code 602, `<field> in body is required`.
    #[error("{0} in body is required")]
    Required(&'static str),
    /// `apiVersion` is not a semantic version. 422, code 605.
    #[error("{0}")]
    Pattern(String),
    /// Unknown kind. 422, code 422 on create; 400 on retrieve.
    #[error("invalid kind value: {0:?}")]
    UnknownKind(String),
    /// Everything else. 400 `error processing entry: <reason>` on create, the bare reason on retrieve.
    #[error("{0}")]
    Invalid(String),
}

/// What this log admits, beyond what a kind itself checks.
#[derive(Clone, Debug)]
pub struct Policy {}

impl Default for Policy {
    fn default() -> Self {
        Self {}
    }
}

/// Parsed but unchecked.
pub struct ProposedEntry {}

/// Checked: its signature verifies over what it claims, by the key it names, and the policy admits it.
pub struct VerifiedEntry {}

impl ProposedEntry {
    /// Parses `{"kind":…,"apiVersion":…,"spec":{…}}`.
    pub fn from_json(_json: &[u8]) -> Result<Self, Refusal> {
        todo!()
    }

    /// Verifies for insertion.
    pub fn verify(self, _policy: &Policy) -> Result<VerifiedEntry, Refusal> {
        todo!()
    }

    /// The leaf bytes to look up: checks as Rekor's `retrieve` does (signature, but neither policy nor insertability).
    pub fn leaf_bytes_for_lookup(self) -> Result<Vec<u8>, Refusal> {
        todo!()
    }
}

impl VerifiedEntry {
    /// Kind and version, `hashedrekord:0.0.1`.
    pub fn kind(&self) -> &'static str {
        todo!()
    }

    /// The canonical bytes that are hashed.
    pub fn leaf_bytes(&self) -> &[u8] {
        todo!()
    }

    /// Search keys, lower-cased.
    pub fn index_keys(&self) -> &[String] {
        todo!()
    }

    /// Takes it apart: leaf bytes and index keys.
    pub fn into_parts(self) -> (Vec<u8>, Vec<String>) {
        todo!()
    }
}

/// The index keys that follow from leaf bytes alone, for fsck; none where the kind's keys do not follow from the body.
pub fn index_keys_of_leaf(_leaf_bytes: &[u8]) -> Result<Option<Vec<String>>, Refusal> {
    todo!()
}

/// Key formats that `index/retrieve` takes.
pub const KEY_FORMATS: [&str; 5] = ["pgp", "x509", "minisign", "ssh", "tuf"];

/// `hex(sha256(canonical key))`, the search key of a public key. Errors for a key that does not parse.
pub fn key_search_key(_format: &str, _key: &[u8]) -> Result<String, Refusal> {
    todo!()
}
