//! Raises alarms once for each reason, with their evidence in a file, and forgets them when the
//! reason is gone.

use client::{Claim, Evidence, Fetch, LogKey};

use super::source::Source;
use super::{Follower, Look, Result};
use crate::alarm::{Alarm, AlarmKind};
use crate::durable_file::replace;
use crate::notice::{AlarmNotice, Notice, shown};
use crate::state::Raised;

/// The folder of the evidence below that of the state.
pub(super) const FOLDER: &str = "evidence";

impl<F: Fetch + Clone + Send + Sync + 'static> Follower<F> {
    /// Raises an alarm unless it was raised before for the same reason.
    ///
    /// If we die before the state is stored, nobody was told. If we die after it, the outbox may
    /// have the notice or not, so the next look puts it again with the same ID.
    pub(super) async fn raise(&mut self, alarm: &Alarm, now: i64) -> Result<()> {
        let key = alarm.key();
        self.current.insert(key.clone());
        let before = self.state.content.alarms.get(&key).copied();
        if before.is_some_and(|raised| raised.is_told) {
            return Ok(());
        }
        let since = before.map_or(now, |raised| raised.since);
        let id = alarm.id(&self.section.name, since);
        let evidence = match &alarm.evidence {
            Some(evidence) => Some(self.keep_evidence(&id, evidence)?),
            None => None,
        };
        self.set_raised(&key, since, false)?;
        // The message may repeat what the log answered.
        let message = shown(&alarm.message);
        tracing::error!(log = %self.section.name, alarm = %alarm.kind, evidence, "{message}");
        let message = format!("{}: {message}", self.section.name);
        let about = AlarmNotice {
            alarm: alarm.kind.name().to_owned(),
            evidence,
        };
        let mut notice = Notice::of_alarm(id, &self.section.name, now, &message, about);
        notice.repeated = before.is_some();
        self.shared.outbox.put(&[notice]).await?;
        self.set_raised(&key, since, true)
    }

    fn set_raised(&mut self, key: &str, since: i64, is_told: bool) -> Result<()> {
        let raised = Raised { since, is_told };
        self.state.content.alarms.insert(key.to_owned(), raised);
        self.store()
    }

    fn keep_evidence(&self, id: &str, evidence: &Evidence) -> Result<String> {
        let path = self.shared.state.join(FOLDER).join(format!("{id}.json"));
        let kept = replace(&path, evidence.to_json().as_bytes());
        kept.map_err(|source| super::FollowError::State {
            path: path.clone(),
            source,
        })?;
        Ok(path.display().to_string())
    }

    /// Raises an alarm if the log has shown nothing new for too long.
    pub(super) async fn check_age(
        &mut self,
        source: &Source<F>,
        now: i64,
        look: &Look,
    ) -> Result<()> {
        if self.state.content.fresh == 0 {
            // A log that was never seen is late from now on.
            self.state.content.fresh = now;
            self.store()?;
        }
        let (fresh, read) = (self.state.content.fresh, self.state.content.read);
        let limit = i64::try_from(self.shared.stale_after).unwrap_or(i64::MAX);
        let is_late = |since: i64| limit != 0 && now.saturating_sub(since) >= limit;
        // A log that signs new heads and withholds their entries is as late.
        let (since, what, why) = match &look.away {
            Some(why) if is_late(fresh) => (fresh, "no newer head", why.clone()),
            None if is_late(fresh) => {
                let why = "it answers, and shows no newer head".to_owned();
                (fresh, "no newer head", why)
            }
            Some(why) if read != 0 && is_late(read) => (read, "not read to its end", why.clone()),
            _ => return Ok(()),
        };
        let newest = self.newest(source.keys())?;
        let about = format!("{} {since}", source.url());
        let evidence = newest.map(|head| {
            let claim = Claim::Stale {
                head: head.note.clone(),
                since,
                why: why.clone(),
            };
            Evidence::new(source.url(), now, &[&head], claim)
        });
        let alarm = Alarm {
            kind: AlarmKind::Stale,
            about,
            message: format!("{what} for {} s: {why}", now.saturating_sub(since)),
            evidence,
        };
        self.raise(&alarm, now).await
    }

    /// Returns the head that was seen last.
    fn newest(&self, keys: &[LogKey]) -> Result<Option<client::SignedHead>> {
        let trees = self.state.content.trees.iter();
        match trees.max_by_key(|tree| tree.since) {
            Some(tree) => self.kept(keys, &tree.origin),
            None => Ok(None),
        }
    }

    /// Forgets the alarms whose reason is gone, so that they are raised again if it comes back.
    ///
    /// While the log is away nothing is known to be gone, and a fork never is.
    pub(super) fn settle(&mut self, now: i64, look: &mut Look) -> Result<()> {
        let is_away = look.away.is_some();
        let before = self.state.content.alarms.len();
        let current = &self.current;
        self.state.content.alarms.retain(|key, _| {
            let stays = current.contains(key) || is_away || is_for_good(key);
            if !stays {
                tracing::info!(log = %self.section.name, alarm = key, time = now, "an alarm is over");
            }
            stays
        });
        if self.state.content.alarms.len() != before {
            self.store()?;
        }
        let alarms = &self.state.content.alarms;
        let is_raised = |kind: &AlarmKind| {
            let prefix = format!("{kind} ");
            alarms.keys().any(|key| key.starts_with(&prefix))
        };
        look.alarms = AlarmKind::ALL.into_iter().filter(is_raised).collect();
        self.shared.metrics.alarms(self.name(), &look.alarms);
        Ok(())
    }
}

/// Whether an alarm stays raised although the log shows good heads again: what it signed it cannot
/// take back.
fn is_for_good(key: &str) -> bool {
    let kinds = [AlarmKind::Fork, AlarmKind::SplitView];
    kinds
        .iter()
        .any(|kind| key.starts_with(&format!("{kind} ")))
}
