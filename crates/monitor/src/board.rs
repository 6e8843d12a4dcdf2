//! The newest heads that a monitor knows, for other monitors to compare.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use client::SignedHead;
use serde::Serialize;

/// The newest head of each tree of each log. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<(String, String), Entry>>>);

/// A head on the board.
#[derive(Clone, Debug, Serialize)]
struct Entry {
    log: String,
    origin: String,
    size: u64,
    /// When the log showed it first, Unix seconds.
    time: i64,
    /// The signed note.
    checkpoint: String,
}

impl Board {
    /// Shows a head in place of the one of its tree.
    pub(crate) fn show(&self, log: &str, head: &SignedHead, time: i64) {
        let entry = Entry {
            log: log.to_owned(),
            origin: head.origin().to_owned(),
            size: head.size().0,
            time,
            checkpoint: head.note.clone(),
        };
        let key = (log.to_owned(), head.origin().to_owned());
        // A thread that panicked left whole entries.
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heads.insert(key, entry);
    }

    /// Returns the heads as JSON: `heads`, a list with `log`, `origin`, `size`, `time` and
    /// `checkpoint`.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Heads<'a> {
            heads: Vec<&'a Entry>,
        }
        let heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let heads = Heads {
            heads: heads.values().collect(),
        };
        // Texts and numbers are always written.
        serde_json::to_string(&heads).unwrap_or_default()
    }
}
