//! `POST /api/v1/log/entries/batch`, which Rekor does not have: up to
//! [`MAX_BATCH`](crate::limits::MAX_BATCH) proposed entries in one request, each answered on its
//! own. An entry goes to the log of the API that it is written for.
//!
//! Each entry is handled like one that is sent alone, by the same rules. Checks run ahead on all
//! cores. Checked entries go into the queues of their logs in the order of the request, some at a
//! time. When the last one is in its log, all entries of one tree are proved in one head. All
//! batches together have as many checks as one batch alone, and few places in the queue of each
//! log, so a writer of single entries does not wait behind thousands. If the client leaves, the work
//! ends; entries that are in a queue by then go into its log.

mod form;
mod items;
mod results;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use host::{Refusal, Room};
use ledger::{AppendError, Appended, LoggedEntry, NewEntry};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use form::{Form, Refused};
use items::{Item, items};

use crate::app::App;
use crate::failure::append_failure;
use crate::intake;
use crate::limits::{
    BATCH_PLACES, BATCH_TIMEOUT, MAX_BATCH_AHEAD, MAX_BATCH_QUEUED, PLACE_BYTES, PLACE_INDEX_KEYS,
};
use crate::v1::ApiError;
use crate::verification::Came;

/// When a client should retry an entry whose turn did not come in time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The handler. A batch that is refused as a whole leaves no entry in a log. But with 503 for lack
/// of room for the answer, or with a time-out, entries may be in the logs.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let (body, room) = app.bodies.read(&head, body).await?.into_parts();
    let batch = Batch {
        app,
        room: Arc::new(room),
        deadline: Instant::now() + BATCH_TIMEOUT,
    };
    let items = batch.take_apart(body).await?;
    let checked = stream::iter(items)
        .map(|item| batch.check_on_a_task(item))
        .buffered(MAX_BATCH_AHEAD);
    let placed = checked.then(|checked| batch.clone().place(checked));
    let appended = placed
        .map(|placed| batch.append(placed))
        .buffered(MAX_BATCH_QUEUED);
    let outcomes: Vec<Result<Logged, Refused>> = appended.collect().await;
    results::answer(&batch.app, batch.room.address(), outcomes).await
}

/// A batch on its way into the logs.
#[derive(Clone)]
struct Batch {
    app: Arc<App>,
    /// Room for the entries in all their forms. It is held until the answer is made.
    room: Arc<Room>,
    /// When entries whose turn has not come are refused.
    deadline: Instant,
}

/// A checked entry.
struct Checked {
    form: Form,
    entry: NewEntry,
}

/// A checked entry with its places in the queue of its log.
struct Placed {
    checked: Checked,
    _places: OwnedSemaphorePermit,
}

/// An entry that is in the log of its API.
struct Logged {
    form: Form,
    entry: LoggedEntry,
}

impl Batch {
    /// Returns the proposed entries.
    async fn take_apart(&self, body: Bytes) -> Result<Vec<Item>, ApiError> {
        // The work may outlive the request.
        let held = Arc::clone(&self.room);
        let work = move || {
            let items = items(&body);
            drop(held);
            items
        };
        let taken_apart = self.app.verifier.take_apart(self.room.address(), work);
        timeout_at(self.deadline, taken_apart)
            .await
            .map_err(|_| ApiError::by_handler(append_failure(too_late())))??
    }

    async fn check_on_a_task(&self, item: Item) -> Result<Checked, Refused> {
        let form = item.form;
        let checked = on_a_task(&self.app, self.clone().check(item)).await;
        checked.unwrap_or_else(|panic| Err(form.refuse(panic)))
    }

    /// Parses and checks an entry, when its turn comes.
    async fn check(self, item: Item) -> Result<Checked, Refused> {
        let Item { form, text } = item;
        if Instant::now() >= self.deadline {
            return Err(form.refuse(too_late()));
        }
        let Self {
            app,
            room,
            deadline,
        } = self;
        let log = form.log(&app).map_err(|error| form.refuse(error))?;
        let (length, came, verify) = (
            text.len() as u64,
            Came::InBatch(room.address()),
            intake::verification(&app, log),
        );
        let parse = move || form.parse(&text);
        // The check may outlive the request.
        let verify = move |proposed| {
            let outcome = verify(proposed);
            drop(room);
            outcome
        };
        let checked = timeout_at(
            deadline,
            app.verifier.run_in_turn(came, length, parse, verify),
        )
        .await;
        let verified = checked
            .map_err(|_| form.refuse(too_late()))?
            .map_err(|refusal| form.refuse(refusal))?
            .map_err(|refusal| form.refuse(refusal))?;
        let entry = intake::new_entry(&app, verified).map_err(|refusal| form.refuse(refusal))?;
        Ok(Checked { form, entry })
    }

