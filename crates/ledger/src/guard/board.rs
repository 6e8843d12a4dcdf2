//! What the threads of a guard and its callers share: the newest heads, and which of them each place
//! has.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::kept::{GuardedHead, GuardedHeads};
use super::metrics::GuardMetrics;
use super::place::{GuardError, PlaceError};

/// How long a place that failed is left alone. Short, because writes wait if it is the only one.
const RETRY_AFTER: Duration = Duration::from_secs(1);

type Found = Result<Option<GuardedHeads>, PlaceError>;

pub(super) struct Board {
    state: Mutex<State>,
    /// Wakes the threads of the places.
    work: Condvar,
    /// Wakes whoever waits for the end of the threads.
    ended: Condvar,
    /// Wakes those who wait for a write.
    results: watch::Sender<()>,
    metrics: GuardMetrics,
}

struct State {
    /// The newest heads that are to be kept.
    newest: Arc<GuardedHeads>,
    /// Counts the heads that came. The heads of a version have all those before it.
    version: u64,
    /// The version of the newest head of each log, in the order of the heads.
    versions: Vec<u64>,
    /// The newest heads that a place has, and their version.
    kept: (u64, Arc<GuardedHeads>),
    places: Vec<PlaceState>,
    has_ended: bool,
    /// Threads that run.
    threads: usize,
}

struct PlaceState {
    label: String,
    /// The version that is durable there.
    kept: u64,
    /// The version of the last write, whether or not it failed.
    tried: u64,
    /// Why it is left behind, if it is.
    fault: Option<String>,
    /// Counts the writes that failed.
    failures: u64,
    /// When it may be written again after a failure.
    retry_at: Option<Instant>,
    /// Those who want to know what it has.
    askers: Vec<oneshot::Sender<Found>>,
}

/// A head that waits for the places.
pub(super) struct Waiting {
    /// The version that has it, or a newer one of its log.
    pub(super) version: u64,
    /// The failures of each place before. Only one that comes after them is one of this head.
    failures: Vec<u64>,
}

/// What the thread of a place does next.
pub(super) enum Work {
    Read(Vec<oneshot::Sender<Found>>),
    Write {
        version: u64,
        heads: Arc<GuardedHeads>,
    },
    End,
}

/// A thread that runs. Dropped with it, also if it panics.
pub(super) struct Worker {
    board: Arc<Board>,
    index: usize,
}

impl Board {
    pub(super) fn new(ledger: &str, labels: Vec<String>, metrics: GuardMetrics) -> Self {
        let nothing = Arc::new(GuardedHeads {
            ledger: ledger.to_owned(),
            heads: Vec::new(),
        });
        let places = labels.into_iter().map(|label| PlaceState {
            label,
            kept: 0,
            tried: 0,
            fault: None,
            failures: 0,
            retry_at: None,
            askers: Vec::new(),
        });
        Self {
            state: Mutex::new(State {
                newest: Arc::clone(&nothing),
                version: 0,
                versions: Vec::new(),
                kept: (0, nothing),
                places: places.collect(),
                has_ended: false,
                threads: 0,
            }),
            work: Condvar::new(),
            ended: Condvar::new(),
            results: watch::Sender::new(()),
            metrics,
        }
    }

    /// Takes a head, unless it has a newer one of its log.
    ///
    /// # Errors
    ///
    /// Another head of that size was taken before.
    pub(super) fn note(&self, head: GuardedHead) -> Result<Waiting, GuardError> {
        let mut state = self.lock();
        let waiting = Waiting {
            version: state.note(head)?,
            failures: state.places.iter().map(|place| place.failures).collect(),
        };
        drop(state);
        self.work.notify_all();
        Ok(waiting)
    }

    /// Asks all places for their heads.
    pub(super) fn read(&self) -> Vec<(String, oneshot::Receiver<Found>)> {
        let mut state = self.lock();
        let mut answers = Vec::with_capacity(state.places.len());
        for place in &mut state.places {
            let (asker, answer) = oneshot::channel();
            place.askers.push(asker);
            answers.push((place.label.clone(), answer));
        }
        drop(state);
        self.work.notify_all();
        answers
    }

