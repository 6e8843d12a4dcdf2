//! What the search has under one key, compared with what was derived.

use std::fmt::{self, Display};

use client::Entry;
use client::lookup::KeyHit;
use serde::Serialize;

use super::ask::{Outcomes, ReadTree};
use super::pairs::{Place, ShortHash};

/// An entry that the search lacks under a key, or has under a key that it does not have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Difference {
    key: String,
    /// The number of the tree in the report. `None` for an entry of no tree that was read.
    tree: Option<usize>,
    /// `None` for an entry that the log does not prove.
    leaf_index: Option<u64>,
    /// The ID of an entry that fits no place.
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
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

    /// Compares an entry that the search has under the key. Returns whether it fits a place: of
    /// one that does not, what the search says has to be proved first.
    pub(super) fn take(&mut self, hit: &KeyHit, outcomes: &mut Outcomes) -> bool {
        let id = hit.tree();
        let tree = id.and_then(|id| self.number_of(id));
        let Some(leaf_hash) = hit.short_hash() else {
            return false;
        };
        let start = self
            .places
            .partition_point(|place| place.leaf_hash < leaf_hash);
        let of_hash = self.places[start..].iter();
        let of_hash = of_hash.take_while(|place| place.leaf_hash == leaf_hash);
        // Two trees may have equal leaves, and an answer of Rekor may leave the tree out.
        let place = of_hash.enumerate().find(|(offset, place)| {
            let number = place.tree as usize;
            let is_its_tree = match (id, tree) {
                (None, _) => true,
                (Some(_), Some(tree)) => tree == number,
                // The ID of a v2 tree may not have been learned.
                (Some(_), None) => self.trees[number].id.get().is_none(),
            };
            is_its_tree && !self.found[start + offset]
        });
        if let Some((offset, _)) = place {
            self.found[start + offset] = true;
            return true;
        }
        let (Some(tree), Some(leaf_index)) = (tree, hit.leaf_index) else {
            return false;
        };
        let read = &self.trees[tree];
        if leaf_index >= read.size {
            return false;
        }
        match read.entries.is_whole(leaf_index) {
            true => outcomes.add_surplus(Difference {
                key: self.key.clone(),
                tree: Some(tree),
                leaf_index: Some(leaf_index),
                uuid: None,
            }),
            false => outcomes.beyond += 1,
        }
        true
    }

    /// Compares an entry that fits no place, and that the log proves: it was added meanwhile, or
    /// is of another tree. It may have the key.
    pub(super) fn take_proved(&self, hit: &KeyHit, entry: &Entry, outcomes: &mut Outcomes) {
        match entry::index_keys_of_leaf(&entry.body) {
            Ok(Some(keys)) if keys.contains(&self.key) => {}
            Ok(Some(_)) => {
                let leaf_index = entry.inclusion.leaf_index.0;
                outcomes.add_surplus(self.unplaced(hit, Some(leaf_index)));
            }
            Ok(None) | Err(_) => outcomes.beyond += 1,
        }
    }

    /// Counts an entry that fits no place and that the log does not prove.
    pub(super) fn take_unproved(&self, hit: &KeyHit, outcomes: &mut Outcomes) {
        outcomes.add_surplus(self.unplaced(hit, None));
    }

    fn unplaced(&self, hit: &KeyHit, leaf_index: Option<u64>) -> Difference {
        Difference {
            key: self.key.clone(),
            tree: hit.tree().and_then(|id| self.number_of(id)),
            leaf_index,
            uuid: Some(hit.uuid.clone()),
        }
    }

    /// Adds the entries that the search lacks.
    pub(super) fn finish(self, outcomes: &mut Outcomes) {
        for (place, found) in self.places.iter().zip(&self.found) {
            if !found {
                outcomes.add_missing(Difference {
                    key: self.key.clone(),
                    tree: Some(place.tree as usize),
                    leaf_index: Some(place.leaf_index),
                    uuid: None,
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
            uuid,
        } = self;
        match (uuid, leaf_index, tree) {
            (Some(uuid), Some(_), _) => write!(f, "entry {uuid} under {key}"),
            (Some(uuid), None, _) => write!(f, "entry {uuid}, which is not proved, under {key}"),
            (None, Some(leaf_index), Some(tree)) => {
                write!(f, "entry {leaf_index} of tree {tree} under {key}")
            }
            (None, ..) => write!(f, "an entry under {key}"),
        }
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
            if !compared.take(hit, &mut outcomes) {
                compared.take_unproved(hit, &mut outcomes);
            }
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

        // Of the entry at 7 not all keys were derived; that at 10 would have been added after the
        // head, and nothing proves it.
        let more = [
            hit(TREE, 3, Some(3)),
            hit(TREE, 7, Some(7)),
            hit(TREE, 9, Some(10)),
        ];
        let more = outcomes(places.clone(), &[&all[..], &more].concat());
        let names = more.surplus.iter().map(Difference::to_string);
        let hash = "09".repeat(32);
        let unproved = format!("entry {TREE}{hash}, which is not proved, under key");
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["entry 3 of tree 0 under key", unproved.as_str()]
        );
        assert_eq!((more.missing_count, more.beyond), (0, 1));

        // An entry is answered twice, of a tree that nobody knows, or without a tree.
        let odd = [
            hit(TREE, 1, Some(1)),
            hit("00000000000000bb", 2, Some(2)),
            hit("", 2, None),
        ];
        let odd = outcomes(places, &[&odd[..], &odd[..1]].concat());
        assert_eq!((odd.missing_count, odd.surplus_count), (0, 2));
    }
}
