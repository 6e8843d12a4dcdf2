//! Follows one log: checks its heads, reads its new entries, and raises alarms.
//!
//! The state of a log advances only after the outbox has what was found before. So a crash at any
//! point loses nothing: what was not finished is done again, and a notice that may have left before
//! carries the same ID and says that it is repeated.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::{Claim, Evidence, Fetch, History, LogKey, ReadError, SignedHead};

use crate::alarm::{Alarm, AlarmKind, is_fault_of_log};
use crate::board::Board;
use crate::config::{LogSection, Start};
use crate::metrics::Metrics;
use crate::outbox::{Outbox, OutboxError};
use crate::rules::Rules;
use crate::state::State;

mod alarms;
mod entries;
mod examine;
mod guard;
mod peers;
mod read;
mod source;

use source::{NoHeads, Shown, Source};

/// What all logs of one monitor share.
pub struct Shared {
    /// The rules.
    pub rules: Arc<Rules>,
    /// Where notices go.
    pub outbox: Arc<Outbox>,
    /// The metrics.
    pub metrics: Metrics,
    /// The newest heads, for other monitors.
    pub board: Board,
    /// URLs where heads are compared.
    pub peers: Vec<String>,
    /// Seconds after which a log without news is an alarm; 0: never.
    pub stale_after: u64,
    /// Folder of the state.
    pub state: PathBuf,
}

/// Follows one log.
pub struct Follower<F> {
    section: LogSection,
    shared: Arc<Shared>,
    fetch: F,
    state: State,
    /// The alarms whose reason was there at the last look, by what they are about.
    current: BTreeSet<String>,
}

/// What one look at a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// New entries that were read.
    pub entries: u64,
    /// Notices of entries.
    pub notices: u64,
    /// The alarms whose reason is there, also those that were raised before.
    pub alarms: Vec<AlarmKind>,
    /// Why the log could not be read, or not to its end.
    pub away: Option<String>,
}

/// Why the monitor itself cannot go on. The next look tries again.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// A file of the state.
    #[error("{path}: {source}", path = path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// A head that is remembered does not verify any more.
    #[error(
        "{path}: the head of {origin} that is remembered does not verify with the keys in `trust`: {fault}. If the log was \
         replaced on purpose, remove this file",
        path = path.display()
    )]
    Kept {
        /// The file.
        path: PathBuf,
        /// The origin of the head.
        origin: String,
        /// The fault.
        fault: client::VerifyError,
    },
    /// The outbox.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

type Result<T> = std::result::Result<T, FollowError>;

/// Seconds after which the state notes again that the log was read to its end.
const READ_EVERY: i64 = 60;

