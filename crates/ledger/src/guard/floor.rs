//! The floor at a start: the heads that the guard's places and sources have of each log. The
//! database must extend all of them.

use std::sync::Arc;

use super::kept::GuardedHead;
use super::place::{Guard, Origin};
use crate::api::{Api, HeadForm};
use crate::heads::extends::extends;
use crate::heads::head::Integrated;
use crate::heads::load::load_head;
use crate::heads::went_back::WentBack;
use crate::open_error::OpenError;
use crate::recover::floor::is_lost_with_its_tree;
use crate::store::{HeadRow, Store, TreeRow};
use crate::tree::Tree;

/// The heads of all logs of a ledger that a place or source has.
pub(crate) struct Floors {
    known: Vec<Known>,
    /// The sources that could not be read, each with the reason.
    pub(crate) silent: Vec<String>,
}

/// A head of a log, and who has it.
pub(crate) struct Known {
    label: String,
    head: GuardedHead,
}

/// What the known heads of a log say about its database.
pub(crate) enum Verdict {
    /// It extends all of them.
    Extends,
    /// It went back.
    WentBack {
        /// The reason, which names both heads.
        reason: WentBack,
        /// The newest known head.
        newest: Box<GuardedHead>,
    },
}

impl Floors {
    /// Reads all places and sources.
    ///
    /// # Errors
    ///
    /// One of them has the heads of another ledger, or a place cannot be read: it may be the one that
    /// has the newest heads.
    pub(crate) async fn read(guard: &dyn Guard, ledger: &str) -> Result<Self, OpenError> {
        let mut floors = Self {
            known: Vec::new(),
            silent: Vec::new(),
        };
        for reading in guard.read().await {
            let label = reading.label;
            match reading.found {
                Ok(Some(found)) if found.ledger != ledger => {
                    return Err(OpenError::Guard(format!(
                        "{label} has the heads of the ledger {:?}, and the database holds {ledger:?}",
                        found.ledger
                    )));
                }
                Ok(found) => {
                    let heads = found.into_iter().flat_map(|found| found.heads);
                    floors.known.extend(heads.map(|head| Known {
                        label: label.clone(),
                        head,
                    }));
                }
                Err(error) if reading.origin == Origin::Place => {
                    return Err(OpenError::Guard(format!(
                        "{label} cannot be read, and may have the newest heads: {error}"
                    )));
                }
                Err(error) => {
                    tracing::warn!(source = label, %error, "a source of the guard cannot be read");
                    floors.silent.push(format!("{label}: {error}"));
                }
            }
        }
        Ok(floors)
    }

    /// Returns the newest known head of each log.
    pub(crate) fn newest(&self) -> Vec<GuardedHead> {
        let mut newest: Vec<&GuardedHead> = Vec::new();
        for Known { head, .. } in &self.known {
            match newest.iter_mut().find(|known| known.api == head.api) {
                Some(known) if head.is_newer_than(known) => *known = head,
                Some(_) => {}
                None => newest.push(head),
            }
        }
        newest.into_iter().cloned().collect()
    }

    /// Fails if somebody has a head of a log that the database lacks.
    pub(crate) fn check_logs(&self, held: &[TreeRow]) -> Result<(), OpenError> {
        let is_held = |api: &str| held.iter().any(|row| row.api == api);
        for Known { label, head } in &self.known {
            // Nothing was let out of a log whose head is not signed.
            if head.texts.is_some() && !is_held(&head.api) {
                return Err(OpenError::WentBack(format!(
                    "the database went back: it does not have the {} log, of which {label} knows size {} root {}",
                    head.api,
                    head.size(),
                    head.root()
                )));
            }
        }
        Ok(())
    }

    /// Returns whether nobody has a head of any log.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Returns whether somebody has a head of the log of an API.
    pub(crate) fn has(&self, api: &Api) -> bool {
        self.of(api).next().is_some()
    }

