//! The query of a search.

use ledger::Search;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::conditions::{check_number, given_twice, key_texts, kinds, limit, unknown};
use super::cursor::Cursor;
use crate::limits::DEFAULT_SEARCH_PAGE;
use crate::query::decode;
use crate::v1::errors::{ApiError, Validation};

/// One page that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) search: Search,
    /// Where the previous page ended.
    pub(super) cursor: Option<Cursor>,
    pub(super) limit: u32,
}

impl Request {
    /// Parses a query. A parameter without a value counts as absent, as everywhere in this API.
    /// Unknown ones are refused here, because a search without a misspelt condition would find too
    /// much.
    pub(super) fn parse(query: &str) -> Result<Self, ApiError> {
        let mut request = Self {
            search: Search::default(),
            cursor: None,
            limit: DEFAULT_SEARCH_PAGE,
        };
        let mut given = Vec::new();
        let pairs = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            let (name, value) = (decode(name), decode(value));
            if !request.add_condition(&name, &value)? {
                if given.contains(&name) {
                    return Err(given_twice(&name));
                }
                request.set(&name, &value)?;
                given.push(name);
            }
        }
        check_number(&request.search.keys)?;
        Ok(request)
    }

    /// Adds a condition. There may be several, and all must hold. Returns false if the parameter is
    /// not a condition.
    fn add_condition(&mut self, name: &str, value: &str) -> Result<bool, ApiError> {
        let texts = key_texts(name, value)?;
        let is_condition = texts.is_some();
        self.search.keys.extend(texts);
        Ok(is_condition)
    }

    /// Sets a parameter that may be given once.
    fn set(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        match name {
            "kind" => self.search.kinds = kinds(value)?,
            "since" => self.search.since = Some(seconds(name, value)?),
            "until" => self.search.until = Some(seconds(name, value)?),
            "limit" => self.limit = limit(value)?,
            "cursor" => self.cursor = Some(cursor(value)?),
            _ => {
                let own = ["since", "until", "limit", "cursor"];
                return Err(unknown(name, "a search", own));
            }
        }
        Ok(())
    }
}

/// Parses Unix seconds or RFC 3339. A fraction of a second is rounded up, because entries have
/// whole seconds.
fn seconds(name: &str, value: &str) -> Result<i64, ApiError> {
    if let Ok(seconds) = value.parse() {
        return Ok(seconds);
    }
    // The plus of an offset is a space where it was not escaped.
    let time = OffsetDateTime::parse(&value.replace(' ', "+"), &Rfc3339).map_err(|_| {
        let message = format!("{name} in query must be of type date-time: {value:?}");
        ApiError::validation(Validation::Type, message)
    })?;
    Ok(time.unix_timestamp() + i64::from(time.nanosecond() > 0))
}

fn cursor(value: &str) -> Result<Cursor, ApiError> {
    Cursor::parse(value).ok_or_else(|| {
        let message = "cursor in query is not one that this ledger gave";
        ApiError::validation(Validation::Pattern, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_SEARCH_KEYS;

    fn parse(query: &str) -> Result<Request, String> {
        Request::parse(query).map_err(|error| error.body())
    }

    #[test]
    fn conditions_become_keys_of_which_one_each_is_needed() {
        let digest = "Ab".repeat(32);
        let query = format!(
            "subject=a%40b&key=sha256:{digest}&sha256={digest}&issuer=https://i&commit=&purl=pkg:npm/x@1"
        );
        let keys = parse(&query).expect("valid").search.keys;
        let expected = [
            vec!["a@b".to_owned(), "subject=a@b".to_owned()],
            vec![digest.clone(), format!("sha256:{digest}")],
            vec![format!("sha256:{digest}")],
            vec!["issuer=https://i".to_owned()],
            vec!["purl=pkg:npm/x@1".to_owned()],
        ];
        assert_eq!(keys, expected);
        assert!(parse("subject=a&subject=b").is_ok(), "both have to hold");
        assert!(parse(&"commit=a&".repeat(MAX_SEARCH_KEYS)).is_ok());
        assert!(
            parse(&"commit=a&".repeat(MAX_SEARCH_KEYS + 1))
                .unwrap_err()
                .contains("\"code\":611")
        );
    }

    #[test]
    fn the_rest_is_given_once() {
        let request =
            parse("kind=hashedrekord&since=1700000000&until=2026-11-26T01:00:00.5%2B01:00&limit=7")
                .expect("valid");
        assert!(
            request
                .search
                .kinds
                .contains(&"hashedrekord:0.0.1".to_owned())
        );
        assert_eq!(request.search.since, Some(1_700_000_000));
        assert_eq!(
            request.search.until,
            Some(1_795_651_201),
            "the end of the second"
        );
        assert_eq!(request.limit, 7);
        assert_eq!(
            parse("kind=hashedrekord:0.0.1")
                .expect("valid")
                .search
                .kinds,
            ["hashedrekord:0.0.1"]
        );
        assert_eq!(
            parse("until=2026-11-26T01:00:00+01:00")
                .expect("a plus")
                .search
                .until,
            Some(1_795_651_200)
        );
        assert_eq!(
            parse("").expect("everything"),
            parse("subject=").expect("as well")
        );
        for (query, code) in [
            ("limit=1&limit=2", 606),
            ("limit=0", 601),
            ("limit=1001", 601),
            ("limit=-1", 601),
            ("kind=bogus", 606),
            ("since=yesterday", 601),
            ("sha256=ab", 605),
            ("sha384=sha384:x", 605),
            ("key=x", 605),
            ("purl=npm/x", 605),
            ("cursor=x", 605),
            ("subjct=x", 606),
        ] {
            let body = parse(query).expect_err(query);
            assert!(
                body.starts_with(&format!("{{\"code\":{code},")),
                "{query}: {body}"
            );
        }
    }
}
