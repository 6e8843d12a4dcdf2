//! Claims: values that an entry gives to names, of which each should have one in the whole ledger.
//!
//! Names and values are opaque here. A value belongs to an aspect of its name, and only values of
//! one aspect are compared. The first entry that gives a name values decides on all of them: none of
//! a later entry is ever compared with.

use std::collections::BTreeMap;

use tlog::{Hash, LeafIndex};

use crate::TreeId;
use crate::ids::lower_case;

/// The values that an entry gives to a name, by their aspect. None if it names something and gives
/// it no value that could be compared.
pub type ClaimValues = BTreeMap<i16, Vec<u8>>;

/// A name as its table is keyed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey {
    /// First 16 bytes of a SHA-256 over the name of the ledger and the name in lower case.
    pub hash: [u8; 16],
    /// 0 for a name in lower case. Otherwise a hash of the name, so that names which differ in case
    /// alone are different names.
    pub case: i64,
}

impl NameKey {
    /// Returns the key of a name in a ledger.
    pub fn of(ledger: &str, name: &str) -> Self {
        let lower = lower_case(name);
        let digest = tlog::sha256(format!("{ledger}\0{lower}").as_bytes());
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest.0[..16]);
        let case = match lower == name {
            true => 0,
            false => {
                let digest = tlog::sha256(name.as_bytes());
                let mut case = [0; 8];
                case.copy_from_slice(&digest.0[..8]);
                // Never 0, which stands for no capital letter.
                i64::from_be_bytes(case) | 1
            }
        };
        Self { hash, case }
    }
}

/// A claim of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The key of its name.
    pub key: NameKey,
    /// The name, as it is shown.
    pub name: String,
    /// Its values.
    pub values: ClaimValues,
}

impl Claim {
    /// Returns what no two stored claims share: the key of the name, and whether it has values.
    pub fn place(&self) -> (NameKey, bool) {
        (self.key, !self.values.is_empty())
    }

    /// Returns what is wrong with it if it is of an entry with these index keys in this ledger.
    pub(crate) fn fault(&self, ledger: &str, index_keys: &[String]) -> Option<&'static str> {
        let ends_a_key = |text: &str| index_keys.iter().any(|key| key.ends_with(text));
        let mut values = self.values.values();
        if NameKey::of(ledger, &self.name) != self.key {
            Some("is not found under its name")
        } else if !ends_a_key(&lower_case(&self.name)) {
            Some("has a name that is not among the index keys")
        } else if !values.all(|value| ends_a_key(&hex::encode(value))) {
            Some("has a value that is not among the index keys")
        } else {
            None
        }
    }
}

/// A stored claim, without its name, and the entry that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredClaim {
    /// The key of its name.
    pub key: NameKey,
    /// Its values.
    pub values: ClaimValues,
    /// The entry.
    pub entry: Claimant,
}

/// The place of an entry that made a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Its tree.
    pub tree: TreeId,
    /// Its index in the tree.
    pub leaf_index: LeafIndex,
    /// Its index in all trees of its log.
    pub log_index: u64,
    /// Its leaf hash.
    pub leaf_hash: Hash,
}

/// The claims that a round stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewClaims {
    /// Claims with the leaf index of their entry. Each [place](Claim::place) is there once.
    pub rows: Vec<(Claim, LeafIndex)>,
    /// The outcome if another entry has made one of them meanwhile.
    pub taken: Taken,
}

/// The outcome of a round one of whose claims is stored already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taken {
    /// The round is stored without that claim: nobody relies on it.
    #[default]
    Kept,
    /// Nothing of the round is stored, with [`StoreError::Conflict`](super::StoreError::Conflict),
    /// because the claims of its entries were judged without that one.
    Refused,
}
