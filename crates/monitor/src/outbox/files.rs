//! The files of an outbox: `notices/<number>.json`, `channels/<name>.json`, a lock, and what was set
//! aside: `refused/<channel>-<id>.json` and `notices/<number>.unreadable`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::OutboxError;
use super::progress::Progress;
use crate::notice::Notice;

const LOCK: &str = "outbox.lock";
const NOTICES: &str = "notices";
const CHANNELS: &str = "channels";
const REFUSED: &str = "refused";
const SUFFIX: &str = ".json";
/// The extension of a notice that cannot be read.
const UNREADABLE: &str = "unreadable";
/// Bytes of one of the files; a notice has some kilobytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// An outbox on disk. No other process writes into it.
#[derive(Clone, Debug)]
pub(super) struct Files {
    folder: Arc<PathBuf>,
    /// Released by the kernel however the process ends.
    _lock: Arc<File>,
}

/// The contents of the files.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// The IDs of notices, by number.
    pub(super) notices: BTreeMap<u64, String>,
    /// The progress of each channel of the configuration; none if it has no file yet.
    pub(super) channels: Vec<(String, Option<Progress>)>,
    /// The numbers that channels have come to, also those that are no longer configured.
    pub(super) numbers: Vec<u64>,
}

impl Files {
    pub(super) fn open(folder: &Path) -> Result<Self, OutboxError> {
        let failed = |source| OutboxError::file(folder, source);
        fs::create_dir_all(folder).map_err(failed)?;
        for name in [NOTICES, CHANNELS, REFUSED] {
            fs::create_dir_all(folder.join(name)).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let lock = options.create(true).write(true).truncate(false);
        let lock = lock.open(folder.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                folder: Arc::new(folder.to_owned()),
                _lock: Arc::new(lock),
            }),
            Err(TryLockError::WouldBlock) => Err(OutboxError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads the folder. Files that a crash left half written are removed, and notices that cannot
    /// be read are set aside.
    pub(super) fn stored<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<Stored, OutboxError> {
        let mut stored = Stored::default();
        for (name, path) in self.list(NOTICES)? {
            let number: Option<u64> = name.parse().ok();
            let number = number.ok_or_else(|| OutboxError::Strange(path.clone()))?;
            match read::<Notice>(&path) {
                Ok(notice) => {
                    stored.notices.insert(number, notice.id);
                }
                Err(error) if error.is_damage() => {
                    set_aside(&path, &error)?;
                    stored.numbers.push(number.saturating_add(1));
                }
                Err(error) => return Err(error),
            }
        }
        for (_, path) in self.list(CHANNELS)? {
            let progress: Progress = read(&path)?;
            stored.numbers.push(progress.next);
        }
        for name in names {
            let path = self.progress_path(name);
            let progress = match path.exists() {
                true => Some(read(&path)?),
                false => None,
            };
            stored.channels.push((name.to_owned(), progress));
        }
        Ok(stored)
    }

    /// Returns name and path of each whole file in a folder.
    fn list(&self, folder: &str) -> Result<Vec<(String, PathBuf)>, OutboxError> {
        let folder = self.folder.join(folder);
        let failed = |source| OutboxError::file(&folder, source);
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match name.strip_suffix(SUFFIX) {
                Some(name) => files.push((name.to_owned(), path)),
                // A file that a crash left before it was renamed.
                None if name.ends_with(".new") => fs::remove_file(&path).map_err(failed)?,
                None if path.extension().is_some_and(|kind| kind == UNREADABLE) => {}
                None => return Err(OutboxError::Strange(path)),
            }
        }
        Ok(files)
    }

    /// Writes a notice. After the next [`Files::sync`] a crash does not lose it.
    pub(super) async fn add(&self, number: u64, notice: Notice) -> Result<(), OutboxError> {
        let path = self.notice_path(number);
        in_background(move || write(&path, &notice)).await
    }

    /// Makes durable that the notices before are in the folder.
    pub(super) async fn sync(&self) -> Result<(), OutboxError> {
        let folder = self.folder.join(NOTICES);
        in_background(move || sync_folder(&folder)).await
    }

    /// Reads a notice.
    pub(super) async fn notice(&self, number: u64) -> Result<Notice, OutboxError> {
        let path = self.notice_path(number);
        in_background(move || read(&path)).await
    }

    /// Keeps the progress of a channel, durably.
    pub(super) async fn keep(&self, channel: &str, progress: Progress) -> Result<(), OutboxError> {
        let path = self.progress_path(channel);
        let folder = self.folder.join(CHANNELS);
        in_background(move || {
            write(&path, &progress)?;
            sync_folder(&folder)
        })
        .await
    }

    /// Keeps durably a notice that the receiver of a channel refuses. Returns its file.
    pub(super) async fn keep_refused(
        &self,
        channel: &str,
        notice: Notice,
    ) -> Result<PathBuf, OutboxError> {
        let folder = self.folder.join(REFUSED);
        let path = folder.join(format!("{channel}-{}{SUFFIX}", notice.id));
        in_background(move || {
            write(&path, &notice)?;
            sync_folder(&folder)?;
            Ok(path)
        })
        .await
    }

    /// Removes notices that every channel has delivered. A file that stays is removed by the next
    /// start.
    pub(super) fn remove(&self, numbers: &[u64]) {
        for number in numbers {
            let path = self.notice_path(*number);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!("{}: {error}", path.display());
            }
        }
    }

    fn notice_path(&self, number: u64) -> PathBuf {
        let name = format!("{number:020}{SUFFIX}");
        self.folder.join(NOTICES).join(name)
    }

    /// Returns the file of a channel.
    pub(super) fn progress_path(&self, channel: &str) -> PathBuf {
        let name = format!("{channel}{SUFFIX}");
        self.folder.join(CHANNELS).join(name)
    }
}

/// Writes a whole file under another name and renames it, so that a crash leaves the old one or
/// the new one. Refuses what [`read`] would refuse.
fn write(path: &Path, value: &impl Serialize) -> Result<(), OutboxError> {
    let failed = |source| OutboxError::file(path, source);
    let json = serde_json::to_vec(value).map_err(|error| failed(error.into()))?;
    check_length(json.len() as u64).map_err(failed)?;
    let new = path.with_extension("new");
    let mut file = File::create(&new).map_err(failed)?;
    file.write_all(&json).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}

fn sync_folder(folder: &Path) -> Result<(), OutboxError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| OutboxError::file(folder, source))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, OutboxError> {
    let failed = |source| OutboxError::file(path, source);
    let length = fs::metadata(path).map_err(failed)?.len();
    check_length(length).map_err(failed)?;
    let json = fs::read(path).map_err(failed)?;
    serde_json::from_slice(&json).map_err(|error| failed(error.into()))
}

fn check_length(length: u64) -> io::Result<()> {
    if length <= MAX_FILE_BYTES {
        return Ok(());
    }
    let error = format!("{length} bytes, the limit is {MAX_FILE_BYTES}");
    Err(io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Renames a notice that cannot be read, so that it holds up no other.
fn set_aside(path: &Path, error: &OutboxError) -> Result<(), OutboxError> {
    let aside = path.with_extension(UNREADABLE);
    tracing::error!(
        "{error}; the notice is not delivered, and is kept as {}",
        aside.display()
    );
    fs::rename(path, &aside).map_err(|source| OutboxError::file(path, source))
}

/// Runs what waits for a disk.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OutboxError> + Send + 'static,
) -> Result<T, OutboxError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.map_err(|_| OutboxError::Stopping)?
}
