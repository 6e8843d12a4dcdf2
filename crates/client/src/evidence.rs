//! What somebody saw of a log that must not be, in a file that anybody can check with the log's key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tlog::{Hash, TileId};

use crate::bulk::{BadEntry, BadTile};
use crate::error::VerifyError;
use crate::head::SignedHead;
use crate::key::LogKey;
use crate::proof::Consistency;
use crate::site::{Fault, HistoryError};

mod check;
#[cfg(test)]
mod tests;

/// The format of the file.
const FORMAT: &str = "treehead-evidence/1";

/// Evidence against a log.
///
/// Some claims follow from signatures of the log alone ([`Weight::Proved`]). Others need the word of
/// the observer for what no signature covers, such as the time ([`Weight::Reported`]); of these, all
/// that can be checked is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// `treehead-evidence/1`.
    pub format: String,
    /// The URL of the log.
    pub log: String,
    /// When it was observed, Unix seconds.
    pub time: i64,
    /// The keys that signed the heads, as vkeys, to find the right ones. They are not trusted.
    #[serde(default)]
    pub keys: Vec<String>,
    /// What is claimed.
    #[serde(flatten)]
    pub claim: Claim,
}

/// What is claimed. Heads are signed notes, hashes are hexadecimal, bytes are base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "claim",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Claim {
    /// The log signed two heads of one tree, and neither continues the other.
    Fork {
        /// The head that was seen first.
        seen: String,
        /// The other one.
        now: String,
        /// The URL of the observer that was shown `seen`. Unset: the same one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown_by: Option<String>,
        /// Proof that the larger tree begins with another tree than the smaller one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<Prefix>,
        /// The proof that the log offered instead. It leads nowhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offered: Option<Vec<String>>,
    },
    /// The log shows a smaller tree than before, and proves nothing up to the larger one.
    WentBack {
        /// The larger head.
        seen: String,
        /// The smaller head.
        now: String,
        /// The URL of the observer that was shown `seen`. Unset: the same one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown_by: Option<String>,
    },
    /// The log no longer lists a tree.
    LostTree {
        /// The last head of the tree.
        seen: String,
        /// The head of the tree that the log shows now.
        now: String,
    },
    /// The log shows no newer head, or none at all.
    Stale {
        /// The newest head that was seen.
        head: String,
        /// When it was seen first, Unix seconds.
        since: i64,
        /// What the log does instead.
        why: String,
    },
    /// An answer of the log does not verify.
    BadAnswer {
        /// What was asked.
        url: String,
        /// The answer.
        answer: String,
        /// Why it is not accepted.
        why: String,
    },
    /// A bundle shows other bytes for an entry than the tree contains, or leaves it out.
    BadEntry {
        /// The head of the tree.
        head: String,
        /// The index of the entry in the tree.
        leaf_index: u64,
        /// The leaf hash that the tree contains there.
        leaf_hash: String,
        /// The inclusion proof of that leaf hash.
        hashes: Vec<String>,
        /// The bytes in the bundle. Unset: the bundle ends before the entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        served: Option<String>,
    },
    /// A tile does not lead to the root of the head.
    BadTile {
        /// The head of the tree.
        head: String,
        /// The partial tiles at the right edge, then those on the way down. The last one is at
        /// fault, or all partial ones together.
        tiles: Vec<Tile>,
    },
}

/// Proof that a tree begins with a smaller tree of a certain root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prefix {
    /// The root of the smaller tree.
    pub first_root: String,
    /// The consistency proof.
    pub hashes: Vec<String>,
}

/// A tile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tile {
    /// Its level.
    pub level: u8,
    /// Its index in the level.
    pub index: u64,
    /// Its hashes, 32 bytes each, in base64.
    pub hashes: String,
}

/// What evidence shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it shows.
    pub weight: Weight,
    /// What it shows, in words.
    pub text: String,
    /// The heads, whose signatures were verified.
    pub heads: Vec<SignedHead>,
}

/// How much evidence shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Signatures of the log prove the claim. Nothing else needs to be believed.
    Proved,
    /// The heads are signed by the log, and nothing contradicts the claim. The rest is the word of
    /// the observer.
    Reported,
}

