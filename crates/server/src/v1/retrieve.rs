//! `POST /api/v1/log/entries/retrieve`: up to ten entries by ID, by proposal or by log index.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use entry::{ProposedEntry, Refusal, UnixSeconds, Weight};
use http::StatusCode;
use ledger::{Log, ReadError, Shards, TreeId};
use serde_json::value::RawValue;
use tlog::{Hash, LeafIndex};

use super::entries::shown;
use super::errors::{ApiError, Validation};
use super::json::{BodyName, FirstItems};
use super::wire::json_within;
use crate::app::App;
use crate::entry_id::{EntryId, PATTERN, TreePrefix};
use crate::limits::MAX_RETRIEVE;
use crate::lookup::Place;
use crate::verification::Work;
use crate::{answer, lookup};

/// The name of the body in messages.
const ENTRY: BodyName = BodyName("entry");

type Items<T> = FirstItems<T, MAX_RETRIEVE>;

/// The handler. An entry that is absent is left out of the answer; that is not an error.
pub(crate) async fn retrieve(
    State(app): State<Arc<App>>,
    request: http::Request<Body>,
) -> Result<Response, ApiError> {
    let log = app.v1()?;
    let (parts, body) = request.into_parts();
    let body = app.bodies.read(&parts, body).await?;
    let now = app.now();
    let query = app
        .verifier
        .run(body, Request::parse, move |request: Request| {
            request.check(now)
        })
        .await??;
    let wanted = query.wanted()?;
    let look = |shards| wanted.find(log, shards);
    let found = lookup::until(log, look, |found| wanted.is_complete(found)).await?;
    // An entry may be in every shard and hardly ever is, so the room is for those that are there.
    let places: Vec<Place> = found.into_iter().map(|(_, place)| place).collect();
    let (room, entries) = answer::entries::<ApiError>(&app, log, &places).await?;
    let mut shown_entries = Vec::with_capacity(places.len());
    for (place, entry) in places.iter().zip(&entries) {
        let entry = shown(log, &place.head, entry, app.attestations).await?;
        shown_entries.push(entry);
    }
    Ok(json_within(room, &shown_entries))
}

/// A query as it was sent. Each part is valid by itself, and the proposals are not checked yet.
struct Request {
    ids: Vec<(String, EntryId)>,
    proposed: Vec<ProposedEntry>,
    log_indexes: Vec<u64>,
}

impl Work for Request {
    fn weight(&self) -> Weight {
        self.proposed
            .iter()
            .map(ProposedEntry::weight)
            .max()
            .unwrap_or(Weight::Light)
    }
}

impl Request {
    fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let members = ENTRY.parse(body, &["entries", "entryUUIDs", "logIndexes"])?;
        let raw_entries: Option<Items<&RawValue>> = ENTRY.member(&members, "entries")?;
        let raw_ids: Option<Items<Option<String>>> = ENTRY.member(&members, "entryUUIDs")?;
        let raw_indexes: Option<Items<Option<i64>>> = ENTRY.member(&members, "logIndexes")?;
        // An empty list of entries is the same as none.
        let entries = match raw_entries.filter(|entries| !entries.is_empty()) {
            Some(raw) => parse_entries(&raw.checked("entries")?)?,
            None => Vec::new(),
        };
        let ids = raw_ids.map(parse_ids).transpose()?.unwrap_or_default();
        let log_indexes = raw_indexes
            .map(parse_indexes)
            .transpose()?
            .unwrap_or_default();
        if entries.len() + ids.len() + log_indexes.len() > MAX_RETRIEVE {
            return Err(too_many());
        }
        Ok(Self {
            proposed: entries,
            ids,
            log_indexes,
        })
    }

    fn check(self, now: UnixSeconds) -> Result<Query, ApiError> {
        let proposed = self.proposed.into_iter().enumerate();
        let proposed = proposed.map(|(position, entry)| match entry.leaf_bytes_for_lookup(now) {
            Ok(leaf_bytes) => Ok(tlog::leaf_hash(&leaf_bytes)),
            Err(refusal) => Err(refusal_on_retrieve(position, refusal)),
        });
        Ok(Query {
            proposed: proposed.collect::<Result<_, _>>()?,
            ids: self.ids,
            log_indexes: self.log_indexes,
        })
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
    /// Returns what to look for, in the order of the answer: long IDs, short IDs, proposals, log
    /// indexes.
    fn wanted(&self) -> Result<Wanted, ApiError> {
        let (mut long, mut short) = (Vec::new(), Vec::new());
        for (text, id) in &self.ids {
            match id.tree.map(TreePrefix::tree_id) {
                None => short.push(Sought::Anywhere(id.leaf_hash)),
                Some(None) => return Err(invalid_id(text)),
                Some(Some(tree)) => long.push(Sought::Tree(tree, id.leaf_hash)),
            }
        }
        let proposed = self.proposed.iter().map(|hash| Sought::Anywhere(*hash));
        let indexes = self.log_indexes.iter().map(|index| Sought::Index(*index));
        Ok(Wanted(
            long.into_iter()
                .chain(short)
                .chain(proposed)
                .chain(indexes)
                .collect(),
        ))
    }
}

