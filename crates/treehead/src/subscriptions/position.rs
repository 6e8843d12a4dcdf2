//! How far the subscriptions have read, on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ledger::events::{Event, Position};
use monitor::durable_file::replace;
use serde::{Deserialize, Serialize};

use crate::failure::{Explain, FailureKind, Outcome};

const NAME: &str = "position.json";

/// The file.
#[derive(Clone, Debug)]
pub(super) struct Place(PathBuf);

/// The contents of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// All entries before it were matched, and their notices are in the outbox.
    position: String,
    /// By tree, the leaf index behind the entries whose notices may be in the outbox as well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    begun: BTreeMap<String, u64>,
}

impl Kept {
    pub(super) fn at(position: &Position) -> Self {
        Self {
            position: position.to_string(),
            begun: BTreeMap::new(),
        }
    }

    pub(super) fn position(&self) -> Outcome<Position> {
        let position = self.position.parse::<Position>();
        position.explain(FailureKind::Other, NAME)
    }

    /// Notes that notices of these entries may be in the outbox from now on.
    pub(super) fn begin(&mut self, events: &[Event]) {
        for event in events {
            let next = self.begun.entry(event.tree.to_string()).or_default();
            *next = (event.leaf_index + 1).max(*next);
        }
    }

    /// Whether the notice of an entry may be in the outbox already.
    pub(super) fn has_begun(&self, event: &Event) -> bool {
        let next = self.begun.get(&event.tree.to_string());
        next.is_some_and(|next| event.leaf_index < *next)
    }
}

impl Place {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.join(NAME))
    }

    /// Keeps a position unless there is one.
    pub(super) fn keep_first(&self, position: &Position) -> Outcome<()> {
        match self.0.exists() {
            true => Ok(()),
            false => self.write(&Kept::at(position)),
        }
    }

    pub(super) fn read(&self) -> Outcome<Kept> {
        let shown = self.0.display();
        let text = fs::read_to_string(&self.0).explain(FailureKind::Other, shown)?;
        serde_json::from_str(&text).explain(FailureKind::Other, self.0.display())
    }

    pub(super) async fn keep(&self, kept: &Kept) -> Outcome<()> {
        let (place, kept) = (self.clone(), kept.clone());
        let written = tokio::task::spawn_blocking(move || place.write(&kept)).await;
        written.explain(FailureKind::Other, NAME)?
    }

    /// Replaces the file as a whole: a crash leaves the old one or the new one.
    fn write(&self, kept: &Kept) -> Outcome<()> {
        let written = serde_json::to_vec(kept)
            .map_err(std::io::Error::from)
            .and_then(|text| replace(&self.0, &text));
        written.explain(FailureKind::Other, self.0.display())
    }
}
