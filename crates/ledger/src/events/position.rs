//! The place of a reader of events, as a text that it keeps.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::event::Event;
use crate::ids::TreeId;

/// The first byte of a position: the version of its format.
const VERSION: u8 = 1;

/// Most trees of a position. Of each log it names the oldest tree that is not read to its end, and
/// younger ones only where an older one cannot be read.
const MAX_TREES: usize = 128;

/// Bytes of the longest index: 63 bits, 7 to a byte.
const INDEX_BYTES: usize = 9;

/// The place of a reader: in each tree the leaf index that it reads next.
///
/// Its text is opaque, and has some 16 characters for a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    trees: Vec<(TreeId, u64)>,
}

/// A text that is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position of events")]
pub struct PositionError;

impl Position {
    /// The position before the first entry of every log.
    pub const START: Self = Self { trees: Vec::new() };

    /// Moves on past an event. The position MUST be the one of the page that the event is from.
    pub fn pass(&mut self, event: &Event) {
        self.set(event.tree, event.leaf_index + 1);
    }

    /// Returns the trees that it names.
    pub(super) fn trees(&self) -> impl Iterator<Item = TreeId> {
        self.trees.iter().map(|(tree, _)| *tree)
    }

    /// Returns the leaf index that is read next in a tree, if the position names the tree.
    pub(super) fn next(&self, tree: TreeId) -> Option<u64> {
        let named = self.trees.iter().find(|(named, _)| *named == tree);
        named.map(|(_, next)| *next)
    }

    /// Returns whether the position can name one more tree, or names this one.
    pub(super) fn has_room_for(&self, tree: TreeId) -> bool {
        self.trees.len() < MAX_TREES || self.next(tree).is_some()
    }

    pub(super) fn set(&mut self, tree: TreeId, next: u64) {
        match self.trees.iter_mut().find(|(named, _)| *named == tree) {
            Some((_, index)) => *index = next,
            None => self.trees.push((tree, next)),
        }
    }
}

/// Writes for each tree its ID in eight bytes, then the index in pieces of seven bits, the lowest
/// first, of which all but the last have the highest bit set.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(1 + 12 * self.trees.len());
        bytes.push(VERSION);
        for (tree, next) in &self.trees {
            bytes.extend_from_slice(&tree.0.to_be_bytes());
            let mut rest = *next;
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| PositionError)?;
        let mut rest = bytes.strip_prefix(&[VERSION]).ok_or(PositionError)?;
        let mut position = Self::START;
        while let Some((tree, after)) = rest.split_first_chunk() {
            let tree = TreeId(i64::from_be_bytes(*tree));
            let (next, after) = split_index(after).ok_or(PositionError)?;
            let is_full = position.trees.len() == MAX_TREES;
            if is_full || tree.0 <= 0 || position.next(tree).is_some() {
                return Err(PositionError);
            }
            position.trees.push((tree, next));
            rest = after;
        }
        if rest.is_empty() {
            Ok(position)
        } else {
            Err(PositionError)
        }
    }
}

/// Splits off an index, in its shortest form.
fn split_index(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut index = 0;
    for (place, byte) in bytes.iter().enumerate().take(INDEX_BYTES) {
        index |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let is_shortest = place == 0 || *byte > 0;
            return is_shortest.then_some((index, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(trees: &[(i64, u64)]) -> Position {
        let trees = trees.iter().map(|&(tree, next)| (TreeId(tree), next));
        Position {
            trees: trees.collect(),
        }
    }

    #[test]
    fn a_position_comes_back_as_it_was() {
        let most = i64::MAX.unsigned_abs();
        for trees in [
            &[][..],
            &[(1, 0)],
            &[(i64::MAX, 127), (2, 128)],
            &[(1, most), (2, 300_000_000)],
        ] {
            let position = position(trees);
            let text = position.to_string();
            assert_eq!(text.parse(), Ok(position));
            if !trees.is_empty() {
                let cut = text[..text.len() - 2].parse::<Position>();
                assert_eq!(cut, Err(PositionError));
            }
        }
        assert_eq!(Position::START.to_string(), "AQ");
    }

    #[test]
    fn no_other_text_is_a_position() {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let tree = |id: u8| [0, 0, 0, 0, 0, 0, 0, id];
        let of = |trees: &[&[u8]]| text(&[&[VERSION], trees.concat().as_slice()].concat());
        let many: Vec<u8> = (1..=MAX_TREES as u8 + 1)
            .flat_map(|id| [&tree(id)[..], &[0]].concat())
            .collect();
        for text in [
            String::new(),
            "start".to_owned(),
            "AQ==".to_owned(),
            "AR".to_owned(),
            text(&[2]),
            text(&[VERSION, 0]),
            of(&[&tree(1)]),
            of(&[&tree(0), &[0]]),
            of(&[&[0xff; 8], &[0]]),
            of(&[&tree(1), &[0x80]]),
            of(&[&tree(1), &[0x80, 0]]),
            of(&[&tree(1), &[0xff; 9], &[1]]),
            of(&[&tree(1), &[0], &tree(1), &[1]]),
            of(&[&many]),
        ] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text}");
        }
        assert!(of(&[&many[..many.len() - 9]]).parse::<Position>().is_ok());
    }
}
