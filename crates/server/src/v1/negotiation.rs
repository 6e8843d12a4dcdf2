//! `Accept` and `Content-Type`, with Rekor's rules and texts.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use super::errors::ApiError;

/// The media type of a request without a `Content-Type`.
const DEFAULT_CONTENT_TYPE: &str = "application/octet-stream";

/// The one type of request bodies.
const REQUEST_TYPE: &str = "application/json";

/// Checks the `Content-Type` of a request that has a body.
///
/// # Errors
///
/// 400 for a header that is not a media type, 415 for any type but JSON.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let raw = headers
        .get(CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let text = raw
        .as_deref()
        .filter(|text| !text.is_empty())
        .unwrap_or(DEFAULT_CONTENT_TYPE);
    let media_type = media_type(text).map_err(|reason| {
        let message =
            format!("parsing Content-Type header from {text:?} failed, because mime: {reason}");
        ApiError::framework(StatusCode::BAD_REQUEST, message)
    })?;
    if media_type == REQUEST_TYPE {
        return Ok(());
    }
    let message =
        format!("unsupported media type {media_type:?}, only [{REQUEST_TYPE}] are allowed");
    Err(ApiError::framework(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        message,
    ))
}

/// Returns the best of `offers` for this `Accept`, or the first one if the header is absent.
///
/// # Errors
///
/// 406 if no offer is acceptable.
pub(crate) fn negotiate(
    headers: &HeaderMap,
    offers: &'static [&'static str],
) -> Result<&'static str, ApiError> {
    let mut ranges = Vec::new();
    for value in headers.get_all(ACCEPT) {
        let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        ranges.extend(value.split(',').filter_map(range));
    }
    let first = offers
        .first()
        .copied()
        .filter(|_| !headers.contains_key(ACCEPT));
    first.or_else(|| best(&ranges, offers)).ok_or_else(|| {
        let message = format!(
            "unsupported media type requested, only [{}] are available",
            offers.join(" ")
        );
        ApiError::framework(StatusCode::NOT_ACCEPTABLE, message)
    })
}

/// Highest quality first, then the more specific range, then the earlier offer.
fn best(ranges: &[Range], offers: &'static [&'static str]) -> Option<&'static str> {
    let mut best: Option<((f32, u8), &'static str)> = None;
    for &offer in offers {
        for range in ranges.iter().filter(|range| range.quality > 0.0) {
            let Some(specificity) = range.specificity_for(offer) else {
                continue;
            };
            let rank = (range.quality, specificity);
            if best.is_none_or(|(other, _)| rank > other) {
                best = Some((rank, offer));
            }
        }
    }
    best.map(|(_, offer)| offer)
}

/// One media range of an `Accept` header.
struct Range {
    value: String,
    quality: f32,
}

impl Range {
    fn specificity_for(&self, offer: &str) -> Option<u8> {
        if self.value == "*/*" {
            return Some(0);
        }
        match self.value.strip_suffix('*') {
            Some(prefix) if prefix.ends_with('/') => offer.starts_with(prefix).then_some(1),
            _ => (self.value == offer).then_some(2),
        }
    }
}

/// Parses one range. Returns `None` for an empty one. A quality that is not a number counts as 0.
fn range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let value = parts.next().filter(|value| !value.is_empty())?.to_owned();
    let quality = parts
        .find_map(|part| part.strip_prefix("q="))
        .map_or(1.0, |q| q.trim().parse().unwrap_or(0.0));
    Some(Range {
        value,
        quality: if (0.0..=1.0).contains(&quality) {
            quality
        } else {
            0.0
        },
    })
}

/// Returns the lower-cased type without its parameters, or the reason why the text is not a type
/// (RFC 2045 section 5.1).
fn media_type(text: &str) -> Result<String, &'static str> {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let essence = essence.trim().to_ascii_lowercase();
    let (main, sub) = essence
        .split_once('/')
        .map_or((essence.as_str(), None), |(main, sub)| (main, Some(sub)));
    if !main.starts_with(is_token) {
        return Err("no media type");
    }
    if !main.chars().all(is_token) {
        return Err("expected slash after first token");
    }
    if let Some(sub) = sub {
        if !sub.starts_with(is_token) {
            return Err("expected token after slash");
        }
        if !sub.chars().all(is_token) {
            return Err("unexpected content after media subtype");
        }
    }
    if !parameters_are_valid(parameters) {
        return Err("invalid media parameter");
    }
    Ok(essence)
}

