//! Contradictions between the claims of entries, as clients and operators see them.

use std::fmt;

use crate::ids::lower_case;
use crate::store::Claimant;

/// What the index key of an entry begins with that was appended although a name has another value
/// than in an earlier entry. The name follows.
pub const CONTRADICTS_KEY: &str = "contradicts=";

/// A name that an entry gives other values than the first entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The name: any text of a client.
    pub name: String,
    /// How the values differ.
    pub difference: Difference,
    /// The first entry. It is durable, and perhaps not below the published head of its tree yet:
    /// [`Ledger::wait_shown`](crate::Ledger::wait_shown).
    pub first: Claimant,
}

/// How the values of a name differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// In the same aspect there is another value.
    OtherValue,
    /// One of them is in an aspect in which the earlier entry has none, or the entry has no value, so
    /// they cannot be compared.
    OtherAspect,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            difference,
            first,
        } = self;
        let how = match difference {
            Difference::OtherValue => "has another value",
            Difference::OtherAspect => "has values that cannot be compared",
        };
        write!(
            f,
            "{} {how} in leaf index {} of tree {}",
            shown_name(name),
            first.leaf_index,
            first.tree
        )
    }
}

/// Letters of a name that people are shown. A package URL has seldom half as many, and a client may
/// send a megabyte.
const SHOWN_LETTERS: usize = 256;

/// Returns a client's name as log lines and messages show it: without control characters, and cut off
/// where it is very long.
pub fn shown_name(name: &str) -> String {
    let mut letters = name.chars();
    let begin: String = letters.by_ref().take(SHOWN_LETTERS).collect();
    let rest = if letters.next().is_some() { "…" } else { "" };
    format!("{}{rest}", begin.escape_debug())
}

/// Names of an entry in its log line. Its index keys have the others.
const SUMMARY_NAMES: usize = 3;

/// Returns how many of the names of an entry differ in this way, and a text about the first ones.
pub(crate) fn summary(found: &[Contradiction], difference: Difference) -> (usize, String) {
    let of_kind = found.iter().filter(|one| one.difference == difference);
    let first = of_kind.clone().take(SUMMARY_NAMES);
    let first: Vec<String> = first.map(Contradiction::to_string).collect();
    (of_kind.count(), first.join("; "))
}

/// Returns the index key that marks an entry which contradicts an earlier one.
pub(crate) fn contradicts_key(name: &str) -> String {
    format!("{CONTRADICTS_KEY}{}", lower_case(name))
}

/// Returns whether an index key is such a mark.
pub(crate) fn is_mark(key: &str) -> bool {
    key.starts_with(CONTRADICTS_KEY)
}

#[cfg(test)]
mod tests {
    use tlog::LeafIndex;

    use super::*;
    use crate::TreeId;

    #[test]
    fn an_entry_with_many_contradictions_has_one_short_line() {
        let other = |n: u64| Contradiction {
            name: format!("{n}{}", "x".repeat(1 << 10)),
            difference: match n {
                0 => Difference::OtherAspect,
                _ => Difference::OtherValue,
            },
            first: Claimant {
                tree: TreeId(7),
                leaf_index: LeafIndex(n),
                log_index: n,
                leaf_hash: tlog::EMPTY_ROOT,
            },
        };
        let found: Vec<Contradiction> = (0..6_144).map(other).collect();
        let (names, text) = summary(&found, Difference::OtherValue);
        assert_eq!(names, 6_143);
        assert!(text.len() < 1_000, "{} bytes", text.len());
        let last = "has another value in leaf index 3 of tree 7";
        assert!(text.starts_with("1xxx") && text.ends_with(last), "{text}");
        let (names, text) = summary(&found, Difference::OtherAspect);
        assert!(names == 1 && text.contains("leaf index 0"), "{text}");
        assert_eq!(summary(&[], Difference::OtherValue), (0, String::new()));
    }

    #[test]
    fn a_name_is_shown_in_one_line_of_bounded_length() {
        assert_eq!(shown_name("pkg:npm/a@1\n"), "pkg:npm/a@1\\n");
        let (full, longer) = ("ä".repeat(SHOWN_LETTERS), "ä".repeat(1 << 20));
        assert_eq!(shown_name(&full), full);
        assert_eq!(shown_name(&longer), format!("{full}…"));
    }
}
