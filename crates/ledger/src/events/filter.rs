//! Which entries a reader of events sees.

use crate::ids::IndexKeyHash;
use crate::ids::lower_case;
use crate::reading::search::Search;
use crate::store::EventRow;

/// A condition on entries. An entry must meet all of it; every entry meets the default.
///
/// Keys are compared by 16 bytes of their SHA-256: nobody can make an entry that has the hash of a
/// key that somebody else chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// For each of these lists, one of its keys is a key of the entry.
    keys: Vec<Vec<IndexKeyHash>>,
    /// The kind and version tag is one of these, if there are some.
    kinds: Vec<String>,
}

impl Filter {
    /// Makes the filter of the entries that a search would find by their keys and kinds. Its times
    /// are not compared.
    pub fn of(search: &Search) -> Self {
        let hash = |text: &String| IndexKeyHash::of(&lower_case(text));
        let keys = search.keys.iter();
        Self {
            keys: keys.map(|texts| texts.iter().map(hash).collect()).collect(),
            kinds: search.kinds.clone(),
        }
    }

    pub(super) fn is_met_by(&self, row: &EventRow) -> bool {
        let has = |key: &IndexKeyHash| row.keys.binary_search(key).is_ok();
        let is_of_kind = self.kinds.is_empty() || self.kinds.iter().any(|kind| **kind == *row.kind);
        is_of_kind && self.keys.iter().all(|keys| keys.iter().any(has))
    }
}

#[cfg(test)]
mod tests {
    use tlog::{Hash, LeafIndex};

    use super::*;
    use crate::store::IndexKeys;

    #[test]
    fn an_entry_needs_one_key_of_each_list_and_one_of_the_kinds() {
        let row = EventRow {
            leaf_index: LeafIndex(0),
            leaf_hash: Hash([0; 32]),
            time: 0,
            kind: "k:1".into(),
            keys: IndexKeys::of(&["a", "b", "c"]).hashes().to_vec(),
        };
        let is_met = |keys: &[&[&str]], kinds: &[&str]| {
            let texts = |texts: &&[&str]| texts.iter().map(|&text| text.to_owned()).collect();
            let search = Search {
                keys: keys.iter().map(texts).collect(),
                kinds: kinds.iter().map(|&kind| kind.to_owned()).collect(),
                ..Search::default()
            };
            Filter::of(&search).is_met_by(&row)
        };
        assert!(is_met(&[], &[]));
        assert!(is_met(&[&["A"], &["x", "c"]], &["other", "k:1"]));
        assert!(!is_met(&[&["a"], &["x"]], &[]));
        assert!(!is_met(&[&["a"]], &["k:2"]));
        assert!(!is_met(&[&[]], &[]), "a list without a key is met by none");
    }
}
