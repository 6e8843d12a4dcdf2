//! `POST /api/v1/log/entries/retrieve`: up to ten entries by ID, by proposal or by log index.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use entry::{ProposedEntry, Refusal, UnixSeconds};
use http::StatusCode;
use ledger::{Head, LoggedEntry, ReadError};
use serde_json::value::RawValue;
use tlog::{Hash, LeafIndex};

use crate::app::App;
use crate::entry_id::{EntryId, PATTERN};
use crate::errors::{ApiError, Validation};
use crate::json::{BodyName, FirstItems};
use crate::limits::{MAX_ENTRY_ANSWER_BYTES, MAX_RETRIEVE};
use crate::wire::{Attestations, LogEntry, json_within, room};

/// The name of the body in messages.
const ENTRY: BodyName = BodyName("entry");

/// Why nothing is retrieved. An entry that is not there is left out and no error.
#[derive(Debug)]
pub(crate) enum RetrieveError {
    /// The body does not arrive, parse or validate.
    Body(ApiError),
    /// An entry ID names a tree that cannot be.
    InvalidId(String),
    /// More than [`MAX_RETRIEVE`] over all lists.
    TooMany,
    /// A proposed entry is not one.
    Entry { position: usize, refusal: Refusal },
    /// The database.
    Read(ReadError),
}

impl IntoResponse for RetrieveError {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Body(error) => error,
            Self::InvalidId(id) => ApiError::handler(StatusCode::BAD_REQUEST, format!("invalid entryID {id}")),
            Self::TooMany => {
                let message = format!("more than max allowed {MAX_RETRIEVE} entries in request");
                ApiError::handler(StatusCode::UNPROCESSABLE_ENTITY, message)
            }
            Self::Entry { position, refusal } => refusal_on_retrieve(position, refusal),
            Self::Read(error) => error.into(),
        };
        error.into_response()
    }
}

impl From<ApiError> for RetrieveError {
    fn from(error: ApiError) -> Self {
        Self::Body(error)
    }
}

impl From<ReadError> for RetrieveError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// The handler.
pub(crate) async fn retrieve(
    State(app): State<Arc<App>>,
    request: http::Request<Body>,
) -> Result<Response, RetrieveError> {
    let (parts, body) = request.into_parts();
    let body = app.bodies.read(&parts, body).await?;
    let now = app.now();
    let query = app.verifier.run(body, Request::parse, move |request: Request| request.check(now)).await??;
    let wanted = query.wanted(&app)?;
    let room = room(&app, wanted.count() as u64 * MAX_ENTRY_ANSWER_BYTES).await?;
    let mut head = app.ledger.head();
    let mut found = wanted.find(&app, &head).await?;
    if found.len() < wanted.count() {
        // Another server may have written it: ask before leaving it out.
        head = app.ledger.newest_head().await?;
        found = wanted.find(&app, &head).await?;
    }
    let mut answer = Vec::with_capacity(found.len());
    for entry in &found {
        let proof = app.ledger.inclusion_proof(&head, entry.leaf_index, &entry.leaf_hash).await?;
        let timestamp = app.ledger.signed_entry_timestamp(entry).map_err(ReadError::from)?;
        answer.push(LogEntry::new(entry, &timestamp, &proof, Attestations::Shown));
    }
    Ok(json_within(room, &answer))
}

/// A query as it was sent, each part valid by itself; the proposals are still to be checked.
struct Request {
    ids: Vec<(String, EntryId)>,
    proposed: Vec<ProposedEntry>,
    log_indexes: Vec<u64>,
}

impl Request {
    fn parse(body: &[u8]) -> Result<Self, RetrieveError> {
        let members = ENTRY.parse(body, &["entries", "entryUUIDs", "logIndexes"])?;
        let raw_entries: Option<FirstItems<&RawValue>> = ENTRY.member(&members, "entries")?;
        let raw_ids: Option<FirstItems<Option<String>>> = ENTRY.member(&members, "entryUUIDs")?;
        let raw_indexes: Option<FirstItems<Option<i64>>> = ENTRY.member(&members, "logIndexes")?;
        // An empty list of entries is the same as none.
        let entries = match raw_entries.filter(|entries| !entries.items.is_empty()) {
            Some(raw) => parse_entries(&checked("entries", raw)?)?,
            None => Vec::new(),
        };
        let ids = raw_ids.map(parse_ids).transpose()?.unwrap_or_default();
        let log_indexes = raw_indexes.map(parse_indexes).transpose()?.unwrap_or_default();
        if entries.len() + ids.len() + log_indexes.len() > MAX_RETRIEVE {
            return Err(RetrieveError::TooMany);
        }
        Ok(Self { proposed: entries, ids, log_indexes })
    }

