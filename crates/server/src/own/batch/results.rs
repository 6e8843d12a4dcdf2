//! The results of a batch: for each entry the answer that it would get if it were sent alone.

use std::sync::Arc;

use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use host::{Address, Reason};
use http::StatusCode;
use ledger::{Head, Log, LoggedEntry, ReadError, TreeId};
use serde::Serialize;

use super::form::{Form, Refused};
use super::{Logged, on_a_task};
use crate::answer::room;
use crate::app::App;
use crate::attestations::Attestations;
use crate::limits::MAX_BATCH_AHEAD;
use crate::v1::entries::shown;
use crate::v1::errors::ApiError;
use crate::v1::wire::{most_bytes, text_within};
use crate::v2::wire::LogEntry;

/// The text before and after the results in the answer.
const ANSWER: [&str; 2] = ["{\"results\":[", "]}\n"];

/// The result of an entry that is in the log.
#[derive(Serialize)]
struct Created<'a, Entry> {
    /// The status of the answer if the entry were sent alone.
    status: u16,
    /// The body of that answer.
    entry: &'a Entry,
}

/// The result of any other entry.
#[derive(Serialize)]
struct Failed<'a, Error> {
    /// The status of the answer if the entry were sent alone.
    status: u16,
    /// The body of that answer.
    error: &'a Error,
    /// The `Location` of that answer if the entry was in the v1 log already.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
    /// The `Retry-After` of that answer, in seconds.
    #[serde(rename = "retryAfter", skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// The heads of all trees of all logs at the moment when the last entry is in its log.
struct Heads(Vec<(Log, Arc<Head>)>);

impl Heads {
    fn now(app: &App) -> Self {
        let heads = app.ledger.logs().iter().flat_map(|log| {
            let shards = log.shards();
            let heads: Vec<_> = shards.active_first().cloned().collect();
            heads.into_iter().map(|head| (log.clone(), head))
        });
        Self(heads.collect())
    }

    fn of_tree(&self, tree: TreeId) -> Result<(&Log, &Arc<Head>), ReadError> {
        let found = self.0.iter().find(|(_, head)| head.tree.id == tree);
        let absent = || ReadError::OutOfRange(format!("tree {tree} is not of this ledger"));
        found.map(|(log, head)| (log, head)).ok_or_else(absent)
    }
}

/// Returns all results. All proofs of one tree are in one head.
pub(super) async fn answer(
    app: &Arc<App>,
    address: Address,
    outcomes: Vec<Result<Logged, Refused>>,
) -> Result<Response, ApiError> {
    let heads = Arc::new(Heads::now(app));
    let outcomes: Vec<Result<Logged, String>> = outcomes
        .into_iter()
        .map(|outcome| outcome.map_err(|refused| failed(app, refused)))
        .collect();
    let most = outcomes.iter().map(|outcome| match outcome {
        Ok(Logged { entry, .. }) => {
            let head = heads.of_tree(entry.tree);
            head.map_or(0, |(_, head)| most_bytes(entry, head))
        }
        Err(text) => text.len() as u64 + 1,
    });
    let most = most.sum::<u64>() + ANSWER.concat().len() as u64;
    let room = room(app, most).await?;
    let heads = &heads;
    let results = stream::iter(outcomes).map(|outcome| async move {
        match outcome {
            Ok(logged) => {
                let form = logged.form;
                let made = result(Arc::clone(app), address, Arc::clone(heads), logged);
                let made = on_a_task(app, made).await;
                made.unwrap_or_else(|panic| failed(app, form.refuse(panic)))
            }
            Err(text) => text,
        }
    });
    let results: Vec<String> = results.buffered(MAX_BATCH_AHEAD).collect().await;
    let text = joined(results);
    debug_assert!(
        text.len() as u64 <= most,
        "{} bytes are more than {most}",
        text.len()
    );
    Ok(text_within(room, text))
}

/// Returns the result of an entry that is in the log.
async fn result(app: Arc<App>, address: Address, heads: Arc<Heads>, logged: Logged) -> String {
    let _place = app.verifier.place_in_batch(address).await;
    let Logged { form, entry } = logged;
    match created(&heads, form, &entry).await {
        Ok(text) => text,
        Err(error) => failed(&app, form.refuse(error)),
    }
}

async fn created(heads: &Heads, form: Form, entry: &LoggedEntry) -> Result<String, ReadError> {
    let (log, head) = heads.of_tree(entry.tree)?;
    let status = StatusCode::CREATED.as_u16();
    Ok(match form {
        Form::V1 => {
            let entry = &shown(log, head, entry, Attestations::NONE).await?;
            text(&Created { status, entry })
        }
        Form::V2 => {
            let proof = log
                .inclusion_proof(head, entry.leaf_index, &entry.leaf_hash)
                .await?;
            let entry = &LogEntry::new(entry, &proof);
            text(&Created { status, entry })
        }
    })
}

/// Returns the result of any other entry, and counts it if it was turned away to keep bounds.
fn failed(app: &App, refused: Refused) -> String {
    let count = |reason: Option<Reason>| {
        if let Some(reason) = reason {
            app.metrics.http.refused(reason);
        }
    };
    match refused {
        Refused::V1(error) => {
            let (error, location) = error.into_parts();
            count(error.refused());
            text(&Failed {
                status: error.status().as_u16(),
                error: &error,
                location: location.as_deref(),
                retry_after: error.retry_after_seconds(),
            })
        }
        Refused::V2(error) => {
            count(error.refused());
            text(&Failed {
                status: error.status().as_u16(),
                error: &error,
                location: None,
                retry_after: error.retry_after_seconds(),
            })
        }
    }
}

fn text(result: &impl Serialize) -> String {
    // Serialising numbers and strings cannot fail; an empty object would still keep the order of
    // the others.
    serde_json::to_string(result).unwrap_or_else(|_| "{}".to_owned())
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
