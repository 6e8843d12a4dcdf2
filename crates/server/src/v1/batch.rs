//! `POST /api/v1/log/entries/batch`, which Rekor does not have: up to [`MAX_BATCH`] proposed
//! entries in one request, each answered on its own.
//!
//! Each entry is handled like one that is sent alone, by the same rules. Checks run ahead on all
//! cores. Checked entries go into the ledger's queue in the order of the request, some at a time.
//! When the last one is in the log, all are proved in one head. All batches together have as many
//! checks and places in the queue as one batch alone, so a writer of single entries does not wait
//! behind thousands. If the client leaves, the work ends; entries that are in the queue by then go
//! into the log.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use entry::ProposedEntry;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use host::{Address, Room};
use http::{StatusCode, Uri};
use ledger::{AppendError, Appended, LoggedEntry, NewEntry, Shards};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::entries::{CreateError, conflict_or_entry, read_body, shown};
use super::errors::{ApiError, Validation};
use super::json::{BodyName, FirstItems};
use super::wire::{LogEntry, most_bytes, text_within};
use crate::answer::room;
use crate::app::App;
use crate::attestations::Attestations;
use crate::intake;
use crate::limits::{
    BATCH_PLACES, BATCH_TIMEOUT, MAX_BATCH, MAX_BATCH_AHEAD, MAX_BATCH_QUEUED, PLACE_BYTES,
    PLACE_INDEX_KEYS,
};
use crate::operation::Operation;
use crate::verification::Came;

/// The name of the body in messages.
const PROPOSED_ENTRIES: BodyName = BodyName("proposedEntries");

/// The text before and after the results in the answer.
const ANSWER: [&str; 2] = ["{\"results\":[", "]}\n"];

/// When a client should retry an entry whose turn did not come in time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The result of one entry, as JSON.
#[derive(Serialize)]
struct Item<'a> {
    /// The status of the answer if the entry were sent alone.
    status: u16,
    /// The body of that answer if it is the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'a LogEntry>,
    /// The body of that answer if it is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ApiError>,
    /// The `Location` of that answer if the entry was in the log already.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
    /// The `Retry-After` of that answer, in seconds.
    #[serde(rename = "retryAfter", skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// The handler. A batch that is refused as a whole leaves no entry in the log. But with 503 for
/// lack of room for the answer, or with a time-out, entries may be in the log.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, CreateError> {
    let (body, room) = read_body(&app, request).await?.into_parts();
    let batch = Batch {
        app,
        room: Arc::new(room),
        deadline: Instant::now() + BATCH_TIMEOUT,
    };
    let texts = batch.take_apart(body).await?;
    let checked = stream::iter(texts)
        .map(|text| batch.check_on_a_task(text))
        .buffered(MAX_BATCH_AHEAD);
    let placed = checked.then(|checked| batch.clone().place(checked));
    let appended = placed
        .map(|placed| batch.append(placed))
        .buffered(MAX_BATCH_QUEUED);
    let outcomes: Vec<Result<LoggedEntry, CreateError>> = appended.collect().await;
    answer(&batch.app, batch.room.address(), outcomes)
        .await
        .map_err(CreateError::Body)
}

/// A batch on its way into the log.
#[derive(Clone)]
struct Batch {
    app: Arc<App>,
    /// Room for the entries in all their forms. It is held until the answer is made.
    room: Arc<Room>,
    /// When entries whose turn has not come are refused.
    deadline: Instant,
}

impl Batch {
    /// Returns the texts of the proposed entries.
    async fn take_apart(&self, body: Bytes) -> Result<Vec<Bytes>, CreateError> {
        // The work may outlive the request.
        let held = Arc::clone(&self.room);
        let work = move || {
            let texts = entries(&body);
            drop(held);
            texts
        };
        let taken_apart = self.app.verifier.take_apart(self.room.address(), work);
        let texts = timeout_at(self.deadline, taken_apart)
            .await
            .map_err(|_| too_late())??;
        Ok(texts?)
    }

    async fn check_on_a_task(&self, text: Bytes) -> Result<NewEntry, CreateError> {
        on_a_task(&self.app, self.clone().check(text)).await
    }

    /// Parses and checks an entry, when its turn comes.
    async fn check(self, text: Bytes) -> Result<NewEntry, CreateError> {
        if Instant::now() >= self.deadline {
            return Err(too_late());
        }
        let Self {
            app,
            room,
            deadline,
        } = self;
        let (length, came, verify) = (
            text.len() as u64,
            Came::InBatch(room.address()),
            intake::verification(&app),
        );
        let parse = move || ProposedEntry::from_json(&text);
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
            .map_err(|_| too_late())??
            .map_err(CreateError::Refused)?;
        Ok(intake::new_entry(&app, verified))
    }