    /// Waits until there is something to do for a place.
    pub(super) fn next(&self, index: usize) -> Work {
        let mut state = self.lock();
        loop {
            if state.has_ended {
                return Work::End;
            }
            let (version, newest) = (state.version, Arc::clone(&state.newest));
            let place = &mut state.places[index];
            if !place.askers.is_empty() {
                return Work::Read(std::mem::take(&mut place.askers));
            }
            let now = Instant::now();
            let wait = place.retry_at.map(|at| at.saturating_duration_since(now));
            if place.kept < version && wait.is_none_or(|wait| wait.is_zero()) {
                return Work::Write {
                    version,
                    heads: newest,
                };
            }
            let wait = wait.filter(|_| place.kept < version);
            state = match wait {
                Some(wait) => self
                    .work
                    .wait_timeout(state, wait)
                    .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state),
                None => self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Takes the outcome of a write of `version`, with the heads that were written.
    pub(super) fn written(
        &self,
        index: usize,
        version: u64,
        written: Result<Arc<GuardedHeads>, PlaceError>,
        took: Duration,
    ) {
        let mut state = self.lock();
        let place = &mut state.places[index];
        place.tried = version;
        match written {
            Ok(heads) => {
                place.kept = version;
                place.retry_at = None;
                self.metrics.written(&place.label, &heads, took);
                if place.fault.take().is_some() {
                    tracing::info!(place = %place.label, "the guard is kept there again");
                    self.metrics.set_failing(&place.label, false);
                }
                if version > state.kept.0 {
                    state.kept = (version, heads);
                }
            }
            Err(error) => {
                place.retry_at = Some(Instant::now() + RETRY_AFTER);
                place.failures += 1;
                self.metrics.count_failure(&place.label);
                self.blame(place, error.0);
            }
        }
        drop(state);
        self.results.send_replace(());
    }

    /// Leaves the places behind that do not have a version yet.
    pub(super) fn leave_behind(&self, version: u64) {
        let mut state = self.lock();
        for place in &mut state.places {
            if place.kept >= version || place.fault.is_some() {
                continue;
            }
            self.blame(place, "a write takes longer than 1 s".to_owned());
        }
        drop(state);
        self.results.send_replace(());
    }

    /// Notes why a place is left behind, and logs it the first time.
    fn blame(&self, place: &mut PlaceState, reason: String) {
        if place.fault.is_none() {
            tracing::warn!(
                place = %place.label, error = %reason,
                "the guard is not kept there; it is tried again"
            );
            self.metrics.set_failing(&place.label, true);
        }
        place.fault = Some(reason);
    }

    /// Returns a receiver that changes with the outcome of each write.
    pub(super) fn results(&self) -> watch::Receiver<()> {
        self.results.subscribe()
    }

    /// Whether each place that works has a version.
    pub(super) fn is_settled(&self, version: u64) -> bool {
        let state = self.lock();
        let mut places = state.places.iter();
        places.all(|place| place.kept >= version || place.fault.is_some())
    }

    /// Returns whether a place has a head, once that is known: one has it, or each failed once more.
    pub(super) fn outcome(&self, waiting: &Waiting) -> Option<Result<(), GuardError>> {
        let state = self.lock();
        let mut places = state.places.iter();
        if places.any(|place| place.kept >= waiting.version) {
            return Some(Ok(()));
        }
        let mut places = state.places.iter().zip(&waiting.failures);
        let have_failed = places
            .all(|(place, before)| place.tried >= waiting.version && place.failures > *before);
        have_failed.then(|| Err(GuardError(state.faults())))
    }

    /// Whether all places are left behind.
    pub(super) fn all_fail(&self) -> bool {
        let state = self.lock();
        state.places.iter().all(|place| place.fault.is_some())
    }

    /// Returns why places are left behind, as one text.
    pub(super) fn faults(&self) -> String {
        self.lock().faults()
    }

    /// Returns the newest heads that a place has.
    pub(super) fn kept(&self) -> GuardedHeads {
        GuardedHeads::clone(&self.lock().kept.1)
    }

    #[cfg(test)]
    pub(super) fn version(&self) -> u64 {
        self.lock().version
    }

    /// Counts a thread from its start to its end.
    pub(super) fn worker(self: &Arc<Self>, index: usize) -> Worker {
        self.lock().threads += 1;
        Worker {
            board: Arc::clone(self),
            index,
        }
    }

    /// Ends the threads, and waits for them a while.
    pub(super) fn end(&self, patience: Duration) {
        let mut state = self.lock();
        state.has_ended = true;
        self.work.notify_all();
        // A thread that still runs after that keeps only its own place.
        let is_running = |state: &mut State| state.threads > 0;
        drop(self.ended.wait_timeout_while(state, patience, is_running));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, head: GuardedHead) -> Result<u64, GuardError> {
        let mut heads = self.newest.heads.iter();
        let known = heads.position(|old| old.api == head.api);
        if let Some(log) = known {
            let old = &self.newest.heads[log];
            if old.is_newer_than(&head) {
                return Ok(self.versions[log]);
            }
            if !head.is_newer_than(old) {
                if old.root() != head.root() {
                    return Err(GuardError(format!(
                        "two heads of {} entries of the log {}",
                        head.size(),
                        head.api
                    )));
                }
                if old.texts.is_some() || head.texts.is_none() {
                    return Ok(self.versions[log]);
                }
            }
        }
        self.version += 1;
        match known {
            Some(log) => self.versions[log] = self.version,
            None => self.versions.push(self.version),
        }
        Arc::make_mut(&mut self.newest).note(head);
        Ok(self.version)
    }

    fn faults(&self) -> String {
        if self.places.is_empty() {
            return "no place is named".to_owned();
        }
        let mut faults = Vec::with_capacity(self.places.len());
        for PlaceState { label, fault, .. } in &self.places {
            let fault = fault.as_deref().unwrap_or("no answer yet");
            // Most errors of files begin with the path.
            if fault.starts_with(label.as_str()) {
                faults.push(fault.to_owned());
            } else {
                faults.push(format!("{label}: {fault}"));
            }
        }
        faults.join("; ")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let board = &self.board;
        let mut state = board.lock();
        state.threads -= 1;
        if !state.has_ended {
            // Only a panic ends a thread before the guard. Nobody waits for its place any more.
            let place = &mut state.places[self.index];
            (place.tried, place.failures) = (u64::MAX, u64::MAX);
            place.askers.clear();
            board.blame(place, "its thread has ended".to_owned());
        }
        drop(state);
        board.ended.notify_all();
        board.results.send_replace(());
    }
}