    /// Takes places for an entry. It runs for one entry after the other, so that entries get their
    /// indexes in the order of the request, and the first one of equal entries is the new one. A
    /// full queue or a rotation may change the order.
    async fn place(self, checked: Result<Checked, Refused>) -> Result<Placed, Refused> {
        let checked = checked?;
        let all = checked.form.places(&self.app);
        let places = Arc::clone(all).acquire_many_owned(places(&checked.entry));
        match timeout_at(self.deadline, places).await {
            Ok(Ok(_places)) => Ok(Placed { checked, _places }),
            _ => Err(checked.form.refuse(too_late())),
        }
    }

    /// Appends an entry. While single ones fill the queue, it waits outside, so that they come
    /// first.
    async fn append(&self, placed: Result<Placed, Refused>) -> Result<Logged, Refused> {
        let Placed { checked, _places } = placed?;
        let Checked { form, entry } = checked;
        let log = form.log(&self.app).map_err(|error| form.refuse(error))?;
        let appended = log.append_behind_others(entry, self.deadline).await;
        let appended = intake::shown(&self.app, appended).await;
        // The attestation is not shown, and may be large.
        let appended = match appended.map_err(|error| form.refuse(error))? {
            Appended::Sequenced(entry) => Appended::Sequenced(LoggedEntry {
                attestation: None,
                ..entry
            }),
            Appended::Duplicate(entry) => Appended::Duplicate(LoggedEntry {
                attestation: None,
                ..entry
            }),
        };
        let entry = form.conflict_or_entry(&self.app, appended)?;
        Ok(Logged { form, entry })
    }
}

/// Returns how many places an entry takes: one for each part that it has of an average entry in a
/// full round, at most all.
fn places(entry: &NewEntry) -> u32 {
    let keys: usize = entry.index_keys.iter().map(String::len).sum();
    let attestation = entry
        .attestation
        .as_ref()
        .map_or(0, |attestation| attestation.data.len());
    let bytes = entry.leaf_bytes.len() + keys + attestation;
    let places = bytes
        .div_ceil(PLACE_BYTES)
        .max(entry.index_keys.len().div_ceil(PLACE_INDEX_KEYS));
    u32::try_from(places.clamp(1, BATCH_PLACES)).unwrap_or(u32::MAX)
}

/// Runs work on any core. It ends when its caller is dropped. A panic fails only that entry.
async fn on_a_task<T: Send + 'static>(
    app: &App,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Refusal> {
    let task = AbortOnDropHandle::new(tokio::spawn(work.in_current_span()));
    task.await.map_err(|error| {
        tracing::error!(%error, "an entry of a batch ended in a bug");
        app.metrics.http.panics.inc();
        Refusal::unknown()
    })
}

fn too_late() -> AppendError {
    AppendError::Busy {
        retry_after: RETRY_AFTER,
    }
}

#[cfg(test)]
mod tests {
    use ledger::EntryClaims;

    use super::*;

    #[test]
    fn an_entry_takes_places_for_each_of_its_sizes() {
        let entry = |leaf_bytes: usize, index_keys: usize| NewEntry {
            leaf_bytes: vec![0; leaf_bytes],
            kind: "k".into(),
            index_keys: vec![String::new(); index_keys],
            attestation: None,
            claims: EntryClaims::default(),
        };
        for (leaf_bytes, index_keys, expected) in [
            (600, 2, 1),
            (PLACE_BYTES + 1, 2, 2),
            (600, 9, 2),
            (65_535, 4_096, 128),
            (1 << 30, 0, 128),
        ] {
            assert_eq!(
                places(&entry(leaf_bytes, index_keys)),
                expected,
                "{leaf_bytes} {index_keys}"
            );
        }
    }
}
