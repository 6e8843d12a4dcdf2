//! The state of an outbox in memory: which notices wait, and how far each channel is.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::files::Stored;
use super::metrics::OutboxMetrics;
use super::progress::Progress;

/// Which notices wait. Their contents are on disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    /// The number of the next notice.
    pub(super) next: u64,
    /// IDs by number.
    waiting: BTreeMap<u64, String>,
    ids: HashSet<String>,
    channels: HashMap<String, Progress>,
}

impl Queue {
    /// The state that the files hold. A channel without a file begins with the oldest notice that
    /// waits.
    pub(super) fn new(stored: &Stored) -> Self {
        let after_notices = stored.notices.last_key_value().map(|(last, _)| last + 1);
        let after_channels = stored.numbers.iter().max().copied();
        let next = after_notices.max(after_channels).unwrap_or_default();
        let oldest = stored.notices.first_key_value().map(|(first, _)| *first);
        let mut queue = Self {
            next,
            ..Self::default()
        };
        for (name, progress) in &stored.channels {
            let progress = progress
                .clone()
                .unwrap_or_else(|| Progress::at(oldest.unwrap_or(next)));
            queue.channels.insert(name.clone(), progress);
        }
        let first = queue.first_needed();
        for (number, id) in stored.notices.range(first..) {
            queue.waiting.insert(*number, id.clone());
            queue.ids.insert(id.clone());
        }
        queue
    }

    /// The stored notices that every channel has delivered.
    pub(super) fn delivered(&self, stored: &Stored) -> Vec<u64> {
        let numbers = stored.notices.range(..self.first_needed());
        numbers.map(|(number, _)| *number).collect()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether every channel is switched off by its receiver.
    pub(super) fn is_off(&self) -> bool {
        self.channels.values().all(Progress::is_off)
    }

    pub(super) fn add(&mut self, number: u64, id: String) {
        self.waiting.insert(number, id.clone());
        self.ids.insert(id);
        self.next = number + 1;
    }

    /// The progress of a channel.
    pub(super) fn progress(&self, channel: &str) -> Progress {
        self.channels.get(channel).cloned().unwrap_or_default()
    }

    /// The next notice for a channel.
    pub(super) fn next_for(&self, channel: &str) -> Option<u64> {
        let progress = self.channels.get(channel)?;
        let mut numbers = self.waiting.range(progress.next..);
        numbers.next().map(|(number, _)| *number)
    }

    /// Whether a notice waits for a channel that is so far.
    pub(super) fn has_after(&self, progress: &Progress) -> bool {
        let mut numbers = self.waiting.range(progress.next..);
        numbers.next().is_some()
    }

    /// Sets how far a channel is. Returns the notices that no channel needs any more.
    pub(super) fn advance(&mut self, channel: &str, progress: Progress) -> Vec<u64> {
        self.channels.insert(channel.to_owned(), progress);
        let needed = self.waiting.split_off(&self.first_needed());
        let delivered = std::mem::replace(&mut self.waiting, needed);
        for id in delivered.values() {
            self.ids.remove(id);
        }
        delivered.into_keys().collect()
    }

    /// The channel with the most notices before it.
    pub(super) fn slowest(&self) -> Option<String> {
        let on = self
            .channels
            .iter()
            .filter(|(_, progress)| !progress.is_off());
        let slowest = on.min_by_key(|(_, progress)| progress.next);
        slowest.map(|(name, _)| name.clone())
    }

    /// Sets the metrics of what waits.
    pub(super) fn show(&self, metrics: &OutboxMetrics) {
        for (name, progress) in &self.channels {
            let waiting = match progress.is_off() {
                true => 0,
                false => self.waiting.range(progress.next..).count(),
            };
            metrics.set_queued(name, waiting);
        }
    }

    /// The lowest number that a channel still needs. If all are switched off, nothing is removed.
    fn first_needed(&self) -> u64 {
        let needs = |progress: &&Progress| self.is_off() || !progress.is_off();
        let channels = self.channels.values().filter(needs);
        let first = channels.map(|progress| progress.next).min();
        first.unwrap_or(self.next)
    }
}
