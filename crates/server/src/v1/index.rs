//! `POST /api/v1/index/retrieve`: the IDs of the entries that have certain index keys.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entry::Weight;
use host::{Reason, Share};
use http::{HeaderName, HeaderValue, StatusCode};
use ledger::{Hit, Log};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::email::is_mailbox;
use super::errors::{ApiError, Validation};
use super::json::{BodyName, Members};
use super::wire::json_within;
use crate::answer::search_room;
use crate::app::App;
use crate::entry_id::entry_id;
use crate::limits::{
    FEW_SEARCH_HITS, ID_ANSWER_BYTES, MAX_SEARCH_HITS, MAX_SUBJECT_CHARS, SEARCH_TIMEOUT,
};
use crate::verification::Work;

/// Set on an answer that shows only the newest [`MAX_SEARCH_HITS`] of more hits; its value is that
/// number.
pub const TRUNCATED: HeaderName = HeaderName::from_static("treehead-search-truncated");

/// The name of the body in messages.
const QUERY: BodyName = BodyName("query");

/// Rekor's pattern, as its message cites it. SHA-384 (96 digits) is found here besides.
const HASH_PATTERN: &str =
    "^(sha512:)?[0-9a-fA-F]{128}$|^(sha256:)?[0-9a-fA-F]{64}$|^(sha1:)?[0-9a-fA-F]{40}$";

/// The handler.
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let log = app.v1()?;
    let (parts, body) = request.into_parts();
    let body = app.bodies.read(&parts, body).await?;
    let search = app.verifier.run(body, Search::parse, Ok).await??;
    let (hits, room) = search.run(&app, log).await?;
    let shown = hits.iter().take(MAX_SEARCH_HITS as usize);
    let shown: Vec<String> = shown
        .map(|hit| entry_id(hit.tree_id, &hit.leaf_hash))
        .collect();
    let mut response = json_within(room, &shown);
    if shown.len() < hits.len() {
        response
            .headers_mut()
            .insert(TRUNCATED, HeaderValue::from(MAX_SEARCH_HITS));
    }
    Ok(response)
}

/// How the terms of a search combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    And,
    Or,
}

/// One term: an entry matches if it has any of these index keys.
type Term = Vec<String>;

/// A valid query.
#[derive(Debug)]
struct Search {
    operator: Operator,
    terms: Vec<Term>,
}

impl Work for Search {
    /// Nothing is left to check.
    fn weight(&self) -> Weight {
        Weight::Light
    }
}

impl Search {
    fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let members = QUERY.parse(body, &["email", "hash", "operator", "publicKey", "subject"])?;
        // Rekor binds everything before it validates anything.
        let email = text(&members, "email")?;
        let hash = text(&members, "hash")?;
        let operator = text(&members, "operator")?;
        let key = PublicKey::bind(&members)?;
        let subject = text(&members, "subject")?;

        let mut terms = Vec::new();
        // Rekor has this bound for `subject` only. Here it holds before anything else: an address,
        // valid or not, is kept or cited.
        at_most_subject_chars("email", email.as_deref())?;
        if let Some(email) = &email
            && !is_mailbox(email)
        {
            let message = format!("email in body must be of type email: {email:?}");
            return Err(ApiError::validation(Validation::Type, message));
        }
        terms.extend(
            hash.as_deref()
                .map(hash_key)
                .transpose()?
                .map(|key| vec![key]),
        );
        let operator = match operator.as_deref() {
            None | Some("or") => Operator::Or,
            Some("and") => Operator::And,
            Some(_) => {
                let message = "operator in body should be one of [and or]";
                return Err(ApiError::validation(Validation::Enum, message));
            }
        };
        let format = key.as_ref().map(PublicKey::valid_format).transpose()?;
        at_most_subject_chars("subject", subject.as_deref())?;
        if let (Some(key), Some(format)) = (&key, format) {
            terms.push(key.term(format)?);
        }
        terms.extend(
            [email, subject]
                .into_iter()
                .flatten()
                .map(|value| vec![value]),
        );
        Ok(Self { operator, terms })
    }

    /// Returns the keys that an entry must have: one of each list.
    fn keys(&self) -> Vec<Vec<String>> {
        match self.operator {
            Operator::Or => vec![self.terms.concat()],
            Operator::And => self.terms.clone(),
        }
    }

    /// Returns the matching entries, newest first, up to one more than is shown, and room to show
    /// them.
    async fn run(&self, app: &App, log: &Log) -> Result<(Vec<Hit>, Share), ApiError> {
        let mut room = search_room(app, ID_ANSWER_BYTES * u64::from(FEW_SEARCH_HITS)).await?;
        if self.terms.is_empty() {
            log.newest_shards().await?;
            return Ok((Vec::new(), room));
        }
        let search = ledger::Search {
            keys: self.keys(),
            ..ledger::Search::default()
        };
        let deadline = Instant::now() + SEARCH_TIMEOUT;
        let mut most = FEW_SEARCH_HITS as usize;
        // Each answer implies that no other entry matches, so it needs the newest head.
        let (shards, first) = log.search_newest(&search, None, FEW_SEARCH_HITS).await?;
        let (mut hits, mut below) = (first.entries, first.rest);
        loop {
            if below.is_none() || hits.len() > MAX_SEARCH_HITS as usize {
                return Ok((hits, room));
            }
            if Instant::now() > deadline {
                let message = "the search took too long; index/search answers in parts";
                return Err(ApiError::unavailable(
                    Reason::TIMEOUT,
                    message,
                    SEARCH_TIMEOUT.as_secs(),
                ));
            }
            if hits.len() == most {
                most = MAX_SEARCH_HITS as usize + 1;
                drop(room);
                room = search_room(app, ID_ANSWER_BYTES * u64::from(MAX_SEARCH_HITS)).await?;
            }
            let wanted = u32::try_from(most - hits.len()).unwrap_or(MAX_SEARCH_HITS);
            let found = log.search(&shards, &search, below, wanted).await?;
            hits.extend(found.entries);
            below = found.rest;
        }
    }
}

