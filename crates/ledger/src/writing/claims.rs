//! Claims: whether the values that the entries of a round give to names are those of the ledger.
//! Pure.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tlog::{Hash, LeafIndex};

use super::append_error::{AppendError, NotSequenced};
use super::contradiction::{Contradiction, Difference, contradicts_key};
use super::seal::{Freshness, Outcome};
use crate::store::{
    Claimant, EntryRow, IndexKeys, NO_VALUE, NameKey, NewClaims, OnContradiction, OnIncomparable,
    Round, StoredClaim, Taken,
};

/// The entries of a round after their claims were judged.
pub(super) struct Judged<'r> {
    /// The rows to seal: those that are not refused. Rows that contradict have their mark.
    pub(super) rows: Cow<'r, [Arc<EntryRow>]>,
    /// Claims that are stored already.
    pub(super) stored: HashSet<(NameKey, i16)>,
    /// For each row that was given, if any was compared.
    verdicts: Vec<Verdict>,
}

/// The outcome for one row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is sealed, although these names differ.
    Sealed(Vec<Disagreement>),
    Refused(Disagreement),
}

/// A name whose value in a row is not the one of an earlier entry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Disagreement {
    name: String,
    difference: Difference,
    first: First,
}

/// The entry that gave a name its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Stored(Claimant),
    /// A row before it in the round, by its position among the rows to seal.
    InRound(usize),
}

/// A value of a name that is known.
struct Known {
    aspect: i16,
    value: Vec<u8>,
    first: First,
}

