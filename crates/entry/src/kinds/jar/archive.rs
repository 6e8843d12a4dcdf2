//! ZIP archives, as JAR files are: read in place, one file at a time.
//!
//! Why not with the `zip` crate: it makes some 400 bytes of every file's name before it can be
//! asked how many there are, and of two files with one name it shows only the second. Here an
//! archive that two readers may read differently is refused: with a name twice, files that overlap,
//! names, methods or sizes that differ between directory and file, bytes after its end. Encryption,
//! ZIP64 and several disks are not read.

use std::collections::HashMap;
use std::io::{self, Read};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use pki::{TooCostly, Work};

/// Files in one archive: as many as can be without ZIP64. The list of them takes 9 MiB at most.
const MAX_FILES: usize = 0xfffe;

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";
const DIRECTORY_ENTRY_BYTES: usize = 46;
const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
const LOCAL_HEADER_BYTES: usize = 30;
/// The flag of a file whose checksum and sizes stand after it, and not in its local header.
const NUMBERS_AFTER: u16 = 8;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// An archive whose directory is read and fits its files.
pub(super) struct Archive<'a> {
    files: Vec<File<'a>>,
    by_name: HashMap<&'a [u8], usize>,
}

/// One file of an archive.
pub(super) struct File<'a> {
    pub(super) name: &'a [u8],
    method: u16,
    crc: u32,
    compressed: &'a [u8],
    /// Bytes that decompression has to give.
    pub(super) size: u64,
}

/// Why bytes are not an archive.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("zip: not a valid zip file: {0}")]
    Malformed(&'static str),
    #[error("zip: {0}")]
    Unsupported(&'static str),
    #[error("zip: the file {0:?} is there twice")]
    Twice(String),
    #[error("zip: the file {0:?} cannot be decompressed: {1}")]
    Undecodable(String, String),
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
}

impl<'a> Archive<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let end = End::find(bytes)?;
        let mut directory = Fields(end.directory);
        // No more than the directory has room for.
        let capacity = end.files.min(end.directory.len() / DIRECTORY_ENTRY_BYTES);
        let mut files = Vec::with_capacity(capacity);
        let mut by_name = HashMap::with_capacity(capacity);
        let mut extents = Vec::with_capacity(capacity);
        for at in 0..end.files {
            let (file, extent) = directory
                .file(end.archive)
                .ok_or(ArchiveError::Malformed("its directory"))?;
            let (file, extent) = (file?, extent);
            if by_name.insert(file.name, at).is_some() {
                return Err(ArchiveError::Twice(shown(file.name)));
            }
            files.push(file);
            extents.push(extent);
        }
        if !directory.0.is_empty() {
            return Err(ArchiveError::Malformed(
                "its directory has more files than it says",
            ));
        }
        extents.sort_unstable();
        if extents.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return Err(ArchiveError::Malformed("its files overlap"));
        }
        Ok(Self { files, by_name })
    }

    pub(super) fn files(&self) -> &[File<'a>] {
        &self.files
    }

    pub(super) fn file(&self, name: &[u8]) -> Option<&File<'a>> {
        self.by_name.get(name).map(|at| &self.files[*at])
    }
}

impl File<'_> {
    /// Hands the contents to `sink`, piece by piece, and checks their size and CRC.
    pub(super) fn decompress(
        &self,
        work: &mut Work,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), ArchiveError> {
        work.take_inflating(self.compressed.len(), self.size)?;
        let mut crc = Crc::new();
        let mut size = 0_u64;
        let mut see = |piece: &[u8]| {
            crc.update(piece);
            size += piece.len() as u64;
            sink(piece);
        };
        match self.method {
            STORED => see(self.compressed),
            // One byte more than it may be, so that too many are noticed.
            _ => pieces(
                DeflateDecoder::new(self.compressed).take(self.size + 1),
                &mut see,
            )
            .map_err(|error| ArchiveError::Undecodable(shown(self.name), error.to_string()))?,
        }
        match size == self.size && crc.sum() == self.crc {
            true => Ok(()),
            false => Err(ArchiveError::Undecodable(
                shown(self.name),
                "its size or its checksum is another".to_owned(),
            )),
        }
    }

    /// The contents as a whole; for files whose size is bounded.
    pub(super) fn contents(&self, work: &mut Work) -> Result<Vec<u8>, ArchiveError> {
        let mut contents = Vec::new();
        self.decompress(work, |piece| contents.extend_from_slice(piece))?;
        Ok(contents)
    }
}

fn pieces(mut from: impl Read, see: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            length => see(&buffer[..length]),
        }
    }
}