/// The `publicKey` member.
#[derive(Debug)]
struct PublicKey {
    format: Option<String>,
    content: Vec<u8>,
}

impl PublicKey {
    fn bind(members: &Members<'_>) -> Result<Option<Self>, ApiError> {
        let Some(raw) = QUERY.member::<&RawValue>(members, "publicKey")? else {
            return Ok(None);
        };
        let members = QUERY.parse(raw.get().as_bytes(), &["content", "format"])?;
        let format = text(&members, "format")?;
        let encoded = text(&members, "content")?
            .unwrap_or_default()
            .replace(['\r', '\n'], "");
        let content = STANDARD
            .decode(encoded)
            .map_err(|error| QUERY.refuse(format_args!("illegal base64 data: {error}")))?;
        Ok(Some(Self { format, content }))
    }

    fn valid_format(&self) -> Result<&str, ApiError> {
        let Some(format) = self.format.as_deref() else {
            let message = "publicKey.publicKey.format in body is required";
            return Err(ApiError::validation(Validation::Required, message));
        };
        if !entry::KEY_FORMATS.contains(&format) {
            let known = entry::KEY_FORMATS.join(" ");
            let message = format!("publicKey.publicKey.format in body should be one of [{known}]");
            return Err(ApiError::validation(Validation::Enum, message));
        }
        Ok(format)
    }

    /// Kinds store a key's hash with or without `sha256:` before it. Rekor looks for the bare one
    /// only and so misses DSSE and in-toto entries.
    fn term(&self, format: &str) -> Result<Term, ApiError> {
        let bare = entry::key_search_key(format, &self.content)
            .map_err(|refusal| ApiError::handler(StatusCode::BAD_REQUEST, refusal.to_string()))?;
        Ok(vec![format!("sha256:{bare}"), bare])
    }
}

/// Returns a text member, or `None` if it is absent or empty.
fn text(members: &Members<'_>, name: &str) -> Result<Option<String>, ApiError> {
    Ok(QUERY
        .member::<String>(members, name)?
        .filter(|text| !text.is_empty()))
}

fn at_most_subject_chars(name: &str, text: Option<&str>) -> Result<(), ApiError> {
    if text.is_some_and(|text| text.chars().count() > MAX_SUBJECT_CHARS) {
        let message = format!("{name} in body should be at most {MAX_SUBJECT_CHARS} chars long");
        return Err(ApiError::validation(Validation::TooLong, message));
    }
    Ok(())
}

