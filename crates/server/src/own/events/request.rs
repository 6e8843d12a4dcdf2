//! The query of a request for events.

use http::{HeaderMap, HeaderName};
use ledger::Search;
use ledger::events::{Filter, Position};

use crate::limits::DEFAULT_SEARCH_PAGE;
use crate::own::search::conditions::{check_number, given_twice, key_texts, kinds, limit, unknown};
use crate::query::decode;
use crate::v1::errors::{ApiError, Validation};

/// The position in which a reader of Server-Sent Events was when its connection ended. A browser sends
/// it to the URL with which it began, so it goes before `after`.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The position before the first entry, in a word.
const START: &str = "start";

/// The events that are asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) filter: Filter,
    /// `None`: from now on.
    pub(super) after: Option<Position>,
    /// Events of a page.
    pub(super) limit: u32,
}

impl Asked {
    /// Reads a query as a search does: an unknown parameter is refused, because a misspelt condition
    /// would let everything through.
    pub(super) fn of(query: Option<&str>, headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut asked = Self {
            limit: DEFAULT_SEARCH_PAGE,
            ..Self::default()
        };
        let (mut search, mut given) = (Search::default(), Vec::new());
        let pairs = query.unwrap_or_default().split('&');
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            let (name, value) = (decode(name), decode(value));
            if let Some(texts) = key_texts(&name, &value)? {
                search.keys.push(texts);
                continue;
            }
            if given.contains(&name) {
                return Err(given_twice(&name));
            }
            match &*name {
                "kind" => search.kinds = kinds(&value)?,
                "after" => asked.after = Some(position("after in query", &value)?),
                "limit" => asked.limit = limit(&value)?,
                _ => return Err(unknown(&name, "events", ["after", "limit"])),
            }
            given.push(name);
        }
        check_number(&search.keys)?;
        asked.filter = Filter::of(&search);
        let last = headers.get(LAST_EVENT_ID);
        if let Some(last) = last.filter(|last| !last.is_empty()) {
            let text = String::from_utf8_lossy(last.as_bytes());
            asked.after = Some(position("Last-Event-ID in header", &text)?);
        }
        Ok(asked)
    }
}

fn position(of: &str, text: &str) -> Result<Position, ApiError> {
    if text == START {
        return Ok(Position::START);
    }
    text.parse().map_err(|_| {
        let message = format!("{of} is not one that this ledger gave, nor {START:?}");
        ApiError::validation(Validation::Pattern, message)
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(query: &str, last: Option<&'static str>) -> Result<Asked, String> {
        let mut headers = HeaderMap::new();
        if let Some(last) = last {
            headers.insert(LAST_EVENT_ID, HeaderValue::from_static(last));
        }
        Asked::of(Some(query), &headers).map_err(|error| error.body())
    }

    #[test]
    fn the_last_event_of_a_reader_goes_before_the_query() {
        let start = Some(Position::START);
        assert_eq!(asked("", None).expect("valid").after, None);
        assert_eq!(asked("after=", Some("")).expect("valid").after, None);
        for (query, last) in [("after=start", None), ("after=AQ", None), ("", Some("AQ"))] {
            assert_eq!(asked(query, last).expect("valid").after, start, "{query}");
        }
        let other = "AQAAAAAAAAABBQ";
        let both = asked("after=start", Some(other)).expect("valid");
        assert_eq!(both.after, other.parse().ok());
        assert!(asked("after=start", Some("x")).is_err());
    }

    #[test]
    fn conditions_are_those_of_a_search_without_times() {
        let filter = asked("subject=a&kind=dsse", None).expect("valid").filter;
        assert_ne!(filter, Filter::default());
        assert_eq!(asked("limit=7", None).expect("valid").limit, 7);
        for (query, code) in [
            ("after=x", 605),
            ("after=AQ&after=AQ", 606),
            ("since=0", 606),
            ("cursor=x", 606),
            ("limit=0", 601),
            ("kind=bogus", 606),
            ("key=x", 605),
            (&"commit=a&".repeat(17), 611),
        ] {
            let body = asked(query, None).expect_err(query);
            let begin = format!("{{\"code\":{code},");
            assert!(body.starts_with(&begin), "{query}: {body}");
        }
    }
}
