//! A file as a place of the guard.
//!
//! The file has two blocks, which are written in turn. So a write that is cut off, by the end of the
//! process or of the power, damages the older heads at most. Each block begins with a line of its
//! sequence number, the length of its content and a checksum; [`GuardedHeads::encode`] gives the
//! content. A length of 0 means that no heads were written yet.
//!
//! The file has its whole size from the start, all of it written once. Therefore a write changes no
//! metadata, `fdatasync` is one write to the disk, and a full disk does not stop the guard.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tlog::sha256;

use super::format::{CHECKSUM_BYTES, MAX_GUARD_BYTES};
use super::kept::GuardedHeads;
use super::place::{Place, PlaceError};

/// The user of the server alone may read and write the file.
const MODE: u32 = 0o600;
/// Bytes of the first line of a block: 20 digits, 10 digits, 64 hexadecimal digits, two spaces and
/// the newline.
const HEADER_BYTES: usize = 20 + 1 + 10 + 1 + 64 + 1;
/// Bytes of a block: the largest content with its header, in whole pages.
const BLOCK_BYTES: usize = (HEADER_BYTES + MAX_GUARD_BYTES).next_multiple_of(4096);
const BLOCKS: [u64; 2] = [0, BLOCK_BYTES as u64];

/// A guard in a file. One process at a time has it open.
#[derive(Debug)]
pub struct FilePlace {
    path: PathBuf,
    /// Holds the lock, which the kernel releases however the process ends.
    file: File,
    next: NextBlock,
}

/// The block that is written next. It never is the one with the newest heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NextBlock {
    offset: u64,
    sequence: u64,
}

/// A whole block.
struct Block {
    sequence: u64,
    heads: Option<GuardedHeads>,
}

impl FilePlace {
    /// Opens the file at `path` and locks it. Creates it if it is absent; its folder MUST exist.
    ///
    /// # Errors
    ///
    /// Another process has the file open, or the system refuses. A damaged file can be opened: only
    /// [`Place::read`] fails then, and a write mends it.
    pub fn open(path: &Path) -> Result<Self, PlaceError> {
        let opened = Self::open_unused(path)?;
        opened.ok_or_else(|| {
            let reason = "another server keeps this guard; each server needs a file of its own";
            failed(path, reason)
        })
    }

    /// Opens the file as [`FilePlace::open`] does, or returns `None` if another process has it open.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn open_unused(path: &Path) -> Result<Option<Self>, PlaceError> {
        let opened = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => lock(path, file),
            // A link that leads nowhere is no absent file: its target may be on a volume that is not
            // mounted.
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => create(path),
            Err(error) => Err(failed(path, error)),
        };
        let Some(file) = opened? else {
            return Ok(None);
        };
        check_is_file(path, &file)?;
        let mut place = Self {
            path: path.to_owned(),
            file,
            next: NextBlock {
                offset: BLOCKS[0],
                sequence: 1,
            },
        };
        let found = newest(&place.file).map_err(|error| failed(path, error))?;
        if let Some((offset, newest)) = found {
            place.next = NextBlock::after(offset, newest.sequence);
        }
        Ok(Some(place))
    }

    /// Reads the heads in the file at `path`, which a server may keep meanwhile. An absent file has
    /// none.
    ///
    /// # Errors
    ///
    /// The file is damaged, or the system refuses.
    pub fn read_only(path: &Path) -> Result<Option<GuardedHeads>, PlaceError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => {
                return Ok(None);
            }
            Err(error) => return Err(failed(path, error)),
        };
        check_is_file(path, &file)?;
        heads_in(path, &file)
    }

    /// Fails if the path leads to another file by now. Whatever is written to an open file that has
    /// no name any more is lost at the end of the process.
    fn check_identity(&self) -> io::Result<()> {
        let (ours, there) = (self.file.metadata()?, self.path.metadata()?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            return Ok(());
        }
        Err(io::Error::other("it was replaced while it was open"))
    }
}

impl Place for FilePlace {
    fn label(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&mut self) -> Result<Option<GuardedHeads>, PlaceError> {
        heads_in(&self.path, &self.file)
    }

    /// Dies here: before and in the write, the other block still has the heads that were kept
    /// before, and nothing states the new ones yet. After it, the new heads are found at the start.
    fn write(&mut self, heads: &GuardedHeads) -> Result<(), PlaceError> {
        if matches!(self.path.try_exists(), Ok(false)) {
            // Somebody removed it. The newest heads are about to be written, so it can begin anew.
            *self = Self::open(&self.path.clone())?;
        }
        let failed = |error: io::Error| failed(&self.path, error);
        self.check_identity().map_err(failed)?;
        let block = encode_block(self.next.sequence, &heads.encode());
        if block.len() > BLOCK_BYTES {
            return Err(failed(io::Error::other("the heads are too large")));
        }
        // A write that failed is tried again on the same block: the other one is whole.
        let written = self.file.write_all_at(&block, self.next.offset);
        written.map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        self.next = NextBlock::after(self.next.offset, self.next.sequence);
        Ok(())
    }
}

