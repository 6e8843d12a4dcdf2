//! The error answers of the API: `{"code":…,"message":…}`.
//!
//! Rekor has two producers of this body. What its handlers write ends with a newline; what its
//! framework writes (routing, negotiation, binding, validation) does not, and its `code` may be an
//! internal 6xx one below HTTP 422.

use axum::response::{IntoResponse, Response};
use host::{JSON, Reason, Refusal};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use ledger::ReadError;
use serde::{Serialize, Serializer};

use crate::failure::{NoLog, read_failure};
use crate::limits::MAX_MESSAGE_BYTES;

/// Rekor's internal codes of validation failures; the HTTP status is 422.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validation {
    /// Wrong type or format.
    Type = 601,
    /// Required and absent.
    Required = 602,
    /// Too many characters.
    TooLong = 603,
    /// Does not match its pattern.
    Pattern = 605,
    /// Not one of the values allowed.
    Enum = 606,
    /// Below its minimum.
    Minimum = 609,
    /// A list with too many items.
    TooManyItems = 611,
    /// A list with too few items.
    TooFewItems = 612,
}

/// The part of Rekor that would have written the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Producer {
    /// Final newline.
    Handler,
    /// None.
    Framework,
}

/// An error answer.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: u16,
    message: String,
    producer: Producer,
    retry_after_seconds: Option<u64>,
    refused: Option<Reason>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: u16,
    message: &'a str,
}

impl ApiError {
    /// An error of a handler: `code` equals the status, final newline. A message beyond
    /// [`MAX_MESSAGE_BYTES`] is cut.
    pub(crate) fn handler(status: StatusCode, message: impl Into<String>) -> Self {
        let (code, mut message) = (status.as_u16(), message.into());
        if message.len() > MAX_MESSAGE_BYTES {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
            // What is cut off was as long as a body may be.
            message.shrink_to_fit();
        }
        Self {
            status,
            code,
            message,
            producer: Producer::Handler,
            retry_after_seconds: None,
            refused: None,
        }
    }

    /// An error of routing, negotiation or binding: `code` equals the status, no final newline.
    pub(crate) fn framework(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            producer: Producer::Framework,
            ..Self::handler(status, message)
        }
    }

    /// A failed validation: HTTP 422 with an internal code, no final newline.
    pub(crate) fn validation(code: Validation, message: impl Into<String>) -> Self {
        Self {
            code: code as u16,
            ..Self::framework(StatusCode::UNPROCESSABLE_ENTITY, message)
        }
    }

    /// 503 with `Retry-After`.
    pub(crate) fn unavailable(
        reason: Reason,
        message: impl Into<String>,
        retry_after_seconds: u64,
    ) -> Self {
        let error = Self::handler(StatusCode::SERVICE_UNAVAILABLE, message).because(reason);
        Self {
            retry_after_seconds: Some(retry_after_seconds.max(1)),
            ..error
        }
    }

    /// A refusal that Rekor's handlers would write.
    pub(crate) fn by_handler(refusal: Refusal) -> Self {
        let Refusal {
            status,
            message,
            retry_after_seconds,
            reason,
        } = refusal;
        Self {
            retry_after_seconds,
            refused: reason,
            ..Self::handler(status, message)
        }
    }

    /// The same, counted among the requests turned away.
    pub(crate) fn because(self, reason: Reason) -> Self {
        Self {
            refused: Some(reason),
            ..self
        }
    }

    /// 500 for a bug of ours, as Rekor answers after a panic.
    pub(crate) fn unknown() -> Self {
        Self::framework(StatusCode::INTERNAL_SERVER_ERROR, "Unknown error")
    }

    /// HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Seconds to wait before the request is repeated.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_seconds
    }

    /// Why it was turned away, if that was to keep bounds.
    pub(crate) fn refused(&self) -> Option<Reason> {
        self.refused
    }

    /// The JSON text.
    pub(crate) fn body(&self) -> String {
        // Serialising a number and a string cannot fail; an empty body would still carry the
        // status.
        let mut body = serde_json::to_string(self).unwrap_or_default();
        if self.producer == Producer::Handler {
            body.push('\n');
        }
        body
    }
}

/// `{"code":…,"message":…}`.
impl Serialize for ApiError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Body {
            code: self.code,
            message: &self.message,
        }
        .serialize(serializer)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, [(CONTENT_TYPE, JSON)], self.body()).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(reason) = self.refused {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

/// A refusal of the host, as Rekor's handlers write what may be repeated, and its framework all
/// else.
impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let Refusal {
            status,
            message,
            retry_after_seconds,
            reason,
        } = refusal;
        let error = match retry_after_seconds {
            Some(_) => Self::handler(status, message),
            None => Self::framework(status, message),
        };
        Self {
            retry_after_seconds,
            refused: reason,
            ..error
        }
    }
}

/// 501: the ledger has no log of this API.
impl From<NoLog> for ApiError {
    fn from(NoLog: NoLog) -> Self {
        let message = "this ledger has no v1 log: use the Rekor v2 API";
        Self::handler(StatusCode::NOT_IMPLEMENTED, message)
    }
}

/// A failed read. Rekor's handlers write it.
impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        Self::by_handler(read_failure(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_producer_decides_about_the_newline_and_html_is_not_escaped() {
        assert_eq!(
            ApiError::handler(StatusCode::BAD_REQUEST, "a <b> & \"c\"").body(),
            "{\"code\":400,\"message\":\"a <b> & \\\"c\\\"\"}\n"
        );
        assert_eq!(
            ApiError::framework(StatusCode::NOT_FOUND, "x").body(),
            "{\"code\":404,\"message\":\"x\"}"
        );
    }

    #[test]
    fn what_a_client_sent_is_not_sent_back_at_length() {
        let message =
            ApiError::handler(StatusCode::BAD_REQUEST, "ü".repeat(MAX_MESSAGE_BYTES)).message;
        assert_eq!(message, "ü".repeat(MAX_MESSAGE_BYTES / 2));
        let message = ApiError::handler(
            StatusCode::BAD_REQUEST,
            format!("x{}", "ü".repeat(MAX_MESSAGE_BYTES)),
        )
        .message;
        assert_eq!(
            message.len(),
            MAX_MESSAGE_BYTES - 1,
            "cut between characters"
        );
    }

    #[test]
    fn validation_has_http_422_and_its_own_code() {
        let error = ApiError::validation(Validation::Pattern, "x");
        assert_eq!(error.body(), "{\"code\":605,\"message\":\"x\"}");
        let response = error.into_response();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn unavailable_says_when_to_retry_and_never_after_zero_seconds() {
        let response = ApiError::unavailable(crate::metrics::QUEUE, "busy", 0).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }
}