    /// Takes places for an entry. It runs for one entry after the other, so that entries get their
    /// indexes in the order of the request, and the first one of equal entries is the new one. A
    /// full queue or a rotation may change the order.
    async fn place(self, checked: Result<NewEntry, CreateError>) -> Result<Placed, CreateError> {
        let entry = checked?;
        let all = Arc::clone(&self.app.batch_places);
        match timeout_at(self.deadline, all.acquire_many_owned(places(&entry))).await {
            Ok(Ok(places)) => Ok((entry, places)),
            _ => Err(too_late()),
        }
    }

    /// Appends an entry. While single ones fill the queue, it waits outside, so that they come
    /// first.
    async fn append(
        &self,
        placed: Result<Placed, CreateError>,
    ) -> Result<LoggedEntry, CreateError> {
        let (entry, _places) = placed?;
        let ledger = &self.app.ledger;
        let appended = ledger
            .append_behind_others(entry, self.deadline)
            .await
            .map_err(CreateError::Append)?;
        // The attestation is not shown, and may be large.
        let entry = match appended {
            Appended::Sequenced(entry) => Appended::Sequenced(LoggedEntry {
                attestation: None,
                ..entry
            }),
            Appended::Duplicate(entry) => Appended::Duplicate(LoggedEntry {
                attestation: None,
                ..entry
            }),
        };
        conflict_or_entry(
            &self.app,
            entry,
            &Uri::from_static(Operation::CreateLogEntry.path()),
        )
    }
}

/// An entry with its places in the ledger's queue.
type Placed = (NewEntry, OwnedSemaphorePermit);

/// Returns the texts of the proposed entries. They are slices of the body, which is freed with the
/// last of them.
fn entries(body: &Bytes) -> Result<Vec<Bytes>, ApiError> {
    let members = PROPOSED_ENTRIES.parse(body, &["entries"])?;
    let raw: Option<FirstItems<&RawValue, MAX_BATCH>> =
        PROPOSED_ENTRIES.member(&members, "entries")?;
    let required = || ApiError::validation(Validation::Required, "entries in body is required");
    let raw = raw.ok_or_else(required)?.checked("entries")?;
    Ok(raw
        .iter()
        .map(|raw| body.slice_ref(raw.get().as_bytes()))
        .collect())
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

/// Returns all results. All proofs of one tree are in one head: that of the moment when the last
/// entry is in the log.
async fn answer(
    app: &Arc<App>,
    address: Address,
    outcomes: Vec<Result<LoggedEntry, CreateError>>,
) -> Result<Response, ApiError> {
    let shards = Arc::new(app.ledger.shards());
    let outcomes: Vec<Result<LoggedEntry, String>> = outcomes
        .into_iter()
        .map(|outcome| outcome.map_err(|error| refusal(app, error)))
        .collect();
    let most = outcomes.iter().map(|outcome| match outcome {
        Ok(entry) => most_bytes(entry, shards.of_tree(entry.tree).unwrap_or(shards.active())),
        Err(text) => text.len() as u64 + 1,
    });
    let most = most.sum::<u64>() + ANSWER.concat().len() as u64;
    let room = room(app, most).await?;
    let shards = &shards;
    let results = stream::iter(outcomes).map(|outcome| async move {
        match outcome {
            Ok(entry) => {
                on_a_task(
                    app,
                    result(Arc::clone(app), address, Arc::clone(shards), entry),
                )
                .await
            }
            Err(text) => Ok(text),
        }
    });
    let results: Vec<String> = results.buffered(MAX_BATCH_AHEAD).try_collect().await?;
    let text = joined(results);
    debug_assert!(
        text.len() as u64 <= most,
        "{} bytes are more than {most}",
        text.len()
    );
    Ok(text_within(room, text))
}

/// Returns the result of an entry that is in the log.
async fn result(
    app: Arc<App>,
    address: Address,
    shards: Arc<Shards>,
    entry: LoggedEntry,
) -> Result<String, ApiError> {
    let _place = app.verifier.place_in_batch(address).await;
    let head = shards.of_tree(entry.tree).unwrap_or(shards.active());
    Ok(match shown(&app, head, &entry, Attestations::NONE).await {
        Ok(entry) => {
            let status = StatusCode::CREATED.as_u16();
            text(&Item {
                status,
                entry: Some(&entry),
                error: None,
                location: None,
                retry_after: None,
            })
        }
        Err(error) => refusal(&app, CreateError::Read(error)),
    })
}

/// Returns the result of any other entry.
fn refusal(app: &App, error: CreateError) -> String {
    let (error, location) = error.into_parts();
    if let Some(reason) = error.refused() {
        app.metrics.http.refused(reason);
    }
    let (status, retry_after) = (error.status().as_u16(), error.retry_after_seconds());
    text(&Item {
        status,
        entry: None,
        error: Some(&error),
        location: location.as_deref(),
        retry_after,
    })
}

fn text(item: &Item<'_>) -> String {
    // Serialising numbers and strings cannot fail; an empty object would still keep the order of
    // the others.
    serde_json::to_string(item).unwrap_or_else(|_| "{}".to_owned())
}

/// Joins the results. Each result is dropped once it is copied, so that at most two results are
/// held twice, and not all.
fn joined(results: Vec<String>) -> String {
    let [before, after] = ANSWER;
    let length =
        results.iter().map(|result| result.len() + 1).sum::<usize>() + before.len() + after.len();
    let mut text = String::with_capacity(length);
    text.push_str(before);
    for (number, result) in results.into_iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        text.push_str(&result);
    }
    text.push_str(after);
    text
}