/// The end of an archive, where its directory is found.
struct End<'a> {
    /// Without what precedes the archive, as the script of a file that runs by itself.
    archive: &'a [u8],
    directory: &'a [u8],
    files: usize,
}

impl<'a> End<'a> {
    /// Finds the end by its comment, which is the last thing in the file and has its length before
    /// it.
    fn find(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let longest = bytes.len().min(END_BYTES + 0xffff);
        let at = (END_BYTES..=longest)
            .map(|length| bytes.len() - length)
            .find(|at| {
                let comment = bytes.len() - at - END_BYTES;
                bytes[*at..].starts_with(END) && usize::from(u16_at(&bytes[at + 20..])) == comment
            });
        let at = at.ok_or(ArchiveError::Malformed("it has no end"))?;
        let mut fields = Fields(&bytes[at + END.len()..]);
        let (disk, start_disk, on_disk, files) =
            (fields.u16(), fields.u16(), fields.u16(), fields.u16());
        let (size, offset) = (fields.u32(), fields.u32());
        let files = usize::from(files.unwrap_or(0));
        if disk != Some(0) || start_disk != Some(0) || on_disk.map(usize::from) != Some(files) {
            return Err(ArchiveError::Unsupported("it has several disks"));
        }
        if files > MAX_FILES || offset == Some(u32::MAX) {
            return Err(ArchiveError::Unsupported(
                "ZIP64 and archives of more than 65,534 files are not taken",
            ));
        }
        let directory = size.and_then(|size| at.checked_sub(size as usize));
        let start = offset.and_then(|offset| directory?.checked_sub(offset as usize));
        match (directory, start) {
            (Some(directory), Some(start)) => Ok(Self {
                archive: &bytes[start..directory],
                directory: &bytes[directory..at],
                files,
            }),
            _ => Err(ArchiveError::Malformed("its directory is outside it")),
        }
    }
}

/// Little-endian fields, read from the front.
struct Fields<'a>(&'a [u8]);

/// Where header and contents of a file begin and end.
type Extent = (usize, usize);

impl<'a> Fields<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes(2).map(u16_at)
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.bytes(4)?;
        Some(u32::from(u16_at(bytes)) | u32::from(u16_at(&bytes[2..])) << 16)
    }

    /// The next file of a directory, which is in `archive`.
    fn file(&mut self, archive: &'a [u8]) -> Option<(Result<File<'a>, ArchiveError>, Extent)> {
        let mut fields = Fields(self.bytes(DIRECTORY_ENTRY_BYTES)?);
        if fields.bytes(4)? != DIRECTORY_ENTRY {
            return None;
        }
        let (_versions, flags, method, _time) =
            (fields.u32()?, fields.u16()?, fields.u16()?, fields.u32()?);
        let numbers = fields.0.get(..12)?;
        let (crc, compressed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name, extra, comment) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let (_disk_and_attributes, offset) = (fields.bytes(8)?, fields.u32()? as usize);
        let name = self.bytes(usize::from(name))?;
        self.bytes(usize::from(extra) + usize::from(comment))?;

        let mut local = Fields(archive.get(offset..)?);
        let mut header = Fields(local.bytes(LOCAL_HEADER_BYTES)?);
        if header.bytes(4)? != LOCAL_HEADER {
            return None;
        }
        let (flags_here, method_here) = (u16_at(&header.0[2..]), u16_at(&header.0[4..]));
        // Who reads from the front goes by the local header, unless checksum and sizes follow the
        // contents.
        let has_numbers_after = flags_here & NUMBERS_AFTER != 0;
        if method_here != method || !(has_numbers_after || header.0[10..22] == *numbers) {
            return None;
        }
        let (local_name, local_extra) = (u16_at(&header.0[22..]), u16_at(&header.0[24..]));
        if local.bytes(usize::from(local_name))? != name {
            return None;
        }
        local.bytes(usize::from(local_extra))?;
        let contents = local.bytes(compressed as usize)?;
        let file = File {
            name,
            method,
            crc,
            compressed: contents,
            size: u64::from(size),
        };
        let file = match (flags & 1, method) {
            (0, STORED | DEFLATED) => Ok(file),
            (0, _) => Err(ArchiveError::Unsupported(
                "unsupported compression algorithm",
            )),
            _ => Err(ArchiveError::Unsupported("encrypted files are not taken")),
        };
        Some((file, (offset, archive.len() - local.0.len())))
    }
}

fn u16_at(bytes: &[u8]) -> u16 {
    u16::from(bytes[0]) | u16::from(bytes[1]) << 8
}

/// The beginning of a file's name, for a message.
pub(super) fn shown(name: &[u8]) -> String {
    pki::quoted(&String::from_utf8_lossy(name)).into_owned()
}
