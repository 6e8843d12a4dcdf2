//! What a guard is, and the places and sources that it has.

use async_trait::async_trait;

use super::kept::{GuardedHead, GuardedHeads};

/// Why a place cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PlaceError(pub String);

/// Why a head is at no place.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no guard can be written: {0}")]
pub struct GuardError(pub String);

/// Who gave an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A place, which may be the only one that has the newest heads.
    Place,
    /// A source, which may be absent.
    Source,
}

/// The answer of one place or source.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Which of both it is.
    pub origin: Origin,
    /// The place or source.
    pub label: String,
    /// Its heads; `None` if it never had any.
    pub found: Result<Option<GuardedHeads>, PlaceError>,
}

/// Keeps heads outside the database, at one place or several.
#[async_trait]
pub trait Guard: Send + Sync + 'static {
    /// Reads all places and sources, each for a bounded time.
    async fn read(&self) -> Vec<Reading>;
    /// Keeps the head of a log, unless a newer one of that log is kept. On return it is durable at
    /// each place that works.
    ///
    /// # Errors
    ///
    /// No place has it.
    async fn keep(&self, head: GuardedHead) -> Result<(), GuardError>;
    /// Returns the newest heads that were kept.
    fn heads(&self) -> GuardedHeads;
    /// Returns why the newest heads are at no place, if that is so.
    fn fault(&self) -> Option<String>;
}

/// A place outside the database where heads are kept. It blocks, so each works on a thread of its
/// own.
pub trait Place: Send + 'static {
    /// Returns how log lines, metrics and people call it.
    fn label(&self) -> String;
    /// Returns the heads that it has; `None` if none were ever written.
    fn read(&mut self) -> Result<Option<GuardedHeads>, PlaceError>;
    /// Stores the heads; durable on return. MUST NOT put older heads in the place of newer ones that
    /// another server stored.
    fn write(&mut self, heads: &GuardedHeads) -> Result<(), PlaceError>;
}

/// Heads that others know: another server of the ledger.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Returns how log lines and people call it.
    fn label(&self) -> String;
    /// Returns the heads that it let out; `None` if it has let none out.
    async fn read(&self) -> Result<Option<GuardedHeads>, PlaceError>;
}
