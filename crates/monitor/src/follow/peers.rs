//! Compares heads with those that other observers of the log were shown.

use client::{Ask, Fetch, History, ReadError, SignedHead};
use serde::Deserialize;

use super::source::{Shown, Source};
use super::{Follower, Result, guard};
use crate::alarm::Alarm;

/// Largest answer of another observer: the guard of a treehead has up to 700 KB.
const MAX_ANSWER: usize = 1 << 20;
/// Most heads of one observer that are looked at.
const MAX_HEADS: usize = 256;

impl<F: Fetch + Clone + Send + Sync + 'static> Follower<F> {
    /// Asks the other observers. What they show counts only as far as the log signed it, and an
    /// observer that is away is no fault of the log.
    pub(super) async fn ask_peers(
        &mut self,
        source: &Source<F>,
        shown: &[Shown<F>],
        now: i64,
    ) -> Result<()> {
        let shared = std::sync::Arc::clone(&self.shared);
        for url in &shared.peers {
            let ask = Ask {
                url: url.clone(),
                json: None,
                limit: MAX_ANSWER,
            };
            let answer = match source.fetch().fetch(&ask).await {
                Ok(answer) if answer.status == 200 => answer.body,
                Ok(answer) => {
                    tracing::warn!(peer = url, status = answer.status, "a peer shows no heads");
                    continue;
                }
                Err(error) => {
                    tracing::warn!(peer = url, %error, "a peer is away");
                    continue;
                }
            };
            for note in notes(&answer) {
                let Ok(theirs) = SignedHead::open(source.keys(), &note) else {
                    continue;
                };
                let tree = shown.iter().find(|shown| shown.head.is_of_tree_of(&theirs));
                if let Some(tree) = tree {
                    self.compare_with(source, tree, &theirs, url, now).await?;
                }
            }
        }
        Ok(())
    }

    async fn compare_with(
        &mut self,
        source: &Source<F>,
        tree: &Shown<F>,
        theirs: &SignedHead,
        url: &str,
        now: i64,
    ) -> Result<()> {
        match source.compare(theirs, &tree.head, tree).await {
            Ok(History::Same | History::Extends(_)) => {}
            // Between both looks the log may have grown. The next look shows whether it did here.
            Ok(History::Older(_)) => {
                tracing::info!(log = self.name(), peer = url, size = %theirs.size(), "a peer knows a newer head");
            }
            Err(ReadError::History(error)) => {
                let log = source.url();
                let alarm = Alarm::of_history(log, now, theirs, &tree.head, &error, Some(url));
                self.raise(&alarm, now).await?;
            }
            Err(error) => {
                tracing::warn!(log = self.name(), peer = url, %error, "a head of a peer could not be compared");
            }
        }
        Ok(())
    }
}

/// Returns the signed notes in the answer of an observer: the heads of another monitor, the guard of
/// a treehead, or one checkpoint.
fn notes(answer: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Heads {
        heads: Vec<Head>,
    }
    #[derive(Deserialize)]
    struct Head {
        checkpoint: String,
    }
    if let Ok(Heads { heads }) = serde_json::from_slice(answer) {
        let notes = heads.into_iter().map(|head| head.checkpoint);
        return notes.take(MAX_HEADS).collect();
    }
    match std::str::from_utf8(answer) {
        Ok(note) if !guard::is_guard(answer) => vec![note.to_owned()],
        _ => guard::notes(answer, MAX_HEADS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_found_in_every_form() {
        let note = "log\n1\nroot\n\n— log sig\n";
        let heads = serde_json::json!({"heads": [{"log": "x", "checkpoint": note}]}).to_string();
        assert_eq!(notes(heads.as_bytes()), [note]);
        assert_eq!(notes(note.as_bytes()), [note]);
    }
}
