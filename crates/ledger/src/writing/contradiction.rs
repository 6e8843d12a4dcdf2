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
    /// The first entry. It is durable, and perhaps not below the published head of its tree yet.
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
            name.escape_debug(),
            first.leaf_index,
            first.tree
        )
    }
}

/// Returns the index key that marks an entry which contradicts an earlier one.
pub(crate) fn contradicts_key(name: &str) -> String {
    format!("{CONTRADICTS_KEY}{}", lower_case(name))
}

/// Returns whether an index key is such a mark.
pub(crate) fn is_mark(key: &str) -> bool {
    key.starts_with(CONTRADICTS_KEY)
}
