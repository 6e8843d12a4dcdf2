//! The parameters that a search has in common with events: conditions on entries, and the length of a
//! page.

use entry::Attribute;

use crate::limits::{MAX_SEARCH_KEYS, MAX_SEARCH_PAGE};
use crate::v1::errors::{ApiError, Validation};

/// Digits of the digests that are searched for, by the name of the parameter.
const DIGESTS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// Returns the key texts of which an entry must have one, or `None` if the parameter is not a
/// condition on keys.
pub(crate) fn key_texts(name: &str, value: &str) -> Result<Option<Vec<String>>, ApiError> {
    let mut attributes = Attribute::ALL.into_iter();
    let texts = if let Some(attribute) = attributes.find(|attribute| attribute.name() == name) {
        let texts = attribute.key_texts(value);
        texts.map_err(|reason| {
            ApiError::validation(Validation::Pattern, format!("{name} in query: {reason}"))
        })?
    } else if let Some((_, digits)) = DIGESTS.into_iter().find(|(digest, _)| *digest == name) {
        vec![format!("{name}:{}", hex_digits(name, value, digits)?)]
    } else if name == "key" {
        // Kinds store a key's hash with or without the algorithm.
        let digits = hex_digits(name, value.strip_prefix("sha256:").unwrap_or(value), 64)?;
        vec![digits.to_owned(), format!("sha256:{digits}")]
    } else {
        return Ok(None);
    };
    Ok(Some(texts))
}

/// Fails if there are more conditions on keys than a request may have.
pub(crate) fn check_number(keys: &[Vec<String>]) -> Result<(), ApiError> {
    if keys.len() <= MAX_SEARCH_KEYS {
        return Ok(());
    }
    let message = "the query has too many conditions";
    Err(ApiError::validation(Validation::TooManyItems, message))
}

fn hex_digits<'v>(name: &str, value: &'v str, digits: usize) -> Result<&'v str, ApiError> {
    if value.len() == digits && value.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(value);
    }
    let message = format!("{name} in query should match '^[0-9a-fA-F]{{{digits}}}$'");
    Err(ApiError::validation(Validation::Pattern, message))
}

/// Returns the tags of a kind: of one version if it is named, else of all versions.
pub(crate) fn kinds(value: &str) -> Result<Vec<String>, ApiError> {
    let is_meant = |tag: &&str| *tag == value || tag.split(':').next() == Some(value);
    let tags: Vec<String> = entry::kind_tags()
        .filter(is_meant)
        .map(str::to_owned)
        .collect();
    if tags.is_empty() {
        let message = format!(
            "kind in query should be one of [{}]",
            entry::kind_names().join(" ")
        );
        return Err(ApiError::validation(Validation::Enum, message));
    }
    Ok(tags)
}

pub(crate) fn limit(value: &str) -> Result<u32, ApiError> {
    match value.parse() {
        Ok(limit @ 1..=MAX_SEARCH_PAGE) => Ok(limit),
        _ => {
            let message = format!("limit in query should be a number from 1 to {MAX_SEARCH_PAGE}");
            Err(ApiError::validation(Validation::Type, message))
        }
    }
}

/// Returns the refusal of a parameter that may be given once.
pub(crate) fn given_twice(name: &str) -> ApiError {
    let message = format!("{name} in query is given twice");
    ApiError::validation(Validation::Enum, message)
}

/// Returns the refusal of a parameter that `of` does not have. `own` names its parameters beside the
/// conditions.
pub(crate) fn unknown<const COUNT: usize>(
    name: &str,
    of: &str,
    own: [&'static str; COUNT],
) -> ApiError {
    let attributes = Attribute::ALL.map(Attribute::name);
    let digests = DIGESTS.map(|(name, _)| name);
    let known: Vec<&str> = attributes
        .into_iter()
        .chain(digests)
        .chain(["key", "kind"])
        .chain(own)
        .collect();
    let message = format!(
        "{name:?} is no parameter of {of}, which has [{}]",
        known.join(" ")
    );
    ApiError::validation(Validation::Enum, message)
}
