//! Claims: whether the values that the entries of a round give to names are those of the ledger.
//! Pure.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tlog::{Hash, LeafIndex, TreeSize};

use super::append_error::{AppendError, NotSequenced};
use super::contradiction::{Contradiction, Difference, contradicts_key};
use super::seal::{Freshness, Outcome};
use crate::store::{
    ClaimValues, Claimant, EntryRow, IndexKeys, NameKey, NewClaims, OnContradiction,
    OnIncomparable, StoredClaim, Taken,
};

/// The entries of a round after their claims were judged.
pub(super) struct Judged<'r> {
    /// The rows to seal: those that are not refused. Rows that contradict have their mark.
    pub(super) rows: Cow<'r, [Arc<EntryRow>]>,
    /// Places of claims that are stored already.
    stored: HashSet<(NameKey, bool)>,
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

/// The values of a name that are known: those of the first entry that gave it any.
struct Known {
    values: ClaimValues,
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
        let with_values = stored.iter().filter(|claim| !claim.values.is_empty());
        let known = with_values.map(|claim| {
            let known = Known {
                values: claim.values.clone(),
                first: First::Stored(claim.entry),
            };
            (claim.key, known)
        });
        let mut known: HashMap<NameKey, Known> = known.collect();
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
                .map(|claim| (claim.key, !claim.values.is_empty()))
                .collect(),
            verdicts,
        }
    }

    /// Returns the claims of sealed rows, from the size `base` on, that are not stored yet, each place
    /// once: the first one among them.
    pub(super) fn new_claims(&self, base: TreeSize, rows: &[Arc<EntryRow>]) -> NewClaims {
        let mut claims = NewClaims::default();
        let mut taken = self.stored.clone();
        for (index, row) in (base.0..).zip(rows) {
            if row.claim_rules.compare() && !row.claims.is_empty() {
                claims.taken = Taken::Refused;
            }
            for claim in &row.claims {
                // Who only names something says nothing new of a name that has values.
                if !taken.contains(&(claim.key, true)) && taken.insert(claim.place()) {
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

    /// Returns the outcome of each row that was given, and of each row that was appended with
    /// differences, these. `outcomes` are those of the rows to seal; `place` returns the place of one of them.
    pub(super) fn answers(
        self,
        outcomes: Vec<Outcome>,
        place: impl Fn(Outcome, Hash) -> Claimant,
    ) -> (Vec<Result<Outcome, NotSequenced>>, Vec<Vec<Contradiction>>) {
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
                    let is_new = matches!(outcome.freshness, Freshness::New { .. });
                    if is_new && !disagreements.is_empty() {
                        tolerated.push(disagreements.into_iter().map(found).collect());
                    }
                    answers.push(Ok(outcome));
                }
            }
        }
        (answers, tolerated)
    }
}

/// Judges a row against what is known.
fn verdict(row: &EntryRow, known: &HashMap<NameKey, Known>) -> Verdict {
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

/// Returns the names of a row whose values are not all those of the first entry.
fn disagreements(row: &EntryRow, known: &HashMap<NameKey, Known>) -> Vec<Disagreement> {
    let compared = row.claims.iter().filter_map(|claim| {
        let known = known.get(&claim.key)?;
        Some(Disagreement {
            name: claim.name.clone(),
            difference: difference(&claim.values, &known.values)?,
            first: known.first,
        })
    });
    let mut found: Vec<Disagreement> = compared.collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

/// Compares the values of a name with those of the first entry. Another value counts before one in
/// an aspect in which that entry has none. An equal value makes neither good, because nothing shows
/// that values of two aspects belong together.
fn difference(values: &ClaimValues, first: &ClaimValues) -> Option<Difference> {
    let is_other = |(aspect, value)| first.get(aspect).is_some_and(|known| known != value);
    let is_compared = |aspect| first.contains_key(aspect);
    if values.iter().any(is_other) {
        Some(Difference::OtherValue)
    } else if values.is_empty() || !values.keys().all(is_compared) {
        Some(Difference::OtherAspect)
    } else {
        None
    }
}

/// Adds the claims of a row to what is known, unless there is an earlier one.
fn keep(known: &mut HashMap<NameKey, Known>, row: &EntryRow, first: First) {
    for claim in row.claims.iter().filter(|claim| !claim.values.is_empty()) {
        known.entry(claim.key).or_insert_with(|| Known {
            values: claim.values.clone(),
            first,
        });
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