/// Where an entry may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sought {
    /// In one tree.
    Tree(TreeId, Hash),
    /// In any: each that has it gives one result.
    Anywhere(Hash),
    /// At a log index.
    Index(u64),
}

/// The place of an entry, with the number of what was looked for.
type Found = (usize, Place);

/// The entries to look for, in the order of the answer.
#[derive(Debug)]
struct Wanted(Vec<Sought>);

impl Wanted {
    /// Whether an entry was found for each.
    fn is_complete(&self, found: &[Found]) -> bool {
        (0..self.0.len()).all(|number| found.iter().any(|(of, _)| *of == number))
    }

    /// Fails if an entry that was not found was lost: it must not look as if it never was.
    fn check_not_lost(&self, shards: &Shards, found: &[Found]) -> Result<(), ReadError> {
        let is_found = |number| found.iter().any(|(of, _)| *of == number);
        let sought = self.0.iter().enumerate();
        for (_, sought) in sought.filter(|(number, _)| !is_found(*number)) {
            match sought {
                Sought::Index(log_index) => shards.check_index(*log_index)?,
                Sought::Tree(tree, _) => shards.check_tree(*tree)?,
                Sought::Anywhere(_) => {}
            }
        }
        Ok(())
    }

    /// Returns the places of the entries, in the order of the answer. If several trees have an
    /// entry, its place in the active tree is first.
    async fn find(&self, log: &Log, shards: Shards) -> Result<Vec<Found>, ReadError> {
        let mut found = Vec::with_capacity(self.0.len());
        for head in shards.active_first() {
            let hashes: Vec<Hash> = self
                .0
                .iter()
                .filter_map(|sought| sought.hash_in(head.tree.id))
                .collect();
            let mut indexes: HashMap<Hash, LeafIndex> = HashMap::new();
            if !hashes.is_empty() {
                let hits = log.find_leaves(head, &hashes).await?;
                indexes.extend(hits.iter().map(|hit| (hit.leaf_hash, hit.leaf_index)));
            }
            let index = |sought: &Sought| match sought {
                Sought::Index(log_index) => shards
                    .find(*log_index)
                    .filter(|(shard, _)| Arc::ptr_eq(shard, head))
                    .map(|(_, index)| index),
                sought => sought
                    .hash_in(head.tree.id)
                    .and_then(|hash| indexes.get(&hash).copied()),
            };
            let here = self.0.iter().enumerate();
            found.extend(here.filter_map(|(number, sought)| {
                let place = lookup::place_at(head, index(sought)?)?;
                Some((number, place))
            }));
        }
        found.sort_by_key(|(number, _)| *number);
        self.check_not_lost(&shards, &found)?;
        Ok(found)
    }
}

impl Sought {
    /// The leaf hash to look for in this tree.
    fn hash_in(self, tree: TreeId) -> Option<Hash> {
        match self {
            Self::Tree(named, hash) if named == tree => Some(hash),
            Self::Anywhere(hash) => Some(hash),
            _ => None,
        }
    }
}

fn parse_entries(raw: &[&RawValue]) -> Result<Vec<ProposedEntry>, ApiError> {
    raw.iter()
        .enumerate()
        .map(|(position, raw)| {
            // Rekor's decoder fails on it before anything is validated.
            if raw.get() == "null" {
                return Err(ENTRY.refuse("kind in body is required"));
            }
            ProposedEntry::from_json(raw.get().as_bytes())
                .map_err(|refusal| refusal_on_retrieve(position, refusal))
        })
        .collect()
}

