//! Entries on their way into the log, and the outcome of an append.

use crate::ids::lower_case;
use crate::reading::entry::LoggedEntry;
use crate::store::{Attestation, Claim, ClaimRules, ClaimValues, EntryRow, IndexKeys, NameKey};

/// A verified entry on its way into the log.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// The bytes that are hashed. 1 to the tree's `max_leaf_bytes`.
    pub leaf_bytes: Vec<u8>,
    /// Kind and version tag, such as `hashedrekord:0.0.1`; opaque here.
    pub kind: String,
    /// Search keys; lower-cased and made distinct here. Any text.
    pub index_keys: Vec<String>,
    /// Bytes to keep beside the entry.
    pub attestation: Option<Attestation>,
    /// Values that it gives to names, each of which should have one in the whole ledger.
    pub claims: EntryClaims,
}

/// The claims of an entry. Each name is there once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryClaims {
    /// The claims.
    pub list: Vec<NewClaim>,
    /// What follows if a name has another value.
    pub rules: ClaimRules,
}

/// The values that an entry gives to a name. All of it is opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewClaim {
    /// The name: any text, of which case matters. In lower case it is the end of one of the index
    /// keys.
    pub name: String,
    /// Its values. The hexadecimal form of each is the end of one of the index keys.
    pub values: ClaimValues,
}

impl NewClaim {
    /// Returns the claim as it is stored in this ledger.
    pub(crate) fn into_claim(self, ledger: &str) -> Claim {
        Claim {
            key: NameKey::of(ledger, &self.name),
            name: self.name,
            values: self.values,
        }
    }
}

impl From<Claim> for NewClaim {
    fn from(claim: Claim) -> Self {
        Self {
            name: claim.name,
            values: claim.values,
        }
    }
}

impl NewEntry {
    /// Makes the row that is stored in a tree of this ledger.
    pub(crate) fn into_row(self, ledger: &str) -> EntryRow {
        let mut index_keys: Vec<String> = self
            .index_keys
            .into_iter()
            .map(|key| lower_case(&key))
            .collect();
        index_keys.sort_unstable();
        index_keys.dedup();
        let claims = self.claims.list.into_iter();
        let claims = claims.map(|claim| claim.into_claim(ledger));
        EntryRow {
            claims: claims.collect(),
            claim_rules: self.claims.rules,
            leaf_hash: tlog::leaf_hash(&self.leaf_bytes),
            kind: self.kind,
            body: self.leaf_bytes,
            index_keys: IndexKeys::of(&index_keys),
            // An erased attestation is empty, so an empty one is not stored.
            attestation: self
                .attestation
                .filter(|attestation| !attestation.data.is_empty()),
        }
    }
}

/// Outcome of an append. Either way the entry is durable and below the published head.
#[derive(Clone, Debug)]
pub enum Appended {
    /// It was given a leaf index now.
    Sequenced(LoggedEntry),
    /// Equal leaf bytes were in this tree already; this is the stored entry.
    Duplicate(LoggedEntry),
}
