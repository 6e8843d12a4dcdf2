//! The APIs by which the logs of a ledger take entries. An API decides the form of its log: which
//! keys it has, which texts its heads are signed in, how large a leaf may be.

use std::fmt;

use tlog::KeyAlgorithm;

/// An API, and the form of the log that follows from it.
///
/// A ledger holds at most one log of an API. Another kind of log is another value of this type.
#[derive(Debug)]
pub struct Api {
    /// Name in the database, the settings and the metrics.
    pub name: &'static str,
    /// Algorithms that the log key may have, the usual one first.
    pub log_key: &'static [KeyAlgorithm],
    /// The texts in which heads are signed.
    pub heads: HeadForm,
    /// Larger leaves are refused.
    pub max_leaf_bytes: u32,
}

/// The texts in which the heads of a log are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadForm {
    /// Rekor v1's text, signed by the log key, which signs entry timestamps too; and a C2SP
    /// checkpoint, signed by a key of its own.
    RekorV1,
    /// A C2SP checkpoint, signed by the log key. There are no signed entry timestamps.
    Checkpoint,
}

/// Rekor v1. Its clients verify signed entry timestamps only with ECDSA P-256.
///
/// A leaf may have 1 MiB, an eighth of a round. An entry bundle cannot hold one above
/// [`MAX_BUNDLED_LEAF_BYTES`].
pub static V1: Api = Api {
    name: "v1",
    log_key: &[KeyAlgorithm::EcdsaP256],
    heads: HeadForm::RekorV1,
    max_leaf_bytes: 1024 * 1024,
};

/// Rekor v2.
pub static V2: Api = Api {
    name: "v2",
    log_key: &[KeyAlgorithm::Ed25519, KeyAlgorithm::EcdsaP256],
    heads: HeadForm::Checkpoint,
    max_leaf_bytes: MAX_BUNDLED_LEAF_BYTES,
};

/// The APIs of this program, in the order in which their logs are shown.
pub static APIS: [&Api; 2] = [&V1, &V2];

/// Largest leaf of an entry bundle, which gives its length in 16 bits (C2SP tlog-tiles).
pub const MAX_BUNDLED_LEAF_BYTES: u32 = 65_535;

impl Api {
    /// Returns the API of this name among those of this program.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        APIS.into_iter().find(|api| api.name == name)
    }

    /// Whether a log key may have this algorithm.
    pub fn takes_key(&self, algorithm: KeyAlgorithm) -> bool {
        self.log_key.contains(&algorithm)
    }
}

impl PartialEq for Api {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Api {}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