fn parse_ids(raw: Items<Option<String>>) -> Result<Vec<(String, EntryId)>, ApiError> {
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
    raw.checked("entryUUIDs")?
        .into_iter()
        .enumerate()
        .map(parse)
        .collect()
}

fn parse_indexes(raw: Items<Option<i64>>) -> Result<Vec<u64>, ApiError> {
    let parse = |(position, index): (usize, Option<i64>)| {
        // `null` is a zero to Rekor's decoder.
        u64::try_from(index.unwrap_or(0)).map_err(|_| {
            let message =
                format!("logIndexes.{position} in body should be greater than or equal to 0");
            ApiError::validation(Validation::Minimum, message)
        })
    };
    raw.checked("logIndexes")?
        .into_iter()
        .enumerate()
        .map(parse)
        .collect()
}

fn too_many() -> ApiError {
    let message = format!("more than max allowed {MAX_RETRIEVE} entries in request");
    ApiError::handler(StatusCode::UNPROCESSABLE_ENTITY, message)
}

/// The refusal of an entry ID that names a tree which cannot be.
fn invalid_id(id: &str) -> ApiError {
    ApiError::handler(StatusCode::BAD_REQUEST, format!("invalid entryID {id}"))
}

fn refusal_on_retrieve(position: usize, refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Json(reason) => ENTRY.refuse(reason),
        refusal @ Refusal::UnknownKind(_) => ENTRY.refuse(refusal),
        Refusal::Required(field) => ApiError::validation(
            Validation::Required,
            format!("entries.{position}.{field} in body is required"),
        ),
        Refusal::Pattern(message) => {
            ApiError::validation(Validation::Pattern, format!("entries.{position}.{message}"))
        }
        Refusal::Invalid(reason) => ApiError::handler(StatusCode::BAD_REQUEST, reason),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::response::IntoResponse as _;

    use super::*;

    fn parse(body: &str) -> Result<Query, ApiError> {
        Request::parse(body.as_bytes()).and_then(|request| request.check(UnixSeconds(0)))
    }

    async fn refusal(body: &str) -> (u16, String) {
        let response = parse(body).expect_err(body).into_response();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX)
            .await
            .expect("in memory");
        (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    #[tokio::test]
    async fn validation_in_rekors_order_and_words() {
        for (body, code, message) in [
            ("", 602, "entry in body is required"),
            (
                r#"{"logIndexes":[],"entryUUIDs":[]}"#,
                612,
                "entryUUIDs in body should have at least 1 items",
            ),
            (
                r#"{"logIndexes":[]}"#,
                612,
                "logIndexes in body should have at least 1 items",
            ),
            (
                r#"{"logIndexes":[0,1,2,3,4,5,6,7,8,9,10]}"#,
                611,
                "logIndexes in body should have at most 10 items",
            ),
            (
                r#"{"logIndexes":[0,-1]}"#,
                609,
                "logIndexes.1 in body should be greater than or equal to 0",
            ),
            (
                r#"{"entryUUIDs":[null],"logIndexes":[-1]}"#,
                605,
                "entryUUIDs.0 in body should match '^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$'",
            ),
        ] {
            assert_eq!(
                refusal(body).await,
                (
                    422,
                    format!("{{\"code\":{code},\"message\":\"{message}\"}}")
                ),
                "{body}"
            );
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
                text.starts_with(
                    r#"{"code":400,"message":"parsing entry body from \"\" failed, because "#
                ),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn the_sum_of_the_lists_is_bounded() {
        let id = "f".repeat(64);
        let body = format!(
            r#"{{"logIndexes":[0,1,2,3,4,5],"entryUUIDs":["{id}","{id}","{id}","{id}","{id}"]}}"#
        );
        let expected =
            "{\"code\":422,\"message\":\"more than max allowed 10 entries in request\"}\n";
        assert_eq!(refusal(&body).await, (422, expected.to_owned()));
    }

    #[test]
    fn absent_null_and_empty() {
        for body in [
            "null",
            "{}",
            r#"{"entries":[],"logIndexes":null,"entryUUIDs":null}"#,
        ] {
            let query = parse(body).expect(body);
            assert!(
                query.ids.is_empty() && query.proposed.is_empty() && query.log_indexes.is_empty()
            );
        }
        assert_eq!(
            parse(r#"{"LogIndexes":[null,7]}"#)
                .expect("valid")
                .log_indexes,
            [0, 7]
        );
    }
}
