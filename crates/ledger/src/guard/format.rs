//! The bytes of guarded heads, in files, in objects and in the answer of `GET /guard`.
//!
//! Lines of text, of which three kinds are followed by as many bytes as they say: the two
//! checkpoints, and the hashes of the right edge. The last line has the SHA-256 of all bytes before
//! it. Each value has exactly one form.

use std::str::FromStr;

use tlog::{Checkpoint, Edge, Hash, MAX_TREE_SIZE, Note, TreeSize, sha256};

use super::kept::{GuardedHead, GuardedHeads, GuardedTexts};
use crate::ids::TreeId;

const FIRST_LINE: &str = "treehead guard 1";
/// Bytes of the last line: `sha256 `, 64 hexadecimal digits and the newline.
pub(super) const CHECKSUM_BYTES: usize = 7 + 64 + 1;

/// Most logs of a ledger. There is one for each API, and an API more is rare.
const MAX_HEADS: usize = 8;
/// Largest signed text: an origin and a signer of at most 255 bytes each, three numbers in base64
/// or decimal, and a signature are less than 1 KiB. A few signatures more fit as well.
const MAX_TEXT_BYTES: usize = 4 * 1024;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;
/// Largest right edge: a tree has at most 8 levels of tiles, each with at most 255 hashes.
const MAX_EDGE_BYTES: usize = 8 * 255 * HASH_BYTES;
/// Longest line, with its newline: the name of the ledger, which has at most 253 bytes.
const MAX_LINE_BYTES: usize = 512;
/// Lines of one head.
const HEAD_LINES: usize = 8;
/// Largest encoded guard: the bound of files, of objects and of answers that are read.
pub const MAX_GUARD_BYTES: usize = 4 * MAX_LINE_BYTES
    + MAX_HEADS * (HEAD_LINES * MAX_LINE_BYTES + 2 * MAX_TEXT_BYTES + MAX_EDGE_BYTES);

/// Why bytes are no guarded heads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardFault {
    /// More bytes or heads than a guard can have.
    #[error("too large to be a guard")]
    TooLarge,
    /// The last line does not fit the other bytes: damaged, cut off, or something else.
    #[error("its checksum is wrong, so it is damaged or no guard at all")]
    Checksum,
    /// A line is missing or has another form; the text is what was expected.
    #[error("it has no valid line {0:?}")]
    Line(&'static str),
    /// A signed text does not state the head of the right edge.
    #[error("a checkpoint of the log {0} does not state the head that is kept with it")]
    Head(String),
}

impl GuardedHeads {
    /// Returns the bytes of these heads. [`GuardedHeads::decode`] reads them.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MAX_LINE_BYTES + 16 * 1024);
        line(&mut bytes, FIRST_LINE, "");
        line(&mut bytes, "ledger", &self.ledger);
        line(&mut bytes, "logs", self.heads.len());
        for head in &self.heads {
            encode_head(&mut bytes, head);
        }
        let checksum = sha256(&bytes);
        line(&mut bytes, "sha256", checksum);
        bytes
    }

    /// Reads heads. Each checkpoint states the head whose right edge is kept with it, but its
    /// signature is not checked.
    ///
    /// # Errors
    ///
    /// The bytes are none that [`GuardedHeads::encode`] makes.
    pub fn decode(bytes: &[u8]) -> Result<Self, GuardFault> {
        if bytes.len() > MAX_GUARD_BYTES {
            return Err(GuardFault::TooLarge);
        }
        let mut reader = Reader {
            rest: without_checksum(bytes)?,
        };
        reader.word(FIRST_LINE)?;
        let ledger = reader.value("ledger")?.to_owned();
        let count: usize = reader.number("logs")?;
        if count > MAX_HEADS {
            return Err(GuardFault::TooLarge);
        }
        let mut heads = Vec::with_capacity(count);
        for _ in 0..count {
            let head = decode_head(&mut reader)?;
            if heads
                .iter()
                .any(|other: &GuardedHead| other.api == head.api)
            {
                return Err(GuardFault::Line("log"));
            }
            heads.push(head);
        }
        if !reader.rest.is_empty() {
            return Err(GuardFault::Line("sha256"));
        }
        Ok(Self { ledger, heads })
    }
}

fn encode_head(bytes: &mut Vec<u8>, head: &GuardedHead) {
    line(bytes, "log", &head.api);
    line(bytes, "tree", head.tree);
    line(bytes, "first-log-index", head.first_log_index);
    line(bytes, "time", head.time);
    line(bytes, "size", head.size());
    let texts = head.texts.as_ref();
    let checkpoint = texts.map(|texts| texts.checkpoint.as_str());
    let rekor_checkpoint = texts.and_then(|texts| texts.rekor_checkpoint.as_deref());
    for (word, text) in [
        ("checkpoint", checkpoint),
        ("rekor-checkpoint", rekor_checkpoint),
    ] {
        let text = text.unwrap_or_default();
        line(bytes, word, text.len());
        bytes.extend_from_slice(text.as_bytes());
    }
    let levels = head.edge.levels();
    line(bytes, "edge", levels.iter().map(Vec::len).sum::<usize>());
    for hash in levels.iter().flatten() {
        bytes.extend_from_slice(hash.as_ref());
    }
    line(bytes, "", "");
}

