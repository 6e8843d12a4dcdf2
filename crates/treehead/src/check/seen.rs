//! The heads of a log that were seen last, in one file per log.
//!
//! The file is replaced as a whole: written beside, made durable, and renamed, so that a crash
//! leaves the old file or the new one. A lock file lets one process at a time compare and replace.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use client::{Evidence, LogKey, SignedHead};
use ledger::Api;
use monitor::durable_file::replace;
use serde::{Deserialize, Serialize};

use super::flags::HeadFlags;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// Longest part of a URL in a file name.
const MAX_NAME: usize = 60;

/// The heads that are remembered of one log. The file is locked as long as this exists.
pub(super) struct Seen {
    path: PathBuf,
    content: Content,
    _lock: File,
}

/// The content of the file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    url: String,
    api: String,
    /// At most one of each origin.
    heads: Vec<SeenHead>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SeenHead {
    /// The signed note.
    note: String,
    /// When it was seen first, Unix seconds.
    time: u64,
}

/// A head that is remembered.
pub(super) struct Remembered {
    pub head: SignedHead,
    /// When it was seen first, Unix seconds.
    pub time: u64,
}

impl Seen {
    /// Reads what is remembered of a log. Waits while another process has the file.
    pub(super) fn open(flags: &HeadFlags, api: &Api) -> Outcome<Self> {
        let folder = folder(flags)?;
        let url = flags.log.url.trim_end_matches('/');
        let path = folder.join(file_name(url, api));
        Self::read(&folder, path.clone(), url, api).explain(FailureKind::Other, path.display())
    }

    fn read(folder: &Path, path: PathBuf, url: &str, api: &Api) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = File::create(path.with_extension("lock"))?;
        lock.lock()?;
        let content = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content {
                url: url.to_owned(),
                api: api.name.to_owned(),
                heads: Vec::new(),
            },
            Err(error) => return Err(error),
        };
        Ok(Self {
            path,
            content,
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the remembered heads, oldest tree first. Each is verified again.
    pub(super) fn heads(&self, keys: &[LogKey]) -> Outcome<Vec<Remembered>> {
        let open = |seen: &SeenHead| {
            let head = SignedHead::open(keys, &seen.note);
            head.map(|head| Remembered {
                head,
                time: seen.time,
            })
        };
        let heads: Result<Vec<_>, _> = self.content.heads.iter().map(open).collect();
        heads.map_err(|error| {
            let why = format_args!(
                "{}: {error}. If the log was replaced on purpose, remove this file",
                self.path.display()
            );
            Failure::new(FailureKind::NotVerified, why)
        })
    }

    /// Remembers a head in place of the one of its origin.
    pub(super) fn remember(&mut self, head: &SignedHead, time: u64) {
        let line = format!("{}\n", head.origin());
        self.content
            .heads
            .retain(|seen| !seen.note.starts_with(&line));
        self.content.heads.push(SeenHead {
            note: head.note.clone(),
            time,
        });
    }

    /// Replaces the file. On return it is durable.
    pub(super) fn store(&self) -> Outcome<()> {
        let stored = serde_json::to_vec_pretty(&self.content)
            .map_err(io::Error::from)
            .and_then(|bytes| replace(&self.path, &bytes));
        stored.explain(FailureKind::Other, self.path.display())
    }

    /// Writes evidence against the log into a file beside.
    pub(super) fn keep_evidence(&self, evidence: &Evidence) -> Outcome<PathBuf> {
        let name = format!("evidence-{}.json", evidence.time);
        let path = self.path.with_extension(name);
        replace(&path, evidence.to_json().as_bytes())
            .explain(FailureKind::Other, path.display())?;
        Ok(path)
    }
}

fn folder(flags: &HeadFlags) -> Outcome<PathBuf> {
    if let Some(folder) = &flags.state {
        return Ok(folder.clone());
    }
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = variable("XDG_STATE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(variable("HOME")?).join(".local/state"));
    let state = state.or_else(home).ok_or_else(|| {
        let why = "neither XDG_STATE_HOME nor HOME is set: name a folder with --state";
        Failure::new(FailureKind::Usage, why)
    })?;
    Ok(state.join("treehead"))
}

/// Returns a readable name that no other log has.
fn file_name(url: &str, api: &Api) -> String {
    let name = url.split_once("://").map_or(url, |(_, name)| name);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let name: String = name.chars().take(MAX_NAME).collect();
    let name = name.replace(|c| !is_plain(c), "_");
    let hash = tlog::sha256(format!("{} {url}", api.name).as_bytes());
    format!("{name}-{}-{}.json", api.name, &hash.to_string()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.json");
        // What a crash left.
        fs::write(path.with_extension("new"), "half").unwrap();
        let mut seen = Seen::read(folder.path(), path.clone(), "u", &ledger::V1).unwrap();
        assert_eq!(seen.content.heads, []);
        seen.content.heads.push(SeenHead {
            note: "n".to_owned(),
            time: 1,
        });
        seen.store().unwrap();
        let content = Content {
            heads: vec![SeenHead {
                note: "n".to_owned(),
                time: 1,
            }],
            ..Content {
                url: "u".to_owned(),
                api: "v1".to_owned(),
                ..Content::default()
            }
        };
        drop(seen);
        let seen = Seen::read(folder.path(), path.clone(), "u", &ledger::V1).unwrap();
        assert_eq!(seen.content, content);
        drop(seen);
        // A file that is damaged is an error and no empty memory.
        fs::write(&path, "{").unwrap();
        assert!(Seen::read(folder.path(), path, "u", &ledger::V1).is_err());
    }

    #[test]
    fn each_log_has_a_file_of_its_own() {
        let name = file_name("https://log.example:3000/a", &ledger::V1);
        assert!(name.starts_with("log.example_3000_a-v1-"), "{name}");
        let long = "https://".to_owned() + &"x/é".repeat(100);
        let others = [
            file_name("http://log.example:3000/a", &ledger::V1),
            file_name("https://log.example:3000/a", &ledger::V2),
            file_name("https://log.example_3000/a", &ledger::V1),
            file_name(&long, &ledger::V1),
        ];
        assert!(
            others
                .iter()
                .all(|other| *other != name && other.len() < 100)
        );
    }
}