/// Why evidence shows nothing.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Not a file of evidence.
    #[error("not a file of evidence: {0}")]
    Json(#[from] serde_json::Error),
    /// Another format.
    #[error("the format is {0:?}, and this program reads {FORMAT:?}")]
    Format(String),
    /// A head or a part does not verify.
    #[error(transparent)]
    Part(#[from] VerifyError),
    /// The parts contradict the claim.
    #[error("it does not show what it claims: {0}")]
    Refuted(String),
}

impl Evidence {
    /// Makes evidence of a claim about heads that were verified.
    pub fn new(log: &str, time: i64, heads: &[&SignedHead], claim: Claim) -> Self {
        let mut keys: Vec<String> = heads.iter().map(|head| head.signer.to_string()).collect();
        keys.dedup();
        Self {
            format: FORMAT.to_owned(),
            log: log.to_owned(),
            time,
            keys,
            claim,
        }
    }

    /// Makes evidence of two heads of one tree of which neither continues the other. `shown_by` is
    /// the URL of the observer that was shown `seen`, if it was another one.
    pub fn of_history(
        log: &str,
        time: i64,
        seen: &SignedHead,
        now: &SignedHead,
        error: &HistoryError,
        shown_by: Option<&str>,
    ) -> Self {
        let (note, other) = (seen.note.clone(), now.note.clone());
        let shown_by = shown_by.map(str::to_owned);
        let claim = match &error.fault {
            Fault::WentBack => Claim::WentBack {
                seen: note,
                now: other,
                shown_by,
            },
            Fault::TwoRoots => Claim::Fork {
                seen: note,
                now: other,
                shown_by,
                prefix: None,
                offered: None,
            },
            Fault::NotProved {
                hashes, first_root, ..
            } => {
                let prefix = prefix(seen, now, hashes, first_root.as_ref());
                let offered = prefix.is_none().then(|| texts(hashes));
                Claim::Fork {
                    seen: note,
                    now: other,
                    shown_by,
                    prefix,
                    offered,
                }
            }
        };
        Self::new(log, time, &[seen, now], claim)
    }

    /// Makes evidence of an answer that does not verify.
    pub fn of_answer(log: &str, time: i64, url: &str, answer: &[u8], error: &VerifyError) -> Self {
        let claim = Claim::BadAnswer {
            url: url.to_owned(),
            answer: STANDARD.encode(answer),
            why: error.to_string(),
        };
        Self::new(log, time, &[], claim)
    }

    /// Makes evidence of an entry that its tile contradicts.
    pub fn of_entry(log: &str, time: i64, bad: &BadEntry) -> Self {
        let proof = &bad.inclusion;
        let claim = Claim::BadEntry {
            head: proof.head.note.clone(),
            leaf_index: proof.leaf_index.0,
            leaf_hash: proof.leaf_hash.to_string(),
            hashes: texts(&proof.hashes),
            served: bad.served.as_ref().map(|bytes| STANDARD.encode(bytes)),
        };
        Self::new(log, time, &[&proof.head], claim)
    }

    /// Makes evidence of a tile that does not lead to the root of its head.
    pub fn of_tile(log: &str, time: i64, bad: &BadTile) -> Self {
        let tile = |(id, hashes): &(TileId, Vec<Hash>)| {
            let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
            Tile {
                level: id.level,
                index: id.index,
                hashes: STANDARD.encode(bytes),
            }
        };
        let claim = Claim::BadTile {
            head: bad.head.note.clone(),
            tiles: bad.tiles.iter().map(tile).collect(),
        };
        Self::new(log, time, &[&bad.head], claim)
    }

    /// Reads a file of evidence.
    ///
    /// # Errors
    ///
    /// It is not one, or of another format.
    pub fn read(text: &[u8]) -> Result<Self, EvidenceError> {
        let evidence: Self = serde_json::from_slice(text)?;
        match evidence.format == FORMAT {
            true => Ok(evidence),
            false => Err(EvidenceError::Format(evidence.format)),
        }
    }

    /// Returns the text of the file.
    pub fn to_json(&self) -> String {
        // Texts, numbers and lists of them are always written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Checks the evidence with keys of the log that the caller trusts.
    ///
    /// # Errors
    ///
    /// A head is not signed by the keys, or the parts contradict the claim.
    pub fn verify(&self, keys: &[LogKey]) -> Result<Finding, EvidenceError> {
        check::check(keys, &self.claim)
    }
}

/// Returns the proof that the larger tree begins with another tree than the smaller one, if the
/// hashes that the log offers are one.
fn prefix(
    seen: &SignedHead,
    now: &SignedHead,
    hashes: &[Hash],
    first_root: Option<&Hash>,
) -> Option<Prefix> {
    let (first, second) = match seen.size() <= now.size() {
        true => (seen, now),
        false => (now, seen),
    };
    let (hashes, head) = (hashes.to_vec(), second.clone());
    let proof = match first_root {
        Some(root) => Consistency::verify(first.size(), *root, hashes, head),
        None => Consistency::derive(first.size(), hashes, head),
    };
    let proof = proof.ok()?;
    (proof.first_root != *first.root()).then(|| Prefix {
        first_root: proof.first_root.to_string(),
        hashes: texts(&proof.hashes),
    })
}

fn texts(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(Hash::to_string).collect()
}