    fn check(self, now: UnixSeconds) -> Result<Query, RetrieveError> {
        let proposed = self.proposed.into_iter().enumerate();
        let proposed = proposed.map(|(position, entry)| match entry.leaf_bytes_for_lookup(now) {
            Ok(leaf_bytes) => Ok(tlog::leaf_hash(&leaf_bytes)),
            Err(refusal) => Err(RetrieveError::Entry { position, refusal }),
        });
        Ok(Query { proposed: proposed.collect::<Result<_, _>>()?, ids: self.ids, log_indexes: self.log_indexes })
    }
}

/// A valid query.
#[derive(Debug, Default)]
struct Query {
    ids: Vec<(String, EntryId)>,
    proposed: Vec<Hash>,
    log_indexes: Vec<u64>,
}

impl Query {
    /// What to look for in this log.
    fn wanted(&self, app: &App) -> Result<Wanted, RetrieveError> {
        let tree = app.ledger.tree();
        let mut wanted = Wanted::default();
        for (text, id) in &self.ids {
            match id.tree.map(|prefix| prefix.tree_id().filter(|tree| tree.0 > 0)) {
                None => wanted.hashes.push(id.leaf_hash),
                Some(None) => return Err(RetrieveError::InvalidId(text.clone())),
                Some(Some(named)) if named == tree.id => wanted.hashes_first.push(id.leaf_hash),
                // A tree that is not of this log.
                Some(Some(_)) => {}
            }
        }
        wanted.hashes.extend(&self.proposed);
        // Log indexes below the first belong to no tree of this log.
        let indexes = self.log_indexes.iter().filter_map(|index| index.checked_sub(tree.first_log_index));
        wanted.indexes.extend(indexes.map(LeafIndex));
        Ok(wanted)
    }
}

/// What may be found, in the order of the answer.
#[derive(Debug, Default)]
struct Wanted {
    /// Leaf hashes of long IDs.
    hashes_first: Vec<Hash>,
    /// Leaf hashes of short IDs, then of proposals.
    hashes: Vec<Hash>,
    /// Leaf indexes.
    indexes: Vec<LeafIndex>,
}

impl Wanted {
    fn count(&self) -> usize {
        self.hashes_first.len() + self.hashes.len() + self.indexes.len()
    }

    async fn find(&self, app: &App, head: &Head) -> Result<Vec<LoggedEntry>, ReadError> {
        let hashes: Vec<Hash> = self.hashes_first.iter().chain(&self.hashes).copied().collect();
        let mut indexes = Vec::with_capacity(self.count());
        if !hashes.is_empty() {
            let found = app.ledger.find_leaves(head, &hashes).await?;
            let places: HashMap<Hash, LeafIndex> =
                found.iter().map(|found| (found.leaf_hash, found.leaf_index)).collect();
            indexes.extend(hashes.iter().filter_map(|hash| places.get(hash)));
        }
        indexes.extend(self.indexes.iter().filter(|index| index.0 < head.size.0));
        if indexes.is_empty() {
            return Ok(Vec::new());
        }
        app.ledger.entries(head, &indexes).await
    }
}

fn parse_entries(raw: &[&RawValue]) -> Result<Vec<ProposedEntry>, RetrieveError> {
    raw.iter()
        .enumerate()
        .map(|(position, raw)| {
            ProposedEntry::from_json(raw.get().as_bytes()).map_err(|refusal| RetrieveError::Entry { position, refusal })
        })
        .collect()
}

fn parse_ids(raw: FirstItems<Option<String>>) -> Result<Vec<(String, EntryId)>, ApiError> {
    let parse = |(position, text): (usize, Option<String>)| {
        let text = text.unwrap_or_default();
        match EntryId::parse(&text) {
            Some(id) => Ok((text, id)),
            None => {
                let message = format!("entryUUIDs.{position} in body should match '{PATTERN}'");
                Err(ApiError::validation(Validation::Pattern, message))
            }
        }
    };
    checked("entryUUIDs", raw)?.into_iter().enumerate().map(parse).collect()
}