/// `name=token` or `name="quoted"`, separated by `;`; empty ones only at the end.
fn parameters_are_valid(text: &str) -> bool {
    let mut rest = text.trim();
    while !rest.trim_matches([';', ' ', '\t']).is_empty() {
        let Some((name, value)) = rest.split_once('=') else {
            return false;
        };
        let name = name.trim();
        if name.is_empty() || !name.chars().all(is_token) {
            return false;
        }
        let Some(after) = after_value(value) else {
            return false;
        };
        rest = after.trim_start();
        match rest.strip_prefix(';') {
            Some(next) => rest = next.trim_start(),
            None if rest.is_empty() => {}
            None => return false,
        }
    }
    true
}

/// The text after a parameter value.
fn after_value(value: &str) -> Option<&str> {
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find(|c| !is_token(c)).unwrap_or(value.len());
        return (end > 0).then(|| &value[end..]);
    };
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(&quoted[at + 1..]),
            _ => {}
        }
    }
    None
}

/// Characters of an RFC 2045 token.
fn is_token(c: char) -> bool {
    c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: http::HeaderName, values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| {
                (
                    name.clone(),
                    HeaderValue::from_str(value).expect("a header value"),
                )
            })
            .collect()
    }

    #[test]
    fn accept() {
        const PEM_OR_JSON: &[&str] = &["application/x-pem-file", "application/json"];
        let chosen = |values: &[&str]| negotiate(&headers(ACCEPT, values), PEM_OR_JSON).ok();
        assert_eq!(chosen(&[]), Some("application/x-pem-file"));
        assert_eq!(chosen(&["*/*"]), Some("application/x-pem-file"));
        assert_eq!(chosen(&["application/*"]), Some("application/x-pem-file"));
        assert_eq!(chosen(&["application/json"]), Some("application/json"));
        assert_eq!(
            chosen(&["Application/JSON; charset=utf-8"]),
            Some("application/json")
        );
        assert_eq!(
            chosen(&["*/*;q=0.9, application/json"]),
            Some("application/json")
        );
        assert_eq!(
            chosen(&["*/*, application/json"]),
            Some("application/json"),
            "the more specific range"
        );
        assert_eq!(
            chosen(&["text/html", "application/json;q=0.1"]),
            Some("application/json")
        );
        assert_eq!(chosen(&["application/json;q=0"]), None);
        assert_eq!(chosen(&["application/json;q=x"]), None);
        assert_eq!(chosen(&["application/yaml"]), None);
        assert_eq!(chosen(&[""]), None, "an empty header accepts nothing");
        assert_eq!(
            negotiate(&headers(ACCEPT, &["text/html"]), PEM_OR_JSON)
                .expect_err("not offered")
                .body(),
            r#"{"code":406,"message":"unsupported media type requested, only [application/x-pem-file application/json] are available"}"#
        );
    }

    #[test]
    fn content_type() {
        let check = |values: &[&str]| {
            check_content_type(&headers(CONTENT_TYPE, values)).map_err(|error| error.body())
        };
        for accepted in [
            "application/json",
            "APPLICATION/Json",
            "application/json; charset=utf-8",
            "application/json;",
            "application/json; a=\"b;\\\"c\" ; d=e",
        ] {
            assert_eq!(check(&[accepted]), Ok(()), "{accepted}");
        }
        let refused = |media_type: &str| {
            Err(format!(
                r#"{{"code":415,"message":"unsupported media type \"{media_type}\", only [application/json] are allowed"}}"#
            ))
        };
        assert_eq!(check(&[]), refused("application/octet-stream"));
        assert_eq!(check(&["text/plain; charset=utf-8"]), refused("text/plain"));
        assert_eq!(check(&["*/*"]), refused("*/*"));
        assert_eq!(
            check(&["/;;"]),
            Err(r#"{"code":400,"message":"parsing Content-Type header from \"/;;\" failed, because mime: no media type"}"#.to_owned())
        );
        for garbage in [
            "application/",
            "a b/c",
            "application/json x",
            "application/json; x",
            "application/json; a=\"b",
            ";;",
        ] {
            assert!(
                check(&[garbage]).is_err_and(|body| body.starts_with(r#"{"code":400"#)),
                "{garbage}"
            );
        }
    }
}