/// Returns `<algorithm>:<hex>` in lower case. If the algorithm is not given, it follows from the
/// length.
fn hash_key(hash: &str) -> Result<String, ApiError> {
    let (prefix, digits) = hash
        .split_once(':')
        .map_or((None, hash), |(prefix, digits)| (Some(prefix), digits));
    let algorithm = match digits.len() {
        40 => "sha1",
        64 => "sha256",
        96 => "sha384",
        128 => "sha512",
        _ => "",
    };
    let is_hash = !algorithm.is_empty()
        && prefix.is_none_or(|prefix| prefix == algorithm)
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hash {
        let message = format!("hash in body should match '{HASH_PATTERN}'");
        return Err(ApiError::validation(Validation::Pattern, message));
    }
    Ok(format!("{algorithm}:{}", digits.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::response::IntoResponse as _;

    use super::*;

    async fn refusal(body: &str) -> (u16, String) {
        let response = Search::parse(body.as_bytes())
            .expect_err(body)
            .into_response();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX)
            .await
            .expect("in memory");
        (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    #[tokio::test]
    async fn validation_in_rekors_order_and_words() {
        for (body, code, message) in [
            ("", 602, "query in body is required".to_owned()),
            (
                r#"{"email":"x","hash":"y"}"#,
                601,
                r#"email in body must be of type email: \"x\""#.to_owned(),
            ),
            (
                r#"{"hash":"xyz","operator":"xor"}"#,
                605,
                format!("hash in body should match '{HASH_PATTERN}'"),
            ),
            (
                r#"{"operator":"xor"}"#,
                606,
                "operator in body should be one of [and or]".to_owned(),
            ),
            (
                r#"{"publicKey":{}}"#,
                602,
                "publicKey.publicKey.format in body is required".to_owned(),
            ),
            (
                r#"{"publicKey":{"format":"x"}}"#,
                606,
                "publicKey.publicKey.format in body should be one of [pgp x509 minisign ssh tuf]"
                    .to_owned(),
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
        let long = format!(r#"{{"subject":"{}"}}"#, "ü".repeat(513));
        let expected =
            "{\"code\":603,\"message\":\"subject in body should be at most 512 chars long\"}";
        assert_eq!(refusal(&long).await, (422, expected.to_owned()));
        assert!(
            Search::parse(format!(r#"{{"subject":"{}"}}"#, "ü".repeat(512)).as_bytes()).is_ok()
        );
        let long = format!(r#"{{"email":"{}@b"}}"#, "a".repeat(511));
        let expected =
            "{\"code\":603,\"message\":\"email in body should be at most 512 chars long\"}";
        assert_eq!(refusal(&long).await, (422, expected.to_owned()));
        for body in [
            "{",
            r#"{"email":7}"#,
            r#"{"publicKey":"x"}"#,
            r#"{"publicKey":{"format":"x509","content":"!"}}"#,
        ] {
            let (status, text) = refusal(body).await;
            assert_eq!(status, 400, "{body}");
            assert!(
                text.starts_with(
                    r#"{"code":400,"message":"parsing query body from \"\" failed, because "#
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn hashes_get_the_algorithm_of_their_length() {
        for (digits, algorithm) in [
            (40, "sha1"),
            (64, "sha256"),
            (96, "sha384"),
            (128, "sha512"),
        ] {
            let expected = format!("{algorithm}:{}", "a".repeat(digits));
            assert_eq!(hash_key(&"A".repeat(digits)).expect("bare"), expected);
            assert_eq!(
                hash_key(&format!("{algorithm}:{}", "a".repeat(digits))).expect("with prefix"),
                expected
            );
            assert!(
                hash_key(&format!("SHA256:{}", "a".repeat(digits))).is_err(),
                "the prefix is in lower case"
            );
        }
        for other in [
            "sha1:",
            &format!("sha1:{}", "a".repeat(64)),
            &"g".repeat(64),
            &format!(":{}", "a".repeat(64)),
        ] {
            assert!(hash_key(other).is_err(), "{other}");
        }
    }

    #[test]
    fn terms_combine() {
        let keys = |operator, terms: &[&[&str]]| {
            let terms = terms
                .iter()
                .map(|term| term.iter().map(|&key| key.to_owned()).collect())
                .collect();
            Search { operator, terms }.keys()
        };
        assert_eq!(
            keys(Operator::Or, &[&["a"], &["b", "c"]]),
            [vec!["a", "b", "c"]]
        );
        assert_eq!(
            keys(Operator::And, &[&["a"], &["b", "c"]]),
            [vec!["a"], vec!["b", "c"]]
        );
    }

    #[test]
    fn empty_texts_are_absent() {
        let search =
            Search::parse(br#"{"email":"","subject":"","hash":"","operator":"","publicKey":null}"#)
                .expect("valid");
        assert!(search.terms.is_empty());
        assert_eq!(search.operator, Operator::Or);
        let search =
            Search::parse(br#"{"email":"A@b","subject":"S","operator":"and"}"#).expect("valid");
        assert_eq!(search.terms, [["A@b"], ["S"]], "lower-cased by the ledger");
    }
}
