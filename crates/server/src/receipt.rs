//! COSE receipts (RFC 9942): an entry's inclusion proof in CBOR, for whoever asks for an entry with
//! `Accept: application/cose`.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use ledger::{Log, LoggedEntry, ReadError};

use crate::lookup::Place;

/// The media type that asks for a receipt.
const COSE: &str = "application/cose";

/// The form in which a client wants to see an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryForm {
    /// JSON, as the API of the route has it.
    Json,
    /// A COSE receipt.
    Receipt,
}

impl EntryForm {
    /// Returns the form that `Accept` asks for. A client has to name the media type of receipts,
    /// because a range such as `*/*` means JSON, as in Rekor.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let ranges = headers.get_all(ACCEPT).iter();
        let is_asked = ranges
            .filter_map(|value| value.to_str().ok())
            .any(names_cose);
        if is_asked { Self::Receipt } else { Self::Json }
    }
}

impl<S: Sync> FromRequestParts<S> for EntryForm {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&head.headers))
    }
}

/// Returns whether a list of media ranges names receipts, with a quality above zero.
fn names_cose(ranges: &str) -> bool {
    ranges.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_cose = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(COSE));
        is_cose && parts.all(|part| !matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// Answers with the receipt of an entry, in the head of its place.
pub(crate) async fn show(
    log: &Log,
    place: &Place,
    entry: &LoggedEntry,
) -> Result<Response, ReadError> {
    let receipt = log
        .receipt(&place.head, entry.leaf_index, &entry.leaf_hash)
        .await?;
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static(tlog::RECEIPT_MEDIA_TYPE),
        ),
        (VARY, HeaderValue::from_name(ACCEPT)),
    ];
    Ok((headers, receipt).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_has_to_be_asked_for_by_name() {
        for (accept, form) in [
            ("application/cose", EntryForm::Receipt),
            (
                "Application/COSE; cose-type=\"cose-sign1\"",
                EntryForm::Receipt,
            ),
            (
                "application/json, application/cose;q=0.5",
                EntryForm::Receipt,
            ),
            ("application/cose;q=0", EntryForm::Json),
            ("application/*", EntryForm::Json),
            ("*/*", EntryForm::Json),
            ("application/cose-key", EntryForm::Json),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(EntryForm::of(&headers), form, "{accept}");
        }
        assert_eq!(EntryForm::of(&HeaderMap::new()), EntryForm::Json);
    }
}
