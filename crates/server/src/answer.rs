//! Room for answers: taken before they are made, and kept until they are sent.

use futures_util::future::try_join_all;
use host::{Refusal, Share};
use ledger::{Log, LoggedEntry, ReadError};

use crate::app::App;
use crate::lookup::Place;

/// Reads the entry at a place. Returns it with room to show it; see [`entries`].
pub(crate) async fn entry<E: From<ReadError> + From<Refusal>>(
    app: &App,
    log: &Log,
    place: &Place,
) -> Result<(Share, LoggedEntry), E> {
    let share = room(app, app.attestations.room_of_entry()).await?;
    let entry = entry_at(log, place).await?;
    let beyond_usual = bytes_beyond_usual(&entry);
    if beyond_usual == 0 {
        return Ok((share, entry));
    }
    drop((share, entry));
    let share = room(app, app.attestations.room_of_entry() + beyond_usual).await?;
    Ok((share, entry_at(log, place).await?))
}

/// Reads the entries at some places. Returns them in that order, with room to show them.
///
/// It takes room for leaves of usual size first, because room for the largest ones would let few
/// requests in. A larger leaf is dropped and read again in room of its size, so that no request
/// holds one while it waits.
pub(crate) async fn entries<E: From<ReadError> + From<Refusal>>(
    app: &App,
    log: &Log,
    places: &[Place],
) -> Result<(Share, Vec<LoggedEntry>), E> {
    let usual_bytes = places.len() as u64 * app.attestations.room_of_entry();
    let share = room(app, usual_bytes).await?;
    let read = try_join_all(places.iter().map(|place| read_usual(log, place))).await?;
    let beyond_usual = read.iter().map(Read::bytes_beyond_usual).sum::<u64>();
    if beyond_usual == 0 {
        return Ok((share, read.into_iter().filter_map(Read::entry).collect()));
    }
    drop((share, read));
    let share = room(app, usual_bytes + beyond_usual).await?;
    let entries = try_join_all(places.iter().map(|place| entry_at(log, place))).await?;
    Ok((share, entries))
}

/// An entry that was read in room for leaves of usual size.
enum Read {
    Usual(LoggedEntry),
    /// An entry that needs so many bytes more, and was dropped.
    Large(u64),
}

impl Read {
    fn bytes_beyond_usual(&self) -> u64 {
        match self {
            Self::Usual(_) => 0,
            Self::Large(bytes) => *bytes,
        }
    }

    fn entry(self) -> Option<LoggedEntry> {
        match self {
            Self::Usual(entry) => Some(entry),
            Self::Large(_) => None,
        }
    }
}

async fn read_usual(log: &Log, place: &Place) -> Result<Read, ReadError> {
    let entry = entry_at(log, place).await?;
    Ok(match bytes_beyond_usual(&entry) {
        0 => Read::Usual(entry),
        bytes => Read::Large(bytes),
    })
}

async fn entry_at(log: &Log, place: &Place) -> Result<LoggedEntry, ReadError> {
    let Place { head, leaf_index } = place;
    let entry = log.entries(head, &[*leaf_index]).await?.pop();
    let absent = || ReadError::OutOfRange(format!("leaf index {leaf_index} is beyond its head"));
    entry.ok_or_else(absent)
}

/// Returns the bytes of an entry in an answer beyond those of a leaf that fits in an entry bundle.
fn bytes_beyond_usual(entry: &LoggedEntry) -> u64 {
    let usual = ledger::MAX_BUNDLED_LEAF_BYTES as usize;
    let beyond_usual = entry.body.len().saturating_sub(usual) as u64;
    beyond_usual.div_ceil(3) * 4
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
