//! The errors of Rekor v2: `{"code":…,"message":…,"details":[]}` over HTTP, a status over gRPC. The
//! codes are gRPC's.

use axum::response::{IntoResponse, Response};
use host::{JSON, Outcome, Reason, Refusal};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use ledger::{AppendError, ReadError};
use serde::{Serialize, Serializer};
use tonic::{Code, Status};

use crate::admission::FOREIGN_PAGE;
use crate::failure::{NoLog, append_failure, read_failure};

/// The header that names an equal entry, in an answer that refuses a duplicate.
const X_LOG_INDEX: &str = "x-log-index";

/// Rekor v2's answer of a frozen log, in plain text.
const FROZEN: &str = "This log has been frozen, please switch to the latest log.\n";

/// An error of the v2 API.
#[derive(Debug)]
pub(crate) struct Error {
    status: StatusCode,
    code: Code,
    message: String,
    retry_after_seconds: Option<u64>,
    log_index: Option<u64>,
    refused: Option<Reason>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: i32,
    message: &'a str,
    details: [(); 0],
}

impl Error {
    fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after_seconds: None,
            log_index: None,
            refused: None,
        }
    }

    /// 400: the request is not valid.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
    }

    /// 404: not found.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, message)
    }

    /// 501: the route does not have this method. Rekor v2 answers the same.
    pub(crate) fn method() -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            Code::Unimplemented,
            "Method Not Allowed",
        )
    }

    /// 409: an equal entry is in the log.
    pub(crate) fn duplicate(log_index: u64) -> Self {
        let message = format!(
            "an equivalent entry already exists in the transparency log with index {log_index}"
        );
        Self {
            log_index: Some(log_index),
            ..Self::new(StatusCode::CONFLICT, Code::AlreadyExists, message)
        }
    }

    /// 501: this server does not have the operation, in the words of gRPC.
    pub(crate) fn switched_off(method: &str) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            Code::Unimplemented,
            format!("method {method} not implemented"),
        )
    }

    /// 403: a browser writes for a web page that may not write.
    pub(crate) fn foreign_page() -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::PermissionDenied, FOREIGN_PAGE)
    }

    /// 405: the tree of this host name accepts no entries any more, or this server accepts none.
    /// Rekor v2 with `--read-only` answers the same.
    pub(crate) fn frozen() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::Unimplemented,
            "log frozen",
        )
    }

    /// 504.
    pub(crate) fn timeout() -> Self {
        let error = Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            Code::DeadlineExceeded,
            "Gateway Timeout",
        );
        Self {
            refused: Some(Reason::TIMEOUT),
            ..error
        }
    }

    /// 500 after a panic.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::Internal,
            "internal server error",
        )
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

    /// The answer over gRPC.
    pub(crate) fn into_grpc_response(self) -> Response {
        let (refused, outcome) = (self.refused, Outcome(self.status));
        let mut response = Status::from(self).into_http();
        response.extensions_mut().insert(outcome);
        if let Some(reason) = refused {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

/// `{"code":…,"message":…,"details":[]}`.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Body {
            code: self.code as i32,
            message: &self.message,
            details: [],
        }
        .serialize(serializer)
    }
}

/// 404: the ledger has no log of this API.
impl From<NoLog> for Error {
    fn from(NoLog: NoLog) -> Self {
        Self::not_found("this ledger has no v2 log: use the Rekor v1 API")
    }
}

/// 400: an entry that the log does not accept.
impl From<entry::Refusal> for Error {
    fn from(refusal: entry::Refusal) -> Self {
        match refusal {
            entry::Refusal::Json(reason) => Self::invalid(format!("proto: {reason}")),
            refusal => Self::invalid(refusal.to_string()),
        }
    }
}

/// The refusals that both APIs share.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let Refusal {
            status,
            message,
            retry_after_seconds,
            reason: refused,
        } = refusal;
        let code = match status {
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::CONFLICT => Code::AlreadyExists,
            StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => Code::DeadlineExceeded,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            status if status.is_client_error() => Code::InvalidArgument,
            _ => Code::Internal,
        };
        Self {
            retry_after_seconds,
            refused,
            ..Self::new(status, code, message)
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        read_failure(&error).into()
    }
}

impl From<AppendError> for Error {
    fn from(error: AppendError) -> Self {
        let too_large =
            matches!(error, AppendError::LeafTooLarge { .. }).then(|| error.to_string());
        let error = Self::from(append_failure(error));
        too_large.map_or(error, Self::invalid)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let mut status = Self::new(error.code, error.message);
        if let Some(log_index) = error.log_index {
            status.metadata_mut().insert(X_LOG_INDEX, log_index.into());
        }
        status
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            return (self.status, FROZEN).into_response();
        }
        // Serialising a number and a string cannot fail; an empty body would still carry the
        // status.
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (self.status, [(CONTENT_TYPE, JSON)], body).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(log_index) = self.log_index {
            response
                .headers_mut()
                .insert(X_LOG_INDEX, HeaderValue::from(log_index));
        }
        if let Some(reason) = self.refused {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_duplicate_says_where_the_entry_is() {
        let response = Error::duplicate(34).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[X_LOG_INDEX]),
            (409, &HeaderValue::from(34))
        );
        let status = Status::from(Error::duplicate(34));
        assert_eq!(status.code(), Code::AlreadyExists);
        assert_eq!(status.metadata().get(X_LOG_INDEX).expect("the index"), "34");
    }

    #[test]
    fn what_the_apis_share_has_the_code_of_grpc() {
        for (error, status, code) in [
            (
                AppendError::Busy {
                    retry_after: Duration::ZERO,
                },
                503,
                Code::Unavailable,
            ),
            (
                AppendError::LeafTooLarge {
                    got: 70_000,
                    limit: 65_535,
                },
                400,
                Code::InvalidArgument,
            ),
            (AppendError::Stopping, 503, Code::Unavailable),
        ] {
            let error = Error::from(error);
            assert_eq!((error.status.as_u16(), error.code), (status, code));
            assert_eq!(error.retry_after_seconds.is_some(), status == 503);
        }
    }
}
