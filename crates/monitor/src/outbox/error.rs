//! Why an outbox fails.

use std::io;
use std::path::{Path, PathBuf};

/// A fault of the outbox.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
    /// A file is none of an outbox.
    #[error("{} is no file of an outbox", .0.display())]
    Strange(PathBuf),
    /// Another process has the outbox open.
    #[error("{}: another process uses this outbox", .0.display())]
    InUse(PathBuf),
    /// The receivers of all channels answered that they want no more.
    #[error(
        "every channel is switched off by its receiver (410 Gone); change the configuration, or remove the files of \
         the channels from the folder of the outbox to try again"
    )]
    NobodyLeft,
    /// The process is about to end.
    #[error("the process ends")]
    Stopping,
}

impl OutboxError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// Whether a file was read, and its contents are damaged.
    pub(super) fn is_damage(&self) -> bool {
        let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
        matches!(self, Self::File { source, .. } if kinds.contains(&source.kind()))
    }
}