/// Runs work on any core. It ends when its caller is dropped. A panic fails only that entry.
async fn on_a_task<T, E>(
    app: &App,
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<ApiError> + Send + 'static,
{
    let task = AbortOnDropHandle::new(tokio::spawn(work.in_current_span()));
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an entry of a batch ended in a bug");
        app.metrics.http.panics.inc();
        Err(ApiError::unknown().into())
    })
}

fn too_late() -> CreateError {
    CreateError::Append(AppendError::Busy {
        retry_after: RETRY_AFTER,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(body: &str) -> Result<Vec<String>, String> {
        let texts =
            entries(&Bytes::copy_from_slice(body.as_bytes())).map_err(|error| error.body())?;
        Ok(texts
            .iter()
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect())
    }

    #[test]
    fn the_envelope_is_read_with_the_leniency_of_the_other_bodies() {
        for (body, expected) in [
            (r#"{"entries":[{}]}"#, vec!["{}"]),
            (
                r#" {"Entries":[ {"a": [1]} , null,"x",7 ],"other":{}} trailing"#,
                vec![r#"{"a": [1]}"#, "null", "\"x\"", "7"],
            ),
            (r#"{"entries":[1],"ENTRIES":[2,3]}"#, vec!["2", "3"]),
        ] {
            assert_eq!(
                texts(body),
                Ok(expected.into_iter().map(str::to_owned).collect()),
                "{body}"
            );
        }
        for (body, code, message) in [
            ("", 602, "proposedEntries in body is required"),
            ("{}", 602, "entries in body is required"),
            ("null", 602, "entries in body is required"),
            (r#"{"entries":null}"#, 602, "entries in body is required"),
            (
                r#"{"entries":[]}"#,
                612,
                "entries in body should have at least 1 items",
            ),
        ] {
            assert_eq!(
                texts(body),
                Err(format!(r#"{{"code":{code},"message":"{message}"}}"#)),
                "{body}"
            );
        }
        for body in [
            "{",
            "[]",
            "[{}]",
            r#"{"entries":{}}"#,
            r#"{"entries":[{}"#,
            r#"{"entries":[{]}"#,
            r#"{"entries":[{},]}"#,
        ] {
            let refusal = texts(body).expect_err(body);
            let beginning =
                r#"{"code":400,"message":"parsing proposedEntries body from \"\" failed, because "#;
            assert!(refusal.starts_with(beginning), "{body}: {refusal}");
        }
    }

    #[test]
    fn a_batch_is_bounded_while_it_is_read() {
        let batch = |count: usize| format!(r#"{{"entries":[{}]}}"#, vec!["{}"; count].join(","));
        assert_eq!(
            texts(&batch(MAX_BATCH)).map(|texts| texts.len()),
            Ok(MAX_BATCH)
        );
        let refusal = r#"{"code":611,"message":"entries in body should have at most 1000 items"}"#;
        assert_eq!(texts(&batch(MAX_BATCH + 1)), Err(refusal.to_owned()));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_refused(body in "[{}\\[\\]\",:a-c0-9 ]{0,40}", tail in any::<Vec<u8>>()) {
            let body = [br#"{"entries":["#, body.as_bytes(), &tail].concat();
            // What is accepted is what another parser finds.
            if let Ok(found) = entries(&Bytes::from(body.clone())) {
                let mut values = serde_json::Deserializer::from_slice(&body).into_iter::<serde_json::Value>();
                let value = values.next().expect("a value").expect("valid");
                let found: Vec<serde_json::Value> =
                    found.iter().map(|text| serde_json::from_slice(text).expect("valid")).collect();
                prop_assert_eq!(value["entries"].as_array().expect("a list"), &found);
            }
        }
    }

    #[test]
    fn an_entry_takes_places_for_each_of_its_sizes() {
        let entry = |leaf_bytes: usize, index_keys: usize| NewEntry {
            leaf_bytes: vec![0; leaf_bytes],
            kind: "k".into(),
            index_keys: vec![String::new(); index_keys],
            attestation: None,
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
