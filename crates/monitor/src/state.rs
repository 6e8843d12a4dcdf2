//! What is remembered of one log, in one file.
//!
//! The file is replaced as a whole: written beside, made durable, and renamed, so that a crash
//! leaves the old file or the new one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use client::SignedHead;
use serde::{Deserialize, Serialize};

use crate::durable_file::replace;

/// What is remembered of one log.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    pub content: Content,
}

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// When the log showed a newer head or was seen first, Unix seconds. 0 before the first look.
    pub fresh: i64,
    /// When all trees were read to the end of their heads, Unix seconds. 0 before that.
    #[serde(default)]
    pub read: i64,
    /// The trees, oldest first.
    pub trees: Vec<TreeState>,
    /// The alarms that were raised and whose reason is still there, by what they are about.
    pub alarms: BTreeMap<String, Raised>,
}

/// What is remembered of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TreeState {
    /// The origin of its heads.
    pub origin: String,
    /// The newest head, a signed note.
    pub head: String,
    /// When that head was seen first, Unix seconds.
    pub since: i64,
    /// All entries before this index of the tree were read, and their notices are in the outbox.
    pub followed: u64,
    /// Notices of entries before this index may be in the outbox. If it is larger than `followed`,
    /// those are repeated after a crash.
    pub noticed: u64,
}

/// An alarm that was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Raised {
    /// When, Unix seconds. It is part of the alarm's ID.
    pub since: i64,
    /// Whether the outbox has its notice. After a crash it may have it without that.
    pub is_told: bool,
}

impl State {
    /// Reads the file, or begins anew if there is none.
    pub(crate) fn open(folder: &Path, log: &str) -> io::Result<Self> {
        let path = folder.join(format!("{log}.json"));
        let content = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, content })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file. On return it is durable.
    pub(crate) fn store(&self) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(&self.content)?;
        replace(&self.path, &bytes)
    }

    pub(crate) fn tree(&self, origin: &str) -> Option<&TreeState> {
        let mut trees = self.content.trees.iter();
        trees.find(|tree| tree.origin == origin)
    }

    pub(crate) fn tree_mut(&mut self, origin: &str) -> Option<&mut TreeState> {
        let mut trees = self.content.trees.iter_mut();
        trees.find(|tree| tree.origin == origin)
    }

    /// Remembers a head in place of the one before. A new tree is followed from `followed` on.
    pub(crate) fn remember(&mut self, head: &SignedHead, now: i64, followed: u64) {
        self.content.fresh = now;
        match self.tree_mut(head.origin()) {
            Some(tree) => {
                tree.head = head.note.clone();
                tree.since = now;
            }
            None => self.content.trees.push(TreeState {
                origin: head.origin().to_owned(),
                head: head.note.clone(),
                since: now,
                followed,
                noticed: followed,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        // What a crash left.
        fs::write(folder.path().join("log.new"), "half").unwrap();
        let mut state = State::open(folder.path(), "log").unwrap();
        assert_eq!(state.content, Content::default());
        state.content.fresh = 7;
        let raised = Raised {
            since: 1,
            is_told: true,
        };
        state.content.alarms.insert("a".to_owned(), raised);
        state.store().unwrap();
        let again = State::open(folder.path(), "log").unwrap();
        assert_eq!(again.content, state.content);
        // A file that is damaged is an error and no empty memory.
        fs::write(state.path(), "{").unwrap();
        State::open(folder.path(), "log").unwrap_err();
    }
}
