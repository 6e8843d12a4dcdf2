//! From events to notices: the entries are read, and matched with the rules.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use entry::Summary;
use ledger::events::Event;
use ledger::{Ledger, LoggedEntry, V1};
use monitor::rules::Rules;
use monitor::{Delivery, Facts, Notice};
use tlog::LeafIndex;

use super::position::Kept;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// The rules, and the ledger whose entries are matched.
pub(super) struct Matcher {
    ledger: Ledger,
    rules: Arc<Rules>,
}

/// An entry that may match a rule.
struct Candidate {
    event: Event,
    summary: Summary,
    /// All keys of the entry, where a rule needs more than the leaf shows.
    index_keys: Vec<String>,
}

impl Matcher {
    pub(super) fn new(ledger: Ledger, rules: Rules) -> Self {
        Self {
            ledger,
            rules: Arc::new(rules),
        }
    }

    /// Returns the notices of these entries, in their order. `now` is in Unix seconds.
    pub(super) async fn notices(
        &self,
        events: &[Event],
        kept: &Kept,
        now: i64,
    ) -> Outcome<Vec<Notice>> {
        let mut candidates = Vec::with_capacity(events.len());
        for of_tree in events.chunk_by(|one, other| one.tree == other.tree) {
            let entries = self.entries(of_tree).await?;
            let events = of_tree.to_vec();
            let summaries = tokio::task::spawn_blocking(move || summarize_all(events, &entries));
            candidates.extend(summaries.await.explain(FailureKind::Bug, "summaries")?);
        }
        let mut notices = Vec::new();
        for candidate in &mut candidates {
            if self.rules.is_undecided(&candidate.summary) {
                candidate.index_keys = self.index_keys(&candidate.event).await?;
            }
            notices.extend(self.notices_of(candidate, kept, now));
        }
        Ok(notices)
    }

    /// Returns the entries of events of one tree.
    async fn entries(&self, events: &[Event]) -> Outcome<Vec<LoggedEntry>> {
        let Some(first) = events.first() else {
            return Ok(Vec::new());
        };
        let log = self.ledger.log_of(first.tree);
        let head = log.and_then(|log| Some((log, log.head_of(first.tree)?)));
        let (log, head) = head.ok_or_else(|| unknown_tree(first))?;
        let indexes: Vec<LeafIndex> = events.iter().map(|e| LeafIndex(e.leaf_index)).collect();
        let entries = log.entries(&head, &indexes).await;
        entries.explain(FailureKind::Other, "entries")
    }

    async fn index_keys(&self, event: &Event) -> Outcome<Vec<String>> {
        let log = self.ledger.log_of(event.tree);
        let head = log.and_then(|log| Some((log, log.head_of(event.tree)?)));
        let (log, head) = head.ok_or_else(|| unknown_tree(event))?;
        let keys = log.index_keys(&head, LeafIndex(event.leaf_index)).await;
        keys.explain(FailureKind::Other, "search keys")
    }

    fn notices_of(&self, candidate: &Candidate, kept: &Kept, now: i64) -> Vec<Notice> {
        let Candidate { event, summary, .. } = candidate;
        let name = format!("{} {}", self.ledger.name(), event.log);
        let uuid = (event.log == V1.name).then(|| event.uuid());
        let head = self.ledger.log_of(event.tree);
        let head = head.and_then(|log| log.head_of(event.tree));
        let origin = head.map(|head| head.tree.origin.clone());
        let facts = Facts {
            log: &name,
            origin: origin.as_deref().unwrap_or_default(),
            leaf_index: event.leaf_index,
            log_index: event.log_index,
            leaf_hash: event.leaf_hash,
            uuid: uuid.as_deref(),
            time: Some(event.time),
            summary,
            statement: None,
            index_keys: &candidate.index_keys,
        };
        let delivery = match kept.has_begun(event) {
            true => Delivery::Repeated,
            false => Delivery::First,
        };
        let hits = self.rules.matches(&facts);
        let notices = hits.iter();
        let notices = notices.map(|hit| Notice::of_entry(&facts, hit, now, delivery));
        notices.collect()
    }
}

fn unknown_tree(event: &Event) -> Failure {
    let text = format_args!("tree {} is not open here", event.tree);
    Failure::new(FailureKind::Other, text)
}

/// Summarizes entries. One that cannot be summarized is logged and has no notice: the server has
/// accepted it, so this is a bug, and must not hide the entries after it.
fn summarize_all(events: Vec<Event>, entries: &[LoggedEntry]) -> Vec<Candidate> {
    let mut candidates = Vec::with_capacity(events.len());
    for (event, entry) in events.into_iter().zip(entries) {
        let summary = std::panic::catch_unwind(AssertUnwindSafe(|| entry::summarize(&entry.body)));
        let fault = match summary {
            Ok(Ok(summary)) => {
                candidates.push(Candidate {
                    event,
                    summary,
                    index_keys: Vec::new(),
                });
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its summary panicked".to_owned(),
        };
        let (log, index) = (event.log, event.log_index);
        tracing::error!("subscriptions: entry {index} of {log} is passed over: {fault}");
    }
    candidates
}