fn decode_head(reader: &mut Reader<'_>) -> Result<GuardedHead, GuardFault> {
    let api = reader.value("log")?.to_owned();
    let tree = TreeId(reader.number("tree")?);
    let first_log_index = reader.number("first-log-index")?;
    let time = reader.number("time")?;
    let size = TreeSize(reader.number("size")?);
    if size > MAX_TREE_SIZE {
        return Err(GuardFault::Line("size"));
    }
    let checkpoint = reader.text("checkpoint")?;
    let rekor_checkpoint = reader.text("rekor-checkpoint")?;
    let edge = decode_edge(reader, size)?;
    reader.word("")?;
    let texts = match checkpoint {
        Some(checkpoint) => Some(GuardedTexts {
            checkpoint,
            rekor_checkpoint,
        }),
        // Only an empty tree has no text, because nothing of it was published.
        None if size == TreeSize(0) && rekor_checkpoint.is_none() => None,
        None => return Err(GuardFault::Line("checkpoint")),
    };
    let root = edge.root();
    let is_stated = |text: &str| stated_head(text) == Some((size, root));
    for text in texts.iter().flat_map(GuardedTexts::all) {
        if !is_stated(text) {
            return Err(GuardFault::Head(api));
        }
    }
    Ok(GuardedHead {
        api,
        tree,
        first_log_index,
        time,
        texts,
        edge,
    })
}

impl GuardedTexts {
    /// Returns the C2SP checkpoint, and Rekor v1's text if there is one.
    fn all(&self) -> impl Iterator<Item = &str> {
        [
            Some(self.checkpoint.as_str()),
            self.rekor_checkpoint.as_deref(),
        ]
        .into_iter()
        .flatten()
    }
}

/// Returns size and root of a signed checkpoint, without a look at its signatures.
fn stated_head(note: &str) -> Option<(TreeSize, Hash)> {
    let note = Note::parse(note).ok()?;
    let checkpoint = Checkpoint::parse(note.text()).ok()?;
    Some((checkpoint.size, checkpoint.root))
}

fn decode_edge(reader: &mut Reader<'_>, size: TreeSize) -> Result<Edge, GuardFault> {
    let bad = GuardFault::Line("edge");
    let shape = Edge::shape(size);
    let count: usize = reader.number("edge")?;
    if count != shape.iter().map(|(_, width)| width).sum::<usize>() {
        return Err(bad);
    }
    let mut levels = Vec::with_capacity(shape.len());
    for (_, width) in shape {
        let bytes = reader.bytes(width * HASH_BYTES).ok_or(bad.clone())?;
        let (hashes, _) = bytes.as_chunks();
        levels.push(hashes.iter().map(|hash| Hash(*hash)).collect());
    }
    Edge::new(size, levels).map_err(|_| bad)
}

/// Adds a line of a word and a value. A word alone has no space after it.
fn line(bytes: &mut Vec<u8>, word: &str, value: impl ToString) {
    let value = value.to_string();
    bytes.extend_from_slice(word.as_bytes());
    if !value.is_empty() {
        bytes.push(b' ');
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes.push(b'\n');
}

/// Returns the bytes before the last line, if that line has their checksum.
fn without_checksum(bytes: &[u8]) -> Result<&[u8], GuardFault> {
    let end = bytes.len().checked_sub(CHECKSUM_BYTES);
    let (content, stated) = bytes.split_at(end.ok_or(GuardFault::Checksum)?);
    let mut checksum = Vec::with_capacity(CHECKSUM_BYTES);
    line(&mut checksum, "sha256", sha256(content));
    if stated == checksum {
        Ok(content)
    } else {
        Err(GuardFault::Checksum)
    }
}

/// The bytes that were not read yet.
struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    /// Reads a line that begins with the word, and returns the rest of it.
    fn value(&mut self, word: &'static str) -> Result<&'b str, GuardFault> {
        let bad = GuardFault::Line(word);
        let near = &self.rest[..self.rest.len().min(MAX_LINE_BYTES)];
        let end = near.iter().position(|byte| *byte == b'\n');
        let Some(line) = end.and_then(|end| self.bytes(end + 1)) else {
            return Err(bad);
        };
        let line = str::from_utf8(&line[..line.len() - 1]).map_err(|_| bad.clone())?;
        let value = line.strip_prefix(word).ok_or(bad.clone())?;
        if value.is_empty() {
            return Ok(value);
        }
        let value = value.strip_prefix(' ').ok_or(bad.clone())?;
        if value.is_empty() {
            Err(bad)
        } else {
            Ok(value)
        }
    }

    /// Reads a line of that word alone.
    fn word(&mut self, word: &'static str) -> Result<(), GuardFault> {
        if self.value(word)?.is_empty() {
            Ok(())
        } else {
            Err(GuardFault::Line(word))
        }
    }

    /// Reads a line with a number in its one form.
    fn number<N: FromStr + ToString>(&mut self, word: &'static str) -> Result<N, GuardFault> {
        let value = self.value(word)?;
        let number: N = value.parse().map_err(|_| GuardFault::Line(word))?;
        if number.to_string() == value {
            Ok(number)
        } else {
            Err(GuardFault::Line(word))
        }
    }

    /// Reads a line with a length, and the text after it; `None` for one of no length.
    fn text(&mut self, word: &'static str) -> Result<Option<String>, GuardFault> {
        let bad = GuardFault::Line(word);
        let length: usize = self.number(word)?;
        if length > MAX_TEXT_BYTES {
            return Err(GuardFault::TooLarge);
        }
        let bytes = self.bytes(length).ok_or(bad.clone())?;
        let text = str::from_utf8(bytes).map_err(|_| bad)?;
        Ok((length > 0).then(|| text.to_owned()))
    }

    fn bytes(&mut self, length: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests;
