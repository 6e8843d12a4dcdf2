//! Faults of calls: which call has one, and what it then does.

use std::future::pending;
use std::time::Duration;

use ledger::TreeId;
use ledger::store::{StoreError, StoreResult};
use tokio::time::{sleep, sleep_until};

use super::{SimStore, State};

/// After this a server gives a call up that has no answer.
const TIME_OUT: Duration = Duration::from_secs(15);
/// Longest time that a statement whose answer was lost takes to arrive, or to end.
const LATE_MILLIS: u64 = 3_000;

/// The fault of a call. For a read, each that is not of another kind is [`Fault::Refused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Not applied, and reported so.
    Refused,
    /// Not applied, the answer is lost.
    LostBefore,
    /// Applied, the answer is lost.
    LostAfter,
    /// A serialization failure.
    Conflict,
    /// Not applied, and no answer for as long as the server waits.
    TimedOut,
    /// The connection breaks at once. The statement runs on with its locks, and is applied later.
    Running,
    /// The connection breaks at once. The statement is still on its way, and begins later.
    Late,
    /// The server dies before the statement is sent.
    DiesBefore,
    /// The server dies once it is applied.
    DiesAfter,
    /// The server dies while it is on its way; it is applied later.
    DiesDuring,
    /// The call does not begin for as long as the rule says so.
    Held,
    /// Not applied, and reported as applied: no database of a promise.
    Forgotten,
}

/// One call of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) server: u64,
    pub(crate) name: &'static str,
}

/// Decides on the fault of each call.
pub(crate) type Rule = Box<dyn FnMut(Call) -> Fault + Send>;

/// How a statement goes on whose answer does not come.
pub(super) enum Unanswered {
    /// It waits for the end of the server, or it was not sent.
    Nothing,
    Applied,
    /// It is applied later; its locks are held until then.
    Running,
    /// It begins later.
    Late,
}

impl State {
    /// The fault that the seed gives a commit, a publication or a freeze.
    pub(super) fn fault(&mut self, tree: TreeId) -> Fault {
        if let Some(fault) = self.next_fault.take() {
            return fault;
        }
        if self.spared == Some(tree)
            || self.fault_every == 0
            || self.rng.below(self.fault_every) > 0
        {
            return Fault::None;
        }
        [
            Fault::Refused,
            Fault::LostBefore,
            Fault::LostAfter,
            Fault::Conflict,
        ][self.rng.below(4) as usize]
    }

    fn fault_by_rule(&mut self, call: Call) -> Fault {
        let Some(mut rule) = self.rule.take() else {
            return Fault::None;
        };
        let fault = rule(call);
        self.rule = Some(rule);
        fault
    }

    fn note(&mut self, call: Call, fault: Fault) {
        let text = format!("{} {} {fault:?}", call.server, call.name);
        for byte in text.bytes() {
            // FNV-1a.
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl SimStore {
    /// Waits until the call begins. Returns its fault.
    pub(super) async fn begin(&self, name: &'static str) -> Fault {
        let call = Call {
            server: self.server,
            name,
        };
        loop {
            self.pause().await;
            self.wait_awake().await;
            if self.server == 0 {
                return Fault::None;
            }
            let fault = self.with(|state| state.fault_by_rule(call));
            if fault != Fault::Held {
                self.with(|state| state.note(call, fault));
                return fault;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits while the server is suspended, and for ever if it is dead.
    pub(super) async fn wait_awake(&self) {
        while !self.is_dead() {
            let until = self.with(|state| state.asleep.get(&self.server).copied());
            match until {
                Some(until) => {
                    sleep_until(until).await;
                    self.with(|state| state.asleep.retain(|_, end| *end > until));
                }
                None => return,
            }
        }
        pending().await
    }

    pub(super) async fn die<T>(&self) -> T {
        self.kill();
        pending().await
    }

    /// Answers a read.
    pub(super) async fn read<T>(
        &self,
        name: &'static str,
        rows: impl FnOnce(&mut State) -> StoreResult<T>,
    ) -> StoreResult<T> {
        match self.begin(name).await {
            Fault::None => {}
            Fault::DiesBefore | Fault::DiesAfter | Fault::DiesDuring => self.die().await,
            Fault::TimedOut => {
                sleep(TIME_OUT).await;
                return Err(StoreError::Unavailable("timed out".into()));
            }
            _ => return Err(StoreError::Unavailable(format!("{name} was refused"))),
        }
        let answer = self.with(rows);
        self.pause().await;
        self.wait_awake().await;
        answer
    }

    /// Does what a fault demands before a statement that writes. Returns `None` if it is to run and
    /// to be answered, or how it goes on and the error that its server gets.
    pub(super) async fn unanswered(
        &self,
        fault: Fault,
        unknown: fn(String) -> StoreError,
    ) -> Option<(Unanswered, StoreError)> {
        let lost = |text: &str| unknown(text.to_owned());
        let outcome = match fault {
            Fault::None | Fault::Held | Fault::Forgotten => return None,
            Fault::Refused => (
                Unanswered::Nothing,
                StoreError::Unavailable("refused".into()),
            ),
            Fault::Conflict => (Unanswered::Nothing, StoreError::Conflict("conflict".into())),
            Fault::LostBefore => (Unanswered::Nothing, lost("lost before")),
            Fault::TimedOut => {
                sleep(TIME_OUT).await;
                (Unanswered::Nothing, lost("timed out"))
            }
            Fault::LostAfter => (Unanswered::Applied, lost("lost after")),
            Fault::Running => (Unanswered::Running, lost("lost while it ran")),
            Fault::Late => (Unanswered::Late, lost("lost on its way")),
            Fault::DiesBefore => self.die().await,
            Fault::DiesAfter => (Unanswered::Applied, lost("dead")),
            Fault::DiesDuring => (Unanswered::Late, lost("dead")),
        };
        Some(outcome)
    }

    /// Lets a server that a fault kills die, after its statement was applied or sent.
    pub(super) async fn die_of(&self, fault: Fault) {
        if matches!(fault, Fault::DiesAfter | Fault::DiesDuring) {
            self.die().await
        }
    }

    /// Applies something later, unless the database is another one by then.
    pub(super) fn apply_later(&self, effect: impl FnOnce(&mut State) + Send + 'static) {
        let state = self.clone();
        let restored = self.with(|state| state.restored);
        let millis = self.with(|state| state.rng.below(LATE_MILLIS));
        tokio::spawn(async move {
            sleep(Duration::from_millis(millis)).await;
            state.with(|state| {
                if state.restored == restored {
                    effect(state);
                }
            });
        });
    }

    /// Runs a statement that writes without a lock. If its answer is lost, the error is `unknown`.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        name: &'static str,
        unknown: fn(String) -> StoreError,
        effect: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> StoreResult<T> {
        let fault = self.begin(name).await;
        self.write_with(fault, unknown, effect).await
    }

    /// Runs a statement whose fault is decided.
    pub(super) async fn write_with<T: Send + 'static>(
        &self,
        fault: Fault,
        unknown: fn(String) -> StoreError,
        effect: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> StoreResult<T> {
        let Some((goes_on, error)) = self.unanswered(fault, unknown).await else {
            let answer = self.with(effect);
            self.pause().await;
            self.wait_awake().await;
            return Ok(answer);
        };
        match goes_on {
            Unanswered::Nothing => {}
            Unanswered::Applied => drop(self.with(effect)),
            Unanswered::Running | Unanswered::Late => self.apply_later(|state| drop(effect(state))),
        }
        self.die_of(fault).await;
        Err(error)
    }
}
