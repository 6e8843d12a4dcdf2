//! `GET /api/v1/log/events`, which Rekor does not have: the entries of all logs as events, from a
//! position on; as a stream of Server-Sent Events that goes on, or as one page of JSON.
//!
//! Neither keeps anything on the server for a reader beyond its connection: the position is with the
//! reader, which continues on any server of the ledger.

mod request;
mod stream;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use ledger::ReadError;
use ledger::events::{Event, Reader};
use serde::Serialize;

use request::Asked;

use crate::answer::search_room;
use crate::app::App;
use crate::limits::{EVENT_ANSWER_BYTES, MAX_STREAM_BACKLOG};
use crate::v1::AnswerType;
use crate::v1::errors::{ApiError, Validation};
use crate::v1::wire::json_within;

/// The handler.
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let asked = Asked::of(request.uri().query(), request.headers())?;
    let limit = asked.limit;
    let reader = reader(&app, asked).await?;
    match request.extensions().get() {
        Some(AnswerType("application/json")) => page(&app, reader, limit).await,
        _ => {
            check_backlog(&reader)?;
            Ok(stream::open(&app, request.extensions(), reader)?)
        }
    }
}

async fn reader(app: &App, asked: Asked) -> Result<Reader, ApiError> {
    let events = app.ledger.events();
    let after = asked.after.unwrap_or_else(|| events.now());
    let reader = events.reader(after, asked.filter).await;
    reader.map_err(|error| match error {
        ReadError::OutOfRange(reason) => ApiError::validation(
            Validation::Pattern,
            format!("after in query is not one that this ledger gave: {reason}"),
        ),
        error => error.into(),
    })
}

/// Fails if a stream would begin so far behind that the reader has to read pages first.
fn check_backlog(reader: &Reader) -> Result<(), ApiError> {
    let behind = reader.behind();
    if behind <= MAX_STREAM_BACKLOG {
        return Ok(());
    }
    Err(ApiError::handler(StatusCode::CONFLICT, read_pages(behind)))
}

/// Tells a reader to read pages.
fn read_pages(behind: u64) -> String {
    format!(
        "{behind} entries are published after this position, and a stream begins at most \
         {MAX_STREAM_BACKLOG} behind: read pages (Accept: application/json) until \"more\" is false, \
         then open a stream after the last one"
    )
}

/// One page, as far as a bounded piece of work leads.
async fn page(app: &App, mut reader: Reader, limit: u32) -> Result<Response, ApiError> {
    let room = search_room(app, EVENT_ANSWER_BYTES * u64::from(limit)).await?;
    let page = reader.read(limit as usize).await?;
    app.metrics.events_sent.inc_by(page.events.len() as u64);
    let answer = Page {
        after: reader.position().to_string(),
        events: page.events.iter().map(Shown::new).collect(),
        more: page.more,
    };
    Ok(json_within(room, &answer))
}

/// The answer in JSON.
#[derive(Serialize)]
struct Page<'e> {
    /// The position after this page.
    after: String,
    events: Vec<Shown<'e>>,
    /// Whether more entries are published. If not, a stream may begin.
    more: bool,
}

/// An event as it is shown, in 200 bytes at most.
#[derive(Serialize)]
struct Shown<'e> {
    log: &'static str,
    tree: String,
    /// The index by which the API of the log finds the entry: v1 counts through all trees.
    index: u64,
    uuid: String,
    kind: &'e str,
    time: i64,
}

impl<'e> Shown<'e> {
    fn new(event: &'e Event) -> Self {
        let index = match event.log {
            "v1" => event.log_index,
            _ => event.leaf_index,
        };
        Self {
            log: event.log,
            tree: event.tree.to_string(),
            index,
            uuid: event.uuid(),
            kind: &event.kind,
            time: event.time,
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger::TreeId;
    use tlog::Hash;

    use super::*;

    #[test]
    fn the_longest_event_of_a_trillion_entries_has_200_bytes() {
        let longest = entry::kind_tags().max_by_key(|tag| tag.len());
        let event = Event {
            log: "v1",
            tree: TreeId(i64::MAX),
            leaf_index: 0,
            log_index: 9_999_999_999_999,
            leaf_hash: Hash([0xff; 32]),
            kind: longest.expect("kinds").into(),
            time: 9_999_999_999,
        };
        let text = serde_json::to_string(&Shown::new(&event)).expect("plain values");
        assert!(text.len() <= 200, "{} bytes: {text}", text.len());
        assert!(text.len() as u64 <= EVENT_ANSWER_BYTES);
        assert!(text.contains("\"index\":9999999999999,"), "{text}");
        let of_v2 = Event { log: "v2", ..event };
        assert_eq!(Shown::new(&of_v2).index, 0, "v2 counts in its tree");
    }
}