    fn of(&self, api: &Api) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(|known| known.head.api == api.name)
    }

    /// Compares the database with each known head of a log, whose trees up to the active one are
    /// `rows`, oldest first.
    ///
    /// # Errors
    ///
    /// The database cannot be read, or a head is not signed by the keys of its tree.
    pub(crate) async fn judge(
        &self,
        store: &dyn Store,
        api: &'static Api,
        rows: &[TreeRow],
    ) -> Result<Verdict, OpenError> {
        let mut newest: Option<&GuardedHead> = None;
        let mut reason: Option<(&GuardedHead, WentBack)> = None;
        for Known { label, head } in self.of(api) {
            if let Some(went_back) = went_back(store, api, rows, label, head).await? {
                tracing::error!(log = %api, place = label, reason = went_back.reason, "the database does not extend a guard");
                let is_newest = |(other, _): &(&GuardedHead, _)| head.is_newer_than(other);
                if reason.as_ref().is_none_or(is_newest) {
                    reason = Some((head, went_back));
                }
            }
            if newest.is_none_or(|newest| head.is_newer_than(newest)) {
                newest = Some(head);
            }
        }
        Ok(match (reason, newest) {
            (Some((_, reason)), Some(newest)) => Verdict::WentBack {
                reason,
                newest: Box::new(newest.clone()),
            },
            _ => Verdict::Extends,
        })
    }
}

/// Returns in which way the database does not extend a head.
async fn went_back(
    store: &dyn Store,
    api: &'static Api,
    rows: &[TreeRow],
    label: &str,
    head: &GuardedHead,
) -> Result<Option<WentBack>, OpenError> {
    let known = Integrated::guarded(head);
    let Some(place) = rows.iter().position(|row| row.tree_id == head.tree) else {
        let mut read = store.reader();
        return match is_lost_with_its_tree(read.as_mut(), rows, head).await? {
            true => Ok(None),
            false => Ok(Some(WentBack::gone(known.view(), head.tree))),
        };
    };
    let tree = Arc::new(Tree::of(&rows[place], api)?);
    head.check(&tree).map_err(|fault| {
        OpenError::Guard(format!(
            "{label} has a head of the {} log that {fault}",
            api
        ))
    })?;
    let mut read = store.reader();
    let stored = load_head(read.as_mut(), tree.id).await?;
    if known.size <= stored.size {
        let extends = extends(read.as_mut(), tree.id, known.view(), stored.view()).await?;
        return Ok(extends.err());
    }
    // The loss of these entries was accepted: the next tree begins behind them.
    let end = head.first_log_index + known.size.0;
    let next = rows.get(place + 1);
    if next.is_some_and(|next| next.first_log_index >= end) {
        return Ok(None);
    }
    let found = HeadRow {
        prev_size: stored.size,
        size: stored.size,
        root: stored.root,
        time: stored.time,
    };
    Ok(Some(WentBack::smaller(known.view(), Some(&found))))
}

impl GuardedHead {
    /// Checks that the texts of the head state it and are signed by the keys of the tree. Returns
    /// the fault as the rest of a sentence that begins with the head.
    pub(crate) fn check(&self, tree: &Tree) -> Result<(), String> {
        let Some(texts) = &self.texts else {
            return match self.size().0 {
                0 => Ok(()),
                _ => Err("is not signed".to_owned()),
            };
        };
        if texts.rekor_checkpoint.is_some() != (tree.api.heads == HeadForm::RekorV1) {
            return Err("is in the form of another API".to_owned());
        }
        for text in tree.texts(texts.rekor_checkpoint.as_deref(), &texts.checkpoint) {
            let stated = text.open().map_err(|error| {
                format!("does not verify with the keys of tree {}: {error}", tree.id)
            })?;
            if (stated.size, stated.root) != (self.size(), self.root()) {
                return Err("its texts do not state".to_owned());
            }
        }
        Ok(())
    }
}