impl NextBlock {
    /// Returns the block that follows one that is whole.
    fn after(offset: u64, sequence: u64) -> Self {
        let [first, second] = BLOCKS;
        Self {
            offset: if offset == first { second } else { first },
            sequence: sequence.saturating_add(1),
        }
    }
}

/// Returns the newest heads in a file. One of its blocks is whole at any time, also while a server
/// writes the other one.
fn heads_in(path: &Path, file: &File) -> Result<Option<GuardedHeads>, PlaceError> {
    let newest = newest(file).map_err(|error| failed(path, error))?;
    let (_, block) = newest.ok_or_else(|| {
        let reason = "damaged: neither of its two blocks is whole; remove it if another place of the \
                      guard has the newest heads";
        failed(path, reason)
    })?;
    Ok(block.heads)
}

/// Returns the newest whole block with its offset; `None` if both are damaged.
fn newest(file: &File) -> io::Result<Option<(u64, Block)>> {
    let mut newest: Option<(u64, Block)> = None;
    for offset in BLOCKS {
        let bytes = read_block(file, offset)?;
        if let Some(block) = decode_block(&bytes) {
            let is_newer = |(_, other): &(u64, Block)| block.sequence > other.sequence;
            if newest.as_ref().is_none_or(is_newer) {
                newest = Some((offset, block));
            }
        }
    }
    Ok(newest)
}

/// Reads the bytes of a block: fewer where the file was cut off, which may be behind its content.
fn read_block(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; BLOCK_BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn check_is_file(path: &Path, file: &File) -> Result<(), PlaceError> {
    let metadata = file.metadata().map_err(|error| failed(path, error))?;
    if metadata.is_file() {
        Ok(())
    } else {
        Err(failed(path, "not a file"))
    }
}

/// Creates the file with a first block that has no heads, and locks it. It appears under its name
/// when all of it is durable. So a file without a whole block is always a damaged one. Returns `None`
/// if another process creates it.
fn create(path: &Path) -> Result<Option<File>, PlaceError> {
    let mut new_name = path.as_os_str().to_owned();
    new_name.push(".new");
    let new = Path::new(&new_name);
    let failed_there = |error: io::Error| failed(path, error);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        // Root may create it in a folder of somebody else, who must not choose which file that is.
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(new);
    let file = file.map_err(failed_there)?;
    // The lock belongs to the file and not to its name, so it is held before the name is there.
    let Some(file) = lock(path, file)? else {
        return Ok(None);
    };
    if path.exists() {
        // Another process created it in this moment.
        fs::remove_file(new).map_err(failed_there)?;
        return Ok(None);
    }
    let fill = || -> io::Result<()> {
        file.set_len(0)?;
        let mut bytes = encode_block(0, b"");
        bytes.resize(BLOCKS.len() * BLOCK_BYTES, 0);
        file.write_all_at(&bytes, 0)?;
        // A command that root runs creates it for the server. Nobody else may give it away, and then
        // it belongs to whoever runs the server anyway.
        let folder = folder_of(path).metadata()?;
        drop(fchown(&file, Some(folder.uid()), Some(folder.gid())));
        file.sync_all()?;
        // Dies here: the name ".new" remains, and the next start uses it again.
        fs::rename(new, path)?;
        File::open(folder_of(path))?.sync_all()
    };
    fill().map_err(failed_there)?;
    Ok(Some(file))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Locks the file, or returns `None` if another process has it locked.
fn lock(path: &Path, file: File) -> Result<Option<File>, PlaceError> {
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(path, error)),
    }
}

fn failed(path: &Path, error: impl std::fmt::Display) -> PlaceError {
    PlaceError(format!("{}: {error}", path.display()))
}

fn encode_block(sequence: u64, content: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(HEADER_BYTES + content.len());
    block.extend_from_slice(header(sequence, content).as_bytes());
    block.extend_from_slice(content);
    block
}

fn decode_block(bytes: &[u8]) -> Option<Block> {
    let (stated, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let stated = str::from_utf8(stated).ok()?;
    let mut fields = stated.split(' ');
    let sequence: u64 = fields.next()?.parse().ok()?;
    let length: usize = fields.next()?.parse().ok()?;
    let content = rest.get(..length)?;
    if header(sequence, content) != stated {
        return None;
    }
    let heads = match content {
        [] => None,
        content => Some(GuardedHeads::decode(content).ok()?),
    };
    Some(Block { sequence, heads })
}

/// Returns the first line of a block. The content ends with its own checksum, so that the header
/// needs no other pass over it.
fn header(sequence: u64, content: &[u8]) -> String {
    let fields = format!("{sequence:020} {:010} ", content.len());
    let end = &content[content.len().saturating_sub(CHECKSUM_BYTES)..];
    let checksum = sha256(&[fields.as_bytes(), end].concat());
    format!("{fields}{checksum}\n")
}

#[cfg(test)]
mod tests;