impl<F: Fetch + Clone + Send + Sync + 'static> Follower<F> {
    /// Opens the state of a log.
    ///
    /// # Errors
    ///
    /// The state cannot be read.
    pub fn open(section: LogSection, shared: Arc<Shared>, fetch: F) -> Result<Self> {
        let state = State::open(&shared.state, &section.name);
        let path = shared.state.join(format!("{}.json", section.name));
        let state = state.map_err(|source| FollowError::State { path, source })?;
        shared.metrics.register_log(&section.name);
        Ok(Self {
            section,
            shared,
            fetch,
            state,
            current: BTreeSet::new(),
        })
    }

    /// Returns the name of the log.
    pub fn name(&self) -> &str {
        &self.section.name
    }

    /// Returns the section of the log in the configuration.
    pub fn section(&self) -> &LogSection {
        &self.section
    }

    /// Looks at the log once, with the keys that are trusted now: checks its heads, compares them
    /// with those of other observers, reads the new entries, and raises alarms. `now` is in Unix
    /// seconds.
    ///
    /// # Errors
    ///
    /// The state or the outbox cannot be written. A fault of the log is no error.
    pub async fn look(&mut self, keys: &[LogKey], now: i64) -> Result<Look> {
        let source = Source::new(&self.section, keys, self.fetch.clone());
        let mut look = Look::default();
        self.current.clear();
        let heads = source.heads().await;
        match heads.missing {
            None => {}
            Some(NoHeads::Away(error)) => look.away = Some(error.to_string()),
            Some(NoHeads::Bad { url, answer, error }) if is_fault_of_log(&error) => {
                let evidence = Evidence::of_answer(source.url(), now, &url, &answer, &error);
                let alarm = Alarm {
                    kind: AlarmKind::BadSignature,
                    about: url,
                    message: format!("the log shows a head that is not accepted: {error}"),
                    evidence: Some(evidence),
                };
                self.raise(&alarm, now).await?;
                look.away = Some(error.to_string());
            }
            Some(NoHeads::Bad { url, error, .. }) => {
                look.away = Some(format!("the answer of {url} does not verify: {error}"));
            }
        }
        self.follow(&source, heads.shown, now, &mut look).await?;
        if look.away.is_none() && now.saturating_sub(self.state.content.read) >= READ_EVERY {
            self.state.content.read = now;
            self.store()?;
        }
        self.check_age(&source, now, &look).await?;
        self.settle(now, &mut look)?;
        Ok(look)
    }

    /// Checks the heads that the log shows, and reads the entries of the trees whose heads are good.
    async fn follow(
        &mut self,
        source: &Source<F>,
        shown: Vec<Shown<F>>,
        now: i64,
        look: &mut Look,
    ) -> Result<()> {
        // Only whoever sees all trees knows that one is gone.
        if look.away.is_none() {
            self.check_lost_trees(source, &shown, now).await?;
        }
        let is_first_look = self.state.content.trees.is_empty();
        let mut good = Vec::new();
        for shown in shown {
            match self.check_head(source, &shown, now).await? {
                Checked::Newest => {
                    self.remember(&shown.head, now, is_first_look)?;
                    good.push(shown);
                }
                Checked::Older => look.away = Some(lagging(&shown.head)),
                Checked::Bad => {}
                Checked::Unknown(error) => look.away = Some(error.to_string()),
            }
        }
        self.ask_peers(source, &good, now).await?;
        for shown in &good {
            self.read_entries(source, shown, now, look).await?;
        }
        if look.away.is_none() {
            self.shared.metrics.succeeded(self.name(), now);
        }
        Ok(())
    }

    /// Compares a head with the one that is remembered of its tree.
    async fn check_head(
        &mut self,
        source: &Source<F>,
        shown: &Shown<F>,
        now: i64,
    ) -> Result<Checked> {
        let Some(kept) = self.kept(source.keys(), shown.head.origin())? else {
            return Ok(Checked::Newest);
        };
        match source.compare(&kept, &shown.head, shown).await {
            Ok(History::Same | History::Extends(_)) => Ok(Checked::Newest),
            Ok(History::Older(_)) => Ok(Checked::Older),
            Err(ReadError::History(error)) => {
                let url = source.url();
                let alarm = Alarm::of_history(url, now, &kept, &shown.head, &error, None);
                self.raise(&alarm, now).await?;
                Ok(Checked::Bad)
            }
            Err(error) => Ok(Checked::Unknown(error)),
        }
    }

    /// Raises an alarm for each tree that the log listed before and lists no more.
    async fn check_lost_trees(
        &mut self,
        source: &Source<F>,
        shown: &[Shown<F>],
        now: i64,
    ) -> Result<()> {
        let Some(active) = shown.last() else {
            return Ok(());
        };
        let origins = self
            .state
            .content
            .trees
            .iter()
            .map(|tree| tree.origin.clone());
        for origin in origins.collect::<Vec<_>>() {
            if shown.iter().any(|shown| shown.head.origin() == origin) {
                continue;
            }
            let Some(kept) = self.kept(source.keys(), &origin)? else {
                continue;
            };
            let claim = Claim::LostTree {
                seen: kept.note.clone(),
                now: active.head.note.clone(),
            };
            let heads = [&kept, &active.head];
            let size = kept.size();
            let alarm = Alarm {
                kind: AlarmKind::LostTree,
                message: format!("the log showed {origin} of size {size}, and no longer lists it"),
                about: origin,
                evidence: Some(Evidence::new(source.url(), now, &heads, claim)),
            };
            self.raise(&alarm, now).await?;
        }
        Ok(())
    }

    /// Returns the remembered head of a tree. It is verified again, because keys may be withdrawn.
    fn kept(&self, keys: &[LogKey], origin: &str) -> Result<Option<SignedHead>> {
        let Some(tree) = self.state.tree(origin) else {
            return Ok(None);
        };
        let head = SignedHead::open(keys, &tree.head);
        let head = head.map_err(|fault| FollowError::Kept {
            path: self.state.path().to_owned(),
            origin: origin.to_owned(),
            fault,
        })?;
        Ok(Some(head))
    }

    /// Remembers a head that is as large as the one before, or larger. Of an equal one the time of
    /// the first sight stays.
    fn remember(&mut self, head: &SignedHead, now: i64, is_first_look: bool) -> Result<()> {
        let known = self.state.tree(head.origin());
        if known.is_none_or(|tree| !has_text_of(&tree.head, &head.note)) {
            let followed = match (is_first_look, self.section.start) {
                (true, Start::Newest) => head.size().0,
                _ => 0,
            };
            self.state.remember(head, now, followed);
            self.store()?;
        }
        let time = self.state.content.fresh;
        self.shared.board.show(self.name(), head, time);
        let size = head.size().0;
        self.shared.metrics.head(self.name(), head.origin(), size);
        Ok(())
    }

    fn store(&self) -> Result<()> {
        let stored = self.state.store();
        stored.map_err(|source| self.state_error(source))
    }

    fn state_error(&self, source: io::Error) -> FollowError {
        FollowError::State {
            path: self.state.path().to_owned(),
            source,
        }
    }
}

/// How a head relates to the one that is remembered.
enum Checked {
    /// It is new, the same, or continues it.
    Newest,
    /// It is an older one of the same history.
    Older,
    /// An alarm was raised.
    Bad,
    /// It could not be compared.
    Unknown(ReadError),
}

/// Whether two signed notes have the same text, whoever signed them.
fn has_text_of(note: &str, other: &str) -> bool {
    let text = |note: &str| note.split_once("\n\n").map(|(text, _)| text.to_owned());
    text(note) == text(other)
}

fn lagging(head: &SignedHead) -> String {
    format!(
        "the log shows {} of size {}, which is older than the head that it showed before",
        head.origin(),
        head.size()
    )
}

/// Creates the folders of the state.
///
/// # Errors
///
/// They cannot be created.
pub fn create_folders(state: &Path) -> io::Result<()> {
    std::fs::create_dir_all(state.join(alarms::FOLDER))
}
