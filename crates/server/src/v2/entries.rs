//! Entries: accepting one, showing one, and the proof that the log only grew.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use entry::{ProposedEntry, Refusal};
use host::{Admitted, JSON, Share};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use ledger::{Appended, InclusionProof, Log, LoggedEntry, ReadError, Shards};
use serde::Serialize;
use tlog::{LeafIndex, TreeSize};

use super::error::Error;
use super::shard::Shard;
use super::wire::{ConsistencyProof, LogEntry};
use crate::answer::{self, Kept};
use crate::app::App;
use crate::receipt::{self, EntryForm};
use crate::settings::OnDuplicate;
use crate::{intake, lookup, query};

/// `POST /api/v2/log/entries`.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    shard: Shard,
    request: Request,
) -> Result<Response, Error> {
    let log = app.v2()?;
    if shard.is_frozen(log) {
        return Err(Error::frozen());
    }
    let (head, body) = request.into_parts();
    let body = app.bodies.read(&head, body).await?;
    let (entry, proof) = accept(&app, log, body, ProposedEntry::from_v2_json).await?;
    Ok(json(
        StatusCode::CREATED,
        text(&LogEntry::new(&entry, &proof))?.into(),
    ))
}

/// Accepts an entry, over either transport: parses and verifies it, appends it, proves it.
pub(super) async fn accept(
    app: &App,
    log: &Log,
    body: Admitted,
    parse: fn(&[u8]) -> Result<ProposedEntry, Refusal>,
) -> Result<(LoggedEntry, InclusionProof), Error> {
    let verified = app
        .verifier
        .run(body, parse, intake::verification(app, log))
        .await??;
    let appended = log.append(intake::new_entry(app, verified)?).await;
    let appended = intake::shown(app, appended).await?;
    let entry = conflict_or_entry(app, appended)?;
    let proof = intake::prove(log, &entry).await?;
    Ok((entry, proof))
}

/// Returns the entry to answer with, and counts it if it is new.
///
/// # Errors
///
/// The entry was in the log already, and this log answers that with a conflict.
pub(crate) fn conflict_or_entry(app: &App, appended: Appended) -> Result<LoggedEntry, Error> {
    match appended {
        Appended::Sequenced(entry) => {
            app.metrics.new_v2_entry(&entry.kind);
            Ok(entry)
        }
        Appended::Duplicate(entry) if app.duplicates.v2 == OnDuplicate::Conflict => {
            Err(Error::duplicate(entry.leaf_index.0))
        }
        Appended::Duplicate(entry) => Ok(entry),
    }
}

/// `GET /api/v2/log/entries/{index}`.
pub(crate) async fn by_index(
    State(app): State<Arc<App>>,
    shard: Shard,
    form: EntryForm,
    index: Result<Path<String>, PathRejection>,
) -> Result<Response, Error> {
    let log = app.v2()?;
    // A text that is not UTF-8 once it is decoded is not a number either.
    let index = index.map(|Path(index)| index).unwrap_or_default();
    let index = LeafIndex(number("index", Some(&index))?);
    let look =
        async |shards: Shards| lookup::place_in_tree(&shards, &shard.head_in(&shards), index);
    let place = lookup::find(log, look).await?;
    let place = place.ok_or_else(|| Error::not_found("Not Found"))?;
    let (room, entry) = answer::entry::<Error>(&app, log, &place).await?;
    if form == EntryForm::Receipt {
        return Ok(receipt::show(log, &place, &entry).await?);
    }
    let proof = log
        .inclusion_proof(&place.head, entry.leaf_index, &entry.leaf_hash)
        .await?;
    shown(room, &LogEntry::new(&entry, &proof))
}

/// `GET /api/v2/log/proof/consistency?first=&last=`.
pub(crate) async fn consistency(
    State(app): State<Arc<App>>,
    shard: Shard,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let log = app.v2()?;
    let size = |name| number(name, query::last(query.as_deref(), name).as_deref());
    let (first, last) = (size("first")?, size("last")?);
    if first == 0 || first > last {
        return Err(Error::invalid("first must be at least 1 and at most last"));
    }
    let look = async |shards: Shards| Ok::<_, ReadError>(shard.head_in(&shards));
    let head = lookup::until(log, look, |head| last <= head.size.0).await?;
    if last > head.size.0 {
        log.shards().check_size(head.tree.id, TreeSize(last))?;
        return Err(Error::invalid(format!(
            "last must be at most {}, the size of the tree",
            head.size
        )));
    }
    let hashes = log
        .consistency_proof(&head, TreeSize(first), TreeSize(last))
        .await?;
    Ok(json(
        StatusCode::OK,
        text(&ConsistencyProof::new(first, last, &hashes))?.into(),
    ))
}

/// Returns the answer that shows an entry. It keeps its room until it is sent.
pub(crate) fn shown(room: Share, entry: &LogEntry<'_>) -> Result<Response, Error> {
    let text = text(entry)?;
    Ok(json(
        StatusCode::OK,
        Bytes::from_owner(Kept::new(text, room)),
    ))
}

/// A decimal number below 2^63, as every index and size is.
fn number(name: &str, text: Option<&str>) -> Result<u64, Error> {
    let text = text.ok_or_else(|| Error::invalid(format!("{name} is required")))?;
    let number = text
        .parse::<i64>()
        .ok()
        .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = number.and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| Error::invalid(format!("{name} must be a decimal number")))
}

fn text(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        Error::internal()
    })
}

/// Compact JSON without a final newline.
fn json(status: StatusCode, body: Bytes) -> Response {
    (status, [(CONTENT_TYPE, JSON)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form_and_63_bits() {
        for (text, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("9223372036854775807", Some(i64::MAX as u64)),
        ] {
            assert_eq!(number("x", Some(text)).ok(), expected);
        }
        for text in ["", "-1", "+1", "1.0", "9223372036854775808", "٣", " 1"] {
            assert!(number("x", Some(text)).is_err(), "{text}");
        }
    }
}
