//! The guard of a server: a thread for each place, and the newest heads for all of them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use prometheus::Registry;
use tokio::time::{Instant, timeout, timeout_at};

use super::board::{Board, Waiting, Work};
use super::kept::{GuardedHead, GuardedHeads};
use super::metrics::GuardMetrics;
use super::place::{Guard, GuardError, Origin, Place, PlaceError, Reading, Source};

/// How long a place or a source may take to be read. A start waits that long for the slowest one.
pub const READ_PATIENCE: Duration = Duration::from_secs(5);
/// How long a place may hold up the heads of the log while another place has them. A disk answers
/// within milliseconds and an object store within a tenth of this.
pub const PLACE_PATIENCE: Duration = Duration::from_secs(1);
/// How long a head waits for a first place. Half of the 10 s after which a write is refused.
pub const KEEP_PATIENCE: Duration = Duration::from_secs(5);
/// How long the end waits for writes that run.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// The guard of a server, at one place or several.
///
/// A write of a place has the newest heads of all logs. Heads that come while one runs are in the
/// next one together. A place that fails, or takes longer than [`PLACE_PATIENCE`], is left behind:
/// heads wait for it no longer, and it gets the newest ones as soon as it works again.
pub struct Keeper {
    board: Arc<Board>,
    sources: Vec<Arc<dyn Source>>,
}

impl Keeper {
    /// Starts a thread for each place of the guard of the ledger `ledger`. Sources are only read.
    ///
    /// # Errors
    ///
    /// The registry has the metrics of a guard already, or the system gives no thread.
    pub fn start(
        ledger: &str,
        places: Vec<Box<dyn Place>>,
        sources: Vec<Arc<dyn Source>>,
        registry: &Registry,
    ) -> Result<Arc<Self>, GuardError> {
        let labels: Vec<String> = places.iter().map(|place| place.label()).collect();
        let metrics = GuardMetrics::register(registry, &labels);
        let metrics = metrics.map_err(|error| GuardError(error.to_string()))?;
        let board = Arc::new(Board::new(ledger, labels, metrics));
        // Made first, so that an error ends the threads that were started.
        let keeper = Self {
            board: Arc::clone(&board),
            sources,
        };
        for (index, mut place) in places.into_iter().enumerate() {
            let board = Arc::clone(&board);
            let worker = board.worker(index);
            let thread = thread::Builder::new().name(format!("guard {index}"));
            let run = move || {
                work(&board, index, place.as_mut());
                // The lock of a file is gone before the thread counts as ended.
                drop(place);
                drop(worker);
            };
            let started = thread.spawn(run);
            started.map_err(|error| GuardError(error.to_string()))?;
        }
        Ok(Arc::new(keeper))
    }

    /// Waits until each place that works has a head, and at least one has it.
    async fn wait_kept(&self, waiting: &Waiting) -> Result<(), GuardError> {
        let mut results = self.board.results();
        let begin = Instant::now();
        let settled = results.wait_for(|_| self.board.is_settled(waiting.version));
        if timeout_at(begin + PLACE_PATIENCE, settled).await.is_err() {
            self.board.leave_behind(waiting.version);
        }
        let decided = results.wait_for(|_| self.board.outcome(waiting).is_some());
        // Both ways end in a look at the board, which also says who is to blame.
        drop(timeout_at(begin + KEEP_PATIENCE, decided).await);
        let unknown = || Err(GuardError(self.board.faults()));
        self.board.outcome(waiting).unwrap_or_else(unknown)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.board.end(END_PATIENCE);
    }
}

#[async_trait]
impl Guard for Keeper {
    async fn read(&self) -> Vec<Reading> {
        let places = self.board.read().into_iter().map(|(label, found)| async {
            let found = match timeout(READ_PATIENCE, found).await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) => Err(PlaceError("its thread has ended".to_owned())),
                Err(_) => Err(no_answer()),
            };
            Reading {
                origin: Origin::Place,
                label,
                found,
            }
        });
        let sources = self.sources.iter().map(|source| async {
            let found = timeout(READ_PATIENCE, source.read()).await;
            Reading {
                origin: Origin::Source,
                label: source.label(),
                found: found.unwrap_or_else(|_| Err(no_answer())),
            }
        });
        let (mut readings, sources) = tokio::join!(join_all(places), join_all(sources));
        readings.extend(sources);
        readings
    }

    async fn keep(&self, head: GuardedHead) -> Result<(), GuardError> {
        let waiting = self.board.note(head)?;
        self.wait_kept(&waiting).await
    }

    fn heads(&self) -> GuardedHeads {
        self.board.kept()
    }

    fn fault(&self) -> Option<String> {
        self.board.all_fail().then(|| self.board.faults())
    }
}

fn no_answer() -> PlaceError {
    PlaceError(format!("no answer within {} s", READ_PATIENCE.as_secs()))
}

/// Reads and writes one place until the board ends.
fn work(board: &Board, index: usize, place: &mut dyn Place) {
    let mut found = Found::Unread;
    loop {
        match board.next(index) {
            Work::Read(askers) => {
                let read = place.read();
                found = Found::of(&read);
                for asker in askers {
                    // Whoever asked may have given up.
                    drop(asker.send(read.clone()));
                }
            }
            Work::Write { version, heads } => {
                let begin = Instant::now();
                let written = write(place, &mut found, &heads);
                board.written(index, version, written, begin.elapsed());
            }
            Work::End => return,
        }
    }
}

/// The heads that a place had before this server wrote to it.
enum Found {
    Unread,
    /// Nothing, or nothing that can be read.
    Nothing,
    Heads(GuardedHeads),
}

impl Found {
    fn of(read: &Result<Option<GuardedHeads>, PlaceError>) -> Self {
        match read {
            Ok(Some(heads)) => Self::Heads(heads.clone()),
            Ok(None) | Err(_) => Self::Nothing,
        }
    }
}

/// Writes the heads, together with heads of other logs that the place had: those of a log that is
/// read-only stay there while another log of the ledger goes on. Returns what was written.
fn write(
    place: &mut dyn Place,
    found: &mut Found,
    newest: &Arc<GuardedHeads>,
) -> Result<Arc<GuardedHeads>, PlaceError> {
    if matches!(found, Found::Unread) {
        *found = Found::of(&place.read());
    }
    let mut heads = Arc::clone(newest);
    if let Found::Heads(before) = found {
        if before.ledger != newest.ledger {
            return Err(PlaceError(format!(
                "it keeps the heads of another ledger, {}",
                before.ledger
            )));
        }
        for head in &before.heads {
            let ours = newest.heads.iter().find(|other| other.api == head.api);
            if ours.is_some_and(|ours| ours.contradicts(head)) {
                return Err(PlaceError(format!(
                    "it has another head of the {} log of size {}: another server forked the log",
                    head.api,
                    head.size()
                )));
            }
            if ours.is_none_or(|ours| head.is_newer_than(ours)) {
                Arc::make_mut(&mut heads).note(head.clone());
            }
        }
    }
    place.write(&heads)?;
    Ok(heads)
}

#[cfg(test)]
mod tests;
