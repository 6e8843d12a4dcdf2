//! Query parameters of a type, refused in Rekor's words.

use std::borrow::Cow;

use super::errors::{ApiError, Validation};
use crate::query::last;

/// Returns an integer of at least `minimum`, or `None` if it is absent.
///
/// # Errors
///
/// Not an int64 (601), below the minimum (609).
pub(crate) fn integer(
    query: Option<&str>,
    key: &str,
    minimum: i64,
) -> Result<Option<i64>, ApiError> {
    let Some(value) = last(query, key) else {
        return Ok(None);
    };
    let number: i64 = value.parse().map_err(|_| {
        ApiError::validation(
            Validation::Type,
            format!("{key} in query must be of type int64: {value:?}"),
        )
    })?;
    if number < minimum {
        let message = format!("{key} in query should be greater than or equal to {minimum}");
        return Err(ApiError::validation(Validation::Minimum, message));
    }
    Ok(Some(number))
}

/// As [`integer`], and present (602).
pub(crate) fn required_integer(
    query: Option<&str>,
    key: &str,
    minimum: i64,
) -> Result<i64, ApiError> {
    integer(query, key, minimum)?.ok_or_else(|| {
        ApiError::validation(Validation::Required, format!("{key} in query is required"))
    })
}

/// Returns the `treeID` parameter as text that matches `^[0-9]+$` (else 605), or `None` if it is
/// absent.
pub(crate) fn tree_id(query: Option<&str>) -> Result<Option<Cow<'_, str>>, ApiError> {
    let value = last(query, "treeID");
    if value
        .as_ref()
        .is_some_and(|value| !value.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err(ApiError::validation(
            Validation::Pattern,
            "treeID in query should match '^[0-9]+$'",
        ));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_fail_with_rekors_texts() {
        let body =
            |query| required_integer(Some(query), "logIndex", 0).map_err(|error| error.body());
        assert_eq!(body("logIndex=7"), Ok(7));
        assert_eq!(body("logIndex=%2B7"), Ok(7));
        assert_eq!(
            body(""),
            Err(r#"{"code":602,"message":"logIndex in query is required"}"#.to_owned())
        );
        assert_eq!(
            body("logIndex=abc"),
            Err(
                r#"{"code":601,"message":"logIndex in query must be of type int64: \"abc\""}"#
                    .to_owned()
            )
        );
        assert_eq!(
            body("logIndex=9223372036854775808"),
            Err(r#"{"code":601,"message":"logIndex in query must be of type int64: \"9223372036854775808\""}"#
                .to_owned())
        );
        assert_eq!(
            body("logIndex=-1"),
            Err(r#"{"code":609,"message":"logIndex in query should be greater than or equal to 0"}"#.to_owned())
        );
    }

    #[test]
    fn tree_ids_are_digits() {
        assert_eq!(
            tree_id(Some("treeID=12")).expect("digits").as_deref(),
            Some("12")
        );
        assert!(tree_id(Some("treeID=")).expect("absent").is_none());
        assert_eq!(
            tree_id(Some("treeID=-1")).expect_err("a sign").body(),
            r#"{"code":605,"message":"treeID in query should match '^[0-9]+$'"}"#
        );
    }
}
