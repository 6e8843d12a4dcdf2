//! `POST /api/v1/index/lookup`, which Rekor does not have: the entries of all logs under each of many
//! search keys, in one request.
//!
//! A lock file or an audit asks for thousands of keys. Each key is looked up like that of a single
//! search; [`AHEAD`] of them at once, so that single searches wait behind few.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use entry::Weight;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use ledger::{Hits, Log, ReadError, Search, Shards};
use serde::Serialize;

use super::search::Entry;
use crate::answer::search_room;
use crate::app::App;
use crate::limits::{DEFAULT_LOOK_UP_HITS, HIT_ANSWER_BYTES, MAX_LOOK_UP_HITS, MAX_LOOK_UP_KEYS};
use crate::v1::errors::{ApiError, Validation};
use crate::v1::json::{BodyName, FirstItems};
use crate::v1::wire::json_within;
use crate::verification::Work;

/// The name of the body in messages.
const KEYS: BodyName = BodyName("keys");

/// Keys of one request that are looked up at once: as many as share one query of the database.
const AHEAD: usize = 16;

/// The handler.
pub(crate) async fn look_up(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let body = app.bodies.read(&parts, body).await?;
    let asked = app.verifier.run(body, Asked::parse, Ok).await??;
    let logs = asked.logs(&app)?;
    let most_hits = asked.keys.len() as u64 * u64::from(asked.limit) * logs.len() as u64;
    let room = search_room(&app, HIT_ANSWER_BYTES * most_hits).await?;
    let mut results: Vec<Found> = asked.keys.iter().map(|_| Found::default()).collect();
    for log in logs {
        // Each answer implies that no other entry has the key, so it needs the newest head.
        let shards = log.newest_shards().await?;
        let look_ups: Vec<_> = asked
            .keys
            .iter()
            .map(|key| asked.hits(log, &shards, key))
            .collect();
        let hits = stream::iter(look_ups).buffered(AHEAD);
        let hits: Vec<Hits> = hits.try_collect().await?;
        for (result, hits) in results.iter_mut().zip(hits) {
            result.add(log, &shards, hits);
        }
    }
    Ok(json_within(room, &Answer { results }))
}

/// A valid request.
struct Asked {
    keys: Vec<String>,
    /// The API of the only log to look in.
    log: Option<String>,
    /// Only entries below this log index.
    below: Option<u64>,
    /// Most hits of one key in one log.
    limit: u32,
}

impl Work for Asked {
    /// Nothing is left to check.
    fn weight(&self) -> Weight {
        Weight::Light
    }
}

impl Asked {
    fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let members = KEYS.parse(body, &["below", "keys", "limit", "log"])?;
        let keys: Option<FirstItems<String, MAX_LOOK_UP_KEYS>> = KEYS.member(&members, "keys")?;
        let required = || ApiError::validation(Validation::Required, "keys in body is required");
        let keys = keys.ok_or_else(required)?.checked("keys")?;
        let log: Option<String> = KEYS.member(&members, "log")?;
        let below: Option<u64> = KEYS.member(&members, "below")?;
        if below.is_some() && log.is_none() {
            let message = "log in body is required where below is given";
            return Err(ApiError::validation(Validation::Required, message));
        }
        let limit: Option<u32> = KEYS.member(&members, "limit")?;
        let limit = limit.unwrap_or(DEFAULT_LOOK_UP_HITS);
        let most = MAX_LOOK_UP_HITS / u32::try_from(keys.len()).unwrap_or(u32::MAX);
        if !(1..=most).contains(&limit) {
            let message =
                format!("limit in body should be at least 1, and at most {most} for so many keys");
            return Err(ApiError::validation(Validation::Minimum, message));
        }
        Ok(Self {
            keys,
            log,
            below,
            limit,
        })
    }

    /// Returns the logs to look in.
    fn logs<'a>(&self, app: &'a App) -> Result<Vec<&'a Log>, ApiError> {
        let is_asked = |log: &&Log| match &self.log {
            Some(name) => log.api().name == name,
            None => true,
        };
        let logs: Vec<&Log> = app.ledger.logs().iter().filter(is_asked).collect();
        if logs.is_empty() {
            let names = app.ledger.logs().iter().map(|log| log.api().name);
            let names = names.collect::<Vec<_>>().join(" ");
            let message = format!("log in body should be one of [{names}]");
            return Err(ApiError::validation(Validation::Enum, message));
        }
        Ok(logs)
    }

    /// Returns the newest hits of a key in a log, over all its trees.
    async fn hits(&self, log: &Log, shards: &Shards, key: &str) -> Result<Hits, ReadError> {
        let search = Search {
            keys: vec![vec![key.to_owned()]],
            ..Search::default()
        };
        let mut found = Hits {
            entries: Vec::new(),
            rest: Some(self.below.unwrap_or(u64::MAX)),
        };
        // A call looks in one tree, and says where the next one begins.
        while let Some(below) = found.rest {
            let missing = self.limit as usize - found.entries.len();
            let Some(missing) = u32::try_from(missing).ok().filter(|missing| *missing > 0) else {
                break;
            };
            let more = log.search(shards, &search, Some(below), missing).await?;
            found.entries.extend(more.entries);
            found.rest = more.rest;
        }
        Ok(found)
    }
}

/// The answer.
#[derive(Serialize)]
struct Answer {
    /// One for each key, in the order of the request.
    results: Vec<Found>,
}

/// The entries under one key.
#[derive(Default, Serialize)]
struct Found {
    /// The newest of each log first.
    entries: Vec<Entry>,
    /// For each log that has further ones, the log index below which they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    below: BTreeMap<&'static str, u64>,
}

impl Found {
    fn add(&mut self, log: &Log, shards: &Shards, hits: Hits) {
        let entries = hits.entries.into_iter();
        self.entries
            .extend(entries.map(|hit| Entry::new(log, shards, hit)));
        if let Some(below) = hits.rest {
            self.below.insert(log.api().name, below);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_keys_and_bounds() {
        let parse = |body: &str| Asked::parse(body.as_bytes());
        let asked = parse(r#"{"keys":["a","b"]}"#).expect("valid");
        assert_eq!(asked.keys, ["a", "b"]);
        assert_eq!((asked.limit, asked.below), (DEFAULT_LOOK_UP_HITS, None));
        let asked = parse(r#"{"keys":["a"],"log":"v2","below":7,"limit":4096}"#).expect("valid");
        assert_eq!((asked.limit, asked.below), (4096, Some(7)));
        let many = |count: usize| serde_json::json!({"keys": vec!["k"; count]}).to_string();
        assert!(parse(&many(MAX_LOOK_UP_KEYS)).is_ok());
        for refused in [
            "",
            "[]",
            "{}",
            r#"{"keys":[]}"#,
            r#"{"keys":[7]}"#,
            r#"{"keys":["a"],"below":1}"#,
            r#"{"keys":["a"],"limit":0}"#,
            r#"{"keys":["a"],"limit":4097}"#,
            r#"{"keys":["a","b"],"limit":2049}"#,
            &many(MAX_LOOK_UP_KEYS + 1),
        ] {
            assert!(parse(refused).is_err(), "{refused:.60}");
        }
    }
}
