//! Room for answers: taken before they are made, and kept until they are sent.

use host::{Refusal, Share};
use ledger::Log;

use crate::app::App;

/// Returns the most bytes of one entry of a log in an answer.
pub(crate) fn entry_bytes(app: &App, log: &Log) -> u64 {
    let beyond_tiles = log
        .tree()
        .max_leaf_bytes
        .saturating_sub(ledger::MAX_BUNDLED_LEAF_BYTES);
    app.attestations.room_of_entry() + u64::from(beyond_tiles) * 4 / 3
}

/// Takes room for an answer of up to `bytes`. It MUST be taken before the answer is made.
///
/// # Errors
///
/// 503 if no room becomes free in time.
pub(crate) async fn room(app: &App, bytes: u64) -> Result<Share, Refusal> {
    app.answers.admit(bytes).await
}

/// Takes room for an answer of a search.
///
/// # Errors
///
/// As [`room`].
pub(crate) async fn search_room(app: &App, bytes: u64) -> Result<Share, Refusal> {
    app.search_answers.admit(bytes).await
}

/// A text with its share of the answers in flight.
pub(crate) struct Kept {
    text: String,
    _share: Share,
}

impl Kept {
    /// Returns a text that was made within `share`, and keeps as much of the share as its length.
    pub(crate) fn new(text: String, mut share: Share) -> Self {
        share.shrink_to(text.len() as u64);
        Self {
            text,
            _share: share,
        }
    }
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}
