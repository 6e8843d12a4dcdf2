//! The search keys of all entries with the places of the entries, grouped by key, on disk.
//!
//! A log has more of them than memory. Each goes into one of several files, which its key alone
//! decides. So a file that is read back has all places of its keys.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use tlog::Hash;

/// Pairs of one file that are meant to be in memory at once: some 30 MB with their keys.
const PAIRS_OF_FILE: u64 = 200_000;
/// Most files, which are open at once, each with a buffer.
const MAX_FILES: u64 = 512;
/// Keys of one entry, as a guess: its digest, its signer's key, names.
const KEYS_OF_ENTRY: u64 = 4;
/// Longest key: as much as all keys of an entry may have.
const MAX_KEY_BYTES: u32 = 1 << 20;

/// The first half of a leaf hash, which tells entries apart.
pub(super) type ShortHash = [u8; 16];

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) leaf_hash: ShortHash,
    /// The number of its tree.
    pub(super) tree: u32,
    pub(super) leaf_index: u64,
}

/// A search key of an entry.
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) place: Place,
}

/// Returns the half of a leaf hash that is kept.
pub(super) fn short(hash: &Hash) -> ShortHash {
    let mut short = [0; 16];
    short.copy_from_slice(&hash.0[..16]);
    short
}

/// All pairs. The folder is removed when this goes.
pub(super) struct Pairs {
    folder: PathBuf,
    files: Vec<BufWriter<File>>,
    pub(super) count: u64,
}

impl Pairs {
    /// Makes an empty folder beside the report for the keys of some entries.
    ///
    /// # Errors
    ///
    /// It cannot be written, or is there already.
    pub(super) fn create(report: &Path, entries: u64) -> io::Result<Self> {
        let mut name = report.as_os_str().to_owned();
        name.push(".parts");
        let folder = PathBuf::from(name);
        fs::create_dir(&folder)?;
        let mut pairs = Self {
            folder,
            files: Vec::new(),
            count: 0,
        };
        let files = (entries.saturating_mul(KEYS_OF_ENTRY) / PAIRS_OF_FILE).clamp(1, MAX_FILES);
        for number in 0..files {
            let file = File::create_new(pairs.path(number))?;
            pairs.files.push(BufWriter::new(file));
        }
        Ok(pairs)
    }

    pub(super) fn add(&mut self, pairs: &[Pair]) -> io::Result<()> {
        for Pair { key, place } in pairs {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            // The remainder is below the number of files.
            let number = (hasher.finish() % self.files.len() as u64) as usize;
            let file = &mut self.files[number];
            let length = u32::try_from(key.len()).ok();
            let length = length.filter(|length| *length <= MAX_KEY_BYTES);
            let length = length.ok_or_else(|| io::Error::other("a search key is too long"))?;
            file.write_all(&length.to_le_bytes())?;
            file.write_all(key.as_bytes())?;
            file.write_all(&place.tree.to_le_bytes())?;
            file.write_all(&place.leaf_index.to_le_bytes())?;
            file.write_all(&place.leaf_hash)?;
        }
        self.count += pairs.len() as u64;
        Ok(())
    }

    /// Ends the writing, and returns the number of files.
    pub(super) fn finish(&mut self) -> io::Result<u64> {
        let number = self.files.len() as u64;
        for file in self.files.drain(..) {
            file.into_inner().map_err(io::IntoInnerError::into_error)?;
        }
        Ok(number)
    }

    /// Reads a file back: each key with the places of its entries, and removes the file.
    pub(super) fn take(&self, number: u64) -> io::Result<BTreeMap<String, Vec<Place>>> {
        let path = self.path(number);
        let mut file = BufReader::new(File::open(&path)?);
        let mut keys: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        while let Some(Pair { key, place }) = read_pair(&mut file)? {
            keys.entry(key).or_default().push(place);
        }
        fs::remove_file(path)?;
        Ok(keys)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }
}

impl Drop for Pairs {
    fn drop(&mut self) {
        // What is left of it does no harm but to the disk.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Returns the next pair, or `None` at the end of the file.
fn read_pair(file: &mut impl Read) -> io::Result<Option<Pair>> {
    let mut length = [0; 4];
    match file.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = u32::from_le_bytes(length).min(MAX_KEY_BYTES);
    let mut key = vec![0; length as usize];
    file.read_exact(&mut key)?;
    let (mut tree, mut leaf_index, mut leaf_hash) = ([0; 4], [0; 8], [0; 16]);
    file.read_exact(&mut tree)?;
    file.read_exact(&mut leaf_index)?;
    file.read_exact(&mut leaf_hash)?;
    Ok(Some(Pair {
        key: String::from_utf8(key).map_err(io::Error::other)?,
        place: Place {
            tree: u32::from_le_bytes(tree),
            leaf_index: u64::from_le_bytes(leaf_index),
            leaf_hash,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_all_places_of_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("report.json");
        let mut pairs = Pairs::create(&report, 200_000).unwrap();
        assert!(
            Pairs::create(&report, 1).is_err(),
            "another audit is under way"
        );
        let pair = |number: u64| Pair {
            key: format!("key {}", number % 100),
            place: Place {
                tree: 1,
                leaf_index: number,
                leaf_hash: [7; 16],
            },
        };
        let all: Vec<Pair> = (0..1_000).map(pair).collect();
        pairs.add(&all).unwrap();
        let files = pairs.finish().unwrap();
        assert_eq!((files, pairs.count), (4, 1_000));
        let mut keys = 0;
        for number in 0..files {
            for (_, places) in pairs.take(number).unwrap() {
                assert_eq!(places.len(), 10);
                keys += 1;
            }
        }
        assert_eq!(keys, 100);
        drop(pairs);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