/// Returns the names that have to be looked up for these rows.
pub(super) fn names(rows: &[Arc<EntryRow>]) -> Vec<NameKey> {
    let compared = rows.iter().filter(|row| row.claim_rules.compare());
    let mut names: Vec<NameKey> = compared
        .flat_map(|row| row.claims.iter().map(|claim| claim.key))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl<'r> Judged<'r> {
    /// Returns rows none of which has claims to compare.
    pub(super) fn unseen(rows: &'r [Arc<EntryRow>]) -> Self {
        Self {
            rows: Cow::Borrowed(rows),
            stored: HashSet::new(),
            verdicts: Vec::new(),
        }
    }

    /// Judges the rows in their order: each against the stored claims and those of the rows before
    /// it. An entry of `in_tree` is there already, so it is never refused.
    pub(super) fn new(
        rows: &'r [Arc<EntryRow>],
        stored: &[StoredClaim],
        in_tree: &HashSet<Hash>,
    ) -> Self {
        let mut known: HashMap<NameKey, Vec<Known>> = HashMap::new();
        for claim in stored {
            known.entry(claim.key).or_default().push(Known {
                aspect: claim.aspect,
                value: claim.value.clone(),
                first: First::Stored(claim.entry),
            });
        }
        let mut sealed: Vec<Arc<EntryRow>> = Vec::with_capacity(rows.len());
        let mut verdicts = Vec::with_capacity(rows.len());
        for row in rows {
            let verdict = match in_tree.contains(&row.leaf_hash) {
                true => Verdict::Sealed(Vec::new()),
                false => verdict(row, &known),
            };
            if let Verdict::Sealed(disagreements) = &verdict {
                keep(&mut known, row, First::InRound(sealed.len()));
                sealed.push(marked(row, disagreements));
            }
            verdicts.push(verdict);
        }
        Self {
            rows: Cow::Owned(sealed),
            stored: stored
                .iter()
                .map(|claim| (claim.key, claim.aspect))
                .collect(),
            verdicts,
        }
    }

    /// Returns the claims of a sealed round that are not stored yet, each key and aspect once: the
    /// first one in the round.
    pub(super) fn new_claims(&self, round: &Round) -> NewClaims {
        let mut claims = NewClaims::default();
        let mut taken = HashSet::new();
        for (index, row) in (round.head.prev_size.0..).zip(&round.entries) {
            if row.claim_rules.compare() && !row.claims.is_empty() {
                claims.taken = Taken::Refused;
            }
            for claim in &row.claims {
                let key = (claim.key, claim.aspect);
                if !self.stored.contains(&key) && taken.insert(key) {
                    claims.rows.push((claim.clone(), LeafIndex(index)));
                }
            }
        }
        claims
    }

    /// Returns the leaf hashes of the rows that are refused.
    pub(super) fn refused(&self, rows: &[Arc<EntryRow>]) -> Vec<Hash> {
        let judged = rows.iter().zip(&self.verdicts);
        let refused = judged.filter(|(_, verdict)| matches!(verdict, Verdict::Refused(_)));
        refused.map(|(row, _)| row.leaf_hash).collect()
    }

    /// Returns the outcome of each row that was given, and the differences that it was appended
    /// with. `outcomes` are those of the rows to seal; `place` returns the place of one of them.
    pub(super) fn answers(
        self,
        outcomes: Vec<Outcome>,
        place: impl Fn(Outcome, Hash) -> Claimant,
    ) -> (Vec<Result<Outcome, NotSequenced>>, Vec<Contradiction>) {
        if self.verdicts.is_empty() {
            return (outcomes.into_iter().map(Ok).collect(), Vec::new());
        }
        let found = |found: Disagreement| Contradiction {
            name: found.name,
            difference: found.difference,
            first: match found.first {
                First::Stored(first) => first,
                First::InRound(at) => place(outcomes[at], self.rows[at].leaf_hash),
            },
        };
        let mut answers = Vec::with_capacity(self.verdicts.len());
        let mut tolerated = Vec::new();
        let mut sealed = outcomes.iter();
        for verdict in self.verdicts {
            match verdict {
                Verdict::Refused(disagreement) => {
                    let error = AppendError::Contradiction(Box::new(found(disagreement)));
                    answers.push(Err(error.into()));
                }
                Verdict::Sealed(disagreements) => {
                    let Some(&outcome) = sealed.next() else { break };
                    if let Freshness::New { .. } = outcome.freshness {
                        tolerated.extend(disagreements.into_iter().map(found));
                    }
                    answers.push(Ok(outcome));
                }
            }
        }
        (answers, tolerated)
    }
}

/// Judges a row against what is known.
fn verdict(row: &EntryRow, known: &HashMap<NameKey, Vec<Known>>) -> Verdict {
    let rules = row.claim_rules;
    if !rules.compare() {
        return Verdict::Sealed(Vec::new());
    }
    let mut disagreements = disagreements(row, known);
    let is_refused = |found: &Disagreement| match found.difference {
        Difference::OtherValue => rules.contradictory == OnContradiction::Refused,
        Difference::OtherAspect => rules.incomparable == OnIncomparable::Refused,
    };
    match disagreements.iter().position(is_refused) {
        Some(at) => Verdict::Refused(disagreements.swap_remove(at)),
        None => Verdict::Sealed(disagreements),
    }
}

/// Returns the names of a row that have another value, each once, and those that have values with
/// which the ones of the row cannot be compared.
fn disagreements(row: &EntryRow, known: &HashMap<NameKey, Vec<Known>>) -> Vec<Disagreement> {
    // The best comparison of each name: an equal value, another value, none.
    let mut differing: HashMap<NameKey, Option<Disagreement>> = HashMap::new();
    for claim in &row.claims {
        let Some(others) = known.get(&claim.key) else {
            continue;
        };
        let disagreement = |difference, first| {
            Some(Disagreement {
                name: claim.name.clone(),
                difference,
                first,
            })
        };
        let same = others
            .iter()
            .find(|other| claim.aspect != NO_VALUE && other.aspect == claim.aspect);
        let comparison = match (same, others.first()) {
            (Some(other), _) if other.value == claim.value => None,
            (Some(other), _) => disagreement(Difference::OtherValue, other.first),
            (None, Some(other)) => disagreement(Difference::OtherAspect, other.first),
            (None, None) => continue,
        };
        let best = differing
            .entry(claim.key)
            .or_insert_with(|| comparison.clone());
        // Another value counts before an equal one in another aspect, and an equal one before none.
        if rank(comparison.as_ref()) > rank(best.as_ref()) {
            *best = comparison;
        }
    }
    let mut found: Vec<Disagreement> = differing.into_values().flatten().collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn rank(comparison: Option<&Disagreement>) -> u8 {
    match comparison.map(|found| found.difference) {
        Some(Difference::OtherAspect) => 0,
        None => 1,
        Some(Difference::OtherValue) => 2,
    }
}

/// Adds the claims of a row to what is known, unless there is an earlier one.
fn keep(known: &mut HashMap<NameKey, Vec<Known>>, row: &EntryRow, first: First) {
    for claim in &row.claims {
        let others = known.entry(claim.key).or_default();
        if others.iter().all(|other| other.aspect != claim.aspect) {
            others.push(Known {
                aspect: claim.aspect,
                value: claim.value.clone(),
                first,
            });
        }
    }
}

/// Returns a row with the index keys that say which of its names have another value.
fn marked(row: &Arc<EntryRow>, disagreements: &[Disagreement]) -> Arc<EntryRow> {
    let other_values = disagreements
        .iter()
        .filter(|found| found.difference == Difference::OtherValue);
    let marks: Vec<String> = other_values
        .map(|found| contradicts_key(&found.name))
        .collect();
    if marks.is_empty() {
        return Arc::clone(row);
    }
    // Unpacking what was packed here cannot fail. Without its mark the entry would still be logged.
    let Ok(mut texts) = row.index_keys.texts() else {
        return Arc::clone(row);
    };
    texts.extend(marks);
    texts.sort_unstable();
    texts.dedup();
    Arc::new(EntryRow {
        index_keys: IndexKeys::of(&texts),
        ..EntryRow::clone(row)
    })
}

#[cfg(test)]
mod tests;