fn parse_indexes(raw: FirstItems<Option<i64>>) -> Result<Vec<u64>, ApiError> {
    let parse = |(position, index): (usize, Option<i64>)| {
        // `null` is a zero to Rekor's decoder.
        u64::try_from(index.unwrap_or(0)).map_err(|_| {
            let message = format!("logIndexes.{position} in body should be greater than or equal to 0");
            ApiError::validation(Validation::Minimum, message)
        })
    };
    checked("logIndexes", raw)?.into_iter().enumerate().map(parse).collect()
}

/// The items of a list that has neither too few nor too many.
fn checked<T>(list: &str, FirstItems { items, has_more }: FirstItems<T>) -> Result<Vec<T>, ApiError> {
    if items.is_empty() {
        let message = format!("{list} in body should have at least 1 items");
        return Err(ApiError::validation(Validation::TooFewItems, message));
    }
    if has_more {
        let message = format!("{list} in body should have at most {MAX_RETRIEVE} items");
        return Err(ApiError::validation(Validation::TooManyItems, message));
    }
    Ok(items)
}

fn refusal_on_retrieve(position: usize, refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Json(reason) => ENTRY.refuse(reason),
        refusal @ Refusal::UnknownKind(_) => ENTRY.refuse(refusal),
        Refusal::Required(field) => {
            ApiError::validation(Validation::Required, format!("entries.{position}.{field} in body is required"))
        }
        Refusal::Pattern(message) => ApiError::validation(Validation::Pattern, format!("entries.{position}.{message}")),
        Refusal::Invalid(reason) => ApiError::handler(StatusCode::BAD_REQUEST, reason),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    fn parse(body: &str) -> Result<Query, RetrieveError> {
        Request::parse(body.as_bytes()).and_then(|request| request.check(UnixSeconds(0)))
    }

    async fn refusal(body: &str) -> (u16, String) {
        let response = parse(body).expect_err(body).into_response();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("in memory");
        (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    #[tokio::test]
    async fn validation_in_rekors_order_and_words() {
        for (body, code, message) in [
            ("", 602, "entry in body is required"),
            (r#"{"logIndexes":[],"entryUUIDs":[]}"#, 612, "entryUUIDs in body should have at least 1 items"),
            (r#"{"logIndexes":[]}"#, 612, "logIndexes in body should have at least 1 items"),
            (r#"{"logIndexes":[0,1,2,3,4,5,6,7,8,9,10]}"#, 611, "logIndexes in body should have at most 10 items"),
            (r#"{"logIndexes":[0,-1]}"#, 609, "logIndexes.1 in body should be greater than or equal to 0"),
            (
                r#"{"entryUUIDs":[null],"logIndexes":[-1]}"#,
                605,
                "entryUUIDs.0 in body should match '^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$'",
            ),
        ] {
            assert_eq!(refusal(body).await, (422, format!("{{\"code\":{code},\"message\":\"{message}\"}}")), "{body}");
        }
        for body in [
            "{",
            "[]",
            r#"{"logIndexes":[1.5]}"#,
            r#"{"logIndexes":["1"]}"#,
            r#"{"entryUUIDs":"x"}"#,
            r#"{"entries":{}}"#,
        ] {
            let (status, text) = refusal(body).await;
            assert_eq!(status, 400, "{body}");
            assert!(
                text.starts_with(r#"{"code":400,"message":"parsing entry body from \"\" failed, because "#),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn the_sum_of_the_lists_is_bounded() {
        let id = "f".repeat(64);
        let body = format!(r#"{{"logIndexes":[0,1,2,3,4,5],"entryUUIDs":["{id}","{id}","{id}","{id}","{id}"]}}"#);
        let expected = "{\"code\":422,\"message\":\"more than max allowed 10 entries in request\"}\n";
        assert_eq!(refusal(&body).await, (422, expected.to_owned()));
    }

    #[test]
    fn absent_null_and_empty() {
        for body in ["null", "{}", r#"{"entries":[],"logIndexes":null,"entryUUIDs":null}"#] {
            let query = parse(body).expect(body);
            assert!(query.ids.is_empty() && query.proposed.is_empty() && query.log_indexes.is_empty());
        }
        assert_eq!(parse(r#"{"LogIndexes":[null,7]}"#).expect("valid").log_indexes, [0, 7]);
    }
}
