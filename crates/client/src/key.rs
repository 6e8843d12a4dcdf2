//! The public key of a log.

use tlog::{Checkpoint, Hash, NoteKey, VerifyingKey};

use crate::error::Result;
use crate::head::SignedHead;

/// The public key of a log, against which its answers are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKey {
    key: VerifyingKey,
    /// The name under which it signs. `None`: under the name that an origin contains.
    name: Option<String>,
    /// The ID that a trusted root gives the log: the hash of the key alone, or of name and key.
    log_id: Option<Hash>,
    window: Window,
}

/// The time in which a log accepted entries, Unix seconds. Both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first second.
    pub start: i64,
    /// The last second, unless the log still accepts entries.
    pub end: Option<i64>,
}

impl Window {
    /// All times.
    pub const ALWAYS: Self = Self {
        start: i64::MIN,
        end: None,
    };

    /// Returns whether a time lies in the window.
    pub fn contains(self, time: i64) -> bool {
        self.start <= time && self.end.is_none_or(|end| time <= end)
    }
}

impl LogKey {
    /// Makes the key of a log from a public key that the caller trusts. Its log may have any name.
    pub fn new(key: VerifyingKey) -> Self {
        Self {
            key,
            name: None,
            log_id: None,
            window: Window::ALWAYS,
        }
    }

    /// Makes the key of the log that signs under this name.
    pub fn named(key: &NoteKey) -> Self {
        Self {
            name: Some(key.name().to_owned()),
            ..Self::new(key.key().clone())
        }
    }

    /// Makes the key of a log with the ID and the window that a trusted root states.
    pub(crate) fn of_trusted_root(key: VerifyingKey, log_id: Hash, window: Window) -> Self {
        Self {
            log_id: Some(log_id),
            window,
            ..Self::new(key)
        }
    }

    /// Returns the public key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Returns the time in which the log accepted entries.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Returns whether a trusted root gives the log this ID.
    pub(crate) fn has_id(&self, id: &Hash) -> bool {
        self.log_id.as_ref() == Some(id)
    }

    /// Returns the key under a name, or `None` if the log may not sign under it.
    pub(crate) fn under(&self, name: &str) -> Result<Option<NoteKey>> {
        if self.name.as_ref().is_some_and(|own| own != name) {
            return Ok(None);
        }
        let key = NoteKey::new(name, self.key.clone())?;
        let is_its_id = |id: Hash| id == self.key.log_id() || id == key.key_hash();
        Ok(self.log_id.is_none_or(is_its_id).then_some(key))
    }

    /// Opens a checkpoint that this key signed.
    pub(crate) fn open(&self, note: &str) -> Result<Checkpoint> {
        Ok(SignedHead::open(std::slice::from_ref(self), note)?.checkpoint)
    }
}
