//! `GET /api/v1/index/search`, which Rekor does not have: the entries of all logs that meet several
//! conditions, newest first, in pages.
//!
//! A page is one bounded piece of work in each log. The hits are merged by their times.

pub(super) mod conditions;
mod cursor;
mod request;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures_util::future::try_join_all;
use ledger::{Hit, Log, ReadError, Shards, V1};
use serde::Serialize;

use cursor::Cursor;
use request::Request;

use crate::answer::search_room;
use crate::app::App;
use crate::entry_id::entry_id;
use crate::limits::HIT_ANSWER_BYTES;
use crate::v1::ApiError;
use crate::v1::wire::json_within;

/// The handler.
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let request = Request::parse(query.as_deref().unwrap_or_default())?;
    let room = search_room(&app, HIT_ANSWER_BYTES * u64::from(request.limit)).await?;
    let mut searches = Vec::new();
    for log in app.ledger.logs() {
        match &request.cursor {
            None => searches.push(search_in(log, &request, u64::MAX)),
            Some(cursor) => {
                let below = cursor.below(log.api().name);
                searches.extend(below.map(|below| search_in(log, &request, below)));
            }
        }
    }
    let parts = try_join_all(searches).await?;
    Ok(json_within(room, &page(parts, request.limit as usize)))
}

/// The part of one log in a page.
struct Part<L> {
    log: L,
    /// Newest first.
    hits: VecDeque<Hit>,
    /// All hits at or above this log index were shown.
    shown: u64,
    /// Where the log may have hits beyond these.
    rest: Option<u64>,
}

/// A log with its heads as of a search.
type Searched<'a> = (&'a Log, Shards);

async fn search_in<'a>(
    log: &'a Log,
    request: &Request,
    below: u64,
) -> Result<Part<Searched<'a>>, ReadError> {
    // Each answer implies that no other entry matches, so it needs the newest head.
    let (shards, found) = log
        .search_newest(&request.search, Some(below), request.limit)
        .await?;
    let newest = shards.active();
    // An entry that is appended later is not on a later page.
    let shown = below.min(newest.tree.first_log_index + newest.size.0);
    Ok(Part {
        log: (log, shards),
        hits: found.entries.into(),
        shown,
        rest: found.rest,
    })
}

impl<L> Part<L> {
    /// Whether the next hit of the log, if there is one, was not found yet.
    fn is_used_up(&self) -> bool {
        self.hits.is_empty() && self.rest.is_some()
    }

    /// Returns where the next page begins. `None` if all hits were shown.
    fn position(&self) -> Option<u64> {
        if self.hits.is_empty() {
            self.rest
        } else {
            Some(self.shown)
        }
    }
}

/// Takes the newest of the next hits of all parts, with the number of its part.
///
/// Returns `None` as well if a part has no hit left although its log may have more. Those may be
/// newer than the hits of the other parts, which therefore wait for the next page.
fn take_newest<L>(parts: &mut [Part<L>]) -> Option<(usize, Hit)> {
    if parts.iter().any(Part::is_used_up) {
        return None;
    }
    let next = parts.iter().enumerate().filter_map(|(number, part)| {
        let hit = part.hits.front()?;
        Some((hit.time, Reverse(number)))
    });
    let (_, Reverse(number)) = next.max()?;
    let part = &mut parts[number];
    let hit = part.hits.pop_front()?;
    part.shown = hit.log_index;
    Some((number, hit))
}

/// Merges the hits of all logs into one page.
fn page(mut parts: Vec<Part<Searched<'_>>>, limit: usize) -> Page {
    let mut entries = Vec::new();
    while entries.len() < limit
        && let Some((number, hit)) = take_newest(&mut parts)
    {
        let (log, shards) = &parts[number].log;
        entries.push(Entry::new(log, shards, hit));
    }
    let positions = parts.iter().filter_map(|part| {
        let (log, _) = part.log;
        Some((log.api().name.to_owned(), part.position()?))
    });
    let positions: Vec<_> = positions.collect();
    Page {
        cursor: (!positions.is_empty()).then(|| Cursor(positions).text()),
        entries,
    }
}

/// The answer.
#[derive(Serialize)]
struct Page {
    /// Leads to the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    entries: Vec<Entry>,
}

/// An entry that was found.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    api_version: String,
    integrated_time: i64,
    kind: String,
    leaf_index: u64,
    log: &'static str,
    log_index: u64,
    #[serde(rename = "treeID")]
    tree_id: String,
    /// The path that fetches the entry.
    url: String,
    uuid: String,
}

impl Entry {
    pub(super) fn new(log: &Log, shards: &Shards, hit: Hit) -> Self {
        let (kind, version) = hit.kind.split_once(':').unwrap_or((&hit.kind, ""));
        let tree = shards.of_tree(hit.tree_id);
        let leaf_index = hit.log_index - tree.map_or(0, |head| head.tree.first_log_index);
        let uuid = entry_id(hit.tree_id, &hit.leaf_hash);
        let url = if *log.api() == V1 {
            format!("/api/v1/log/entries/{uuid}")
        } else {
            format!("/trees/{}/entries/{leaf_index}", hit.tree_id)
        };
        Self {
            api_version: version.to_owned(),
            integrated_time: hit.time,
            kind: kind.to_owned(),
            leaf_index,
            log: log.api().name,
            log_index: hit.log_index,
            tree_id: hit.tree_id.to_string(),
            url,
            uuid,
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger::TreeId;
    use tlog::Hash;

    use super::*;

    fn part(hits: &[(u64, i64)], rest: Option<u64>) -> Part<()> {
        let hit = |&(log_index, time): &(u64, i64)| Hit {
            tree_id: TreeId(1),
            log_index,
            leaf_hash: Hash([0; 32]),
            time,
            kind: "k:1".to_owned(),
        };
        Part {
            log: (),
            hits: hits.iter().map(hit).collect(),
            shown: 100,
            rest,
        }
    }

    #[test]
    fn hits_of_all_logs_are_merged_by_time_and_each_log_continues_where_it_was_left() {
        let mut parts = [
            part(&[(9, 50), (7, 40), (6, 40), (5, 20)], None),
            part(&[(90, 45), (80, 40), (70, 30)], Some(65)),
            part(&[], None),
        ];
        let taken: Vec<_> = std::iter::from_fn(|| take_newest(&mut parts))
            .take(5)
            .map(|(number, hit)| (number, hit.log_index))
            .collect();
        assert_eq!(taken, [(0, 9), (1, 90), (0, 7), (0, 6), (1, 80)]);
        let positions = parts.each_ref().map(Part::position);
        assert_eq!(positions, [Some(6), Some(80), None]);
        assert_eq!(take_newest(&mut parts).map(|(number, _)| number), Some(1));
        assert!(take_newest(&mut parts).is_none(), "65 may be newer than 5");
        let positions = parts.each_ref().map(Part::position);
        assert_eq!(positions, [Some(6), Some(65), None]);
    }

    #[test]
    fn a_log_of_which_nothing_was_shown_begins_where_it_began() {
        let parts = [part(&[(9, 50)], None)];
        assert_eq!(parts[0].position(), Some(100));
    }
}
