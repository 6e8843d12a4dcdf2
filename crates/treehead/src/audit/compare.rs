//! What the search has under one key, compared with what was derived.

use std::fmt::{self, Display};

use client::lookup::KeyHit;
use serde::Serialize;

use super::ask::{Outcomes, ReadTree};
use super::pairs::{Place, ShortHash};

/// An entry that the search lacks under a key, or has under a key that it does not have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Difference {
    key: String,
    /// The number of the tree in the report.
    tree: usize,
    leaf_index: u64,
}

/// The places of one key, and which of them the search has.
pub(super) struct Compared<'a> {
    key: String,
    /// In order.
    places: Vec<Place>,
    found: Vec<bool>,
    trees: &'a [ReadTree],
}

impl<'a> Compared<'a> {
    pub(super) fn new(key: String, mut places: Vec<Place>, trees: &'a [ReadTree]) -> Self {
        places.sort_unstable();
        // An entry has each key once.
        places.dedup();
        Self {
            found: vec![false; places.len()],
            key,
            places,
            trees,
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Compares an entry that the search has under the key.
    pub(super) fn take(&mut self, hit: &KeyHit, outcomes: &mut Outcomes) {
        let tree = hit.tree().and_then(|id| self.number_of(id));
        let Some(leaf_hash) = hit.short_hash() else {
            return;
        };
        let start = self
            .places
            .partition_point(|place| place.leaf_hash < leaf_hash);
        let of_hash = self.places[start..].iter();
        let of_hash = of_hash.take_while(|place| place.leaf_hash == leaf_hash);
        // Two trees may have equal leaves, and an answer of Rekor may leave the tree out.
        let place = of_hash.enumerate().find(|(offset, place)| {
            let is_its_tree = tree.is_none_or(|tree| tree == place.tree as usize);
            is_its_tree && !self.found[start + offset]
        });
        if let Some((offset, _)) = place {
            self.found[start + offset] = true;
            return;
        }
        let (Some(tree), Some(leaf_index)) = (tree, hit.leaf_index) else {
            return;
        };
        let read = &self.trees[tree];
        // The log grew meanwhile.
        if leaf_index >= read.size {
            return;
        }
        match read.entries.is_whole(leaf_index) {
            true => outcomes.add_surplus(Difference {
                key: self.key.clone(),
                tree,
                leaf_index,
            }),
            false => outcomes.beyond += 1,
        }
    }

    /// Adds the entries that the search lacks.
    pub(super) fn finish(self, outcomes: &mut Outcomes) {
        for (place, found) in self.places.iter().zip(&self.found) {
            if !found {
                outcomes.add_missing(Difference {
                    key: self.key.clone(),
                    tree: place.tree as usize,
                    leaf_index: place.leaf_index,
                });
            }
        }
    }

    fn number_of(&self, id: &str) -> Option<usize> {
        let mut trees = self.trees.iter();
        trees.position(|tree| tree.id.get().is_some_and(|known| known == id))
    }
}

/// What an entry ID says: 16 digits of the tree, where they are not left out, and 64 of the leaf
/// hash.
pub(super) trait EntryId {
    fn tree(&self) -> Option<&str>;
    fn short_hash(&self) -> Option<ShortHash>;
    /// Whether it is the entry at a place.
    fn is_at(&self, place: &Place) -> bool;
}

impl EntryId for KeyHit {
    fn tree(&self) -> Option<&str> {
        let end = self.uuid.len().checked_sub(64)?;
        self.uuid.get(..end).filter(|tree| tree.len() == 16)
    }

    fn short_hash(&self) -> Option<ShortHash> {
        let start = self.uuid.len().checked_sub(64)?;
        let mut hash = [0; 16];
        hex::decode_to_slice(self.uuid.get(start..start + 32)?, &mut hash).ok()?;
        Some(hash)
    }

    fn is_at(&self, place: &Place) -> bool {
        self.short_hash() == Some(place.leaf_hash) && self.leaf_index == Some(place.leaf_index)
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            tree,
            leaf_index,
        } = self;
        write!(f, "entry {leaf_index} of tree {tree} under {key}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::audit::read::Entries;

    const TREE: &str = "00000000000000aa";

    fn place(byte: u8, leaf_index: u64) -> Place {
        Place {
            leaf_hash: [byte; 16],
            tree: 0,
            leaf_index,
        }
    }

    fn hit(tree: &str, byte: u8, leaf_index: Option<u64>) -> KeyHit {
        KeyHit {
            log: "v1".to_owned(),
            uuid: format!("{tree}{}", hex::encode([byte; 32])),
            url: String::new(),
            log_index: leaf_index,
            leaf_index,
        }
    }

    fn outcomes(places: Vec<Place>, hits: &[KeyHit]) -> Outcomes {
        let trees = [ReadTree {
            id: OnceLock::from(TREE.to_owned()),
            size: 10,
            entries: Entries::whole_but(10, 7),
        }];
        let mut outcomes = Outcomes::default();
        let mut compared = Compared::new("key".to_owned(), places, &trees);
        for hit in hits {
            compared.take(hit, &mut outcomes);
        }
        compared.finish(&mut outcomes);
        outcomes
    }

    #[test]
    fn what_is_missing_and_what_is_too_much_is_named() {
        let places = vec![place(1, 1), place(2, 2), place(2, 2)];
        let all = [hit(TREE, 1, Some(1)), hit(TREE, 2, Some(2))];
        let same = outcomes(places.clone(), &all);
        assert_eq!((same.missing_count, same.surplus_count), (0, 0));

        let less = outcomes(places.clone(), &all[..1]);
        let names = less.missing.iter().map(Difference::to_string);
        assert_eq!(names.collect::<Vec<_>>(), ["entry 2 of tree 0 under key"]);

        // Of the entry at 7 not all keys were derived; that at 10 was added after the head.
        let more = [
            hit(TREE, 3, Some(3)),
            hit(TREE, 7, Some(7)),
            hit(TREE, 9, Some(10)),
        ];
        let more = outcomes(places.clone(), &[&all[..], &more].concat());
        let names = more.surplus.iter().map(Difference::to_string);
        assert_eq!(names.collect::<Vec<_>>(), ["entry 3 of tree 0 under key"]);
        assert_eq!((more.missing_count, more.beyond), (0, 1));

        // An entry is answered twice, of another tree, or without a tree.
        let odd = [
            hit(TREE, 1, Some(1)),
            hit("00000000000000bb", 2, Some(2)),
            hit("", 2, None),
        ];
        let odd = outcomes(places, &[&odd[..], &odd[..1]].concat());
        assert_eq!((odd.missing_count, odd.surplus_count), (0, 1));
    }
}
