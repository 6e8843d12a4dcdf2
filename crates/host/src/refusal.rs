//! Refusals: the error answers of the host, `{"code":…,"message":…}`.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// Content type of every JSON answer: exactly this, no charset.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The reason of a refusal that keeps a bound. A role may have reasons of its own; see
/// [`crate::refused_requests`].
///
/// In the extensions of an answer, it makes [`crate::Observer`] count the request as refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason(&'static str);

impl Reason {
    /// 413.
    pub const BODY_TOO_LARGE: Self = Self("body-too-large");
    /// 503: no memory for a request body.
    pub const BODY_BUDGET: Self = Self("body-budget");
    /// 408.
    pub const BODY_TIMEOUT: Self = Self("body-timeout");
    /// 503: no memory for an answer.
    pub const ANSWER_BUDGET: Self = Self("answer-budget");
    /// 503: the listener already works on as many requests as it may.
    pub const REQUESTS: Self = Self("requests");
    /// 504: it took too long.
    pub const TIMEOUT: Self = Self("timeout");
    /// 414.
    pub const URI: Self = Self("uri");
    /// 400: the Host header is absent, malformed or repeated.
    pub const HOST: Self = Self("host");
    /// 417.
    pub const EXPECT: Self = Self("expect");
    /// 415: an encoded body.
    pub const ENCODING: Self = Self("encoding");

    /// The reasons of every role.
    pub const COMMON: [Self; 10] = [
        Self::BODY_TOO_LARGE,
        Self::BODY_BUDGET,
        Self::BODY_TIMEOUT,
        Self::ANSWER_BUDGET,
        Self::REQUESTS,
        Self::TIMEOUT,
        Self::URI,
        Self::HOST,
        Self::EXPECT,
        Self::ENCODING,
    ];

    /// Makes a reason that only one role has.
    pub const fn new(label: &'static str) -> Self {
        Self(label)
    }

    /// Returns the value of the label `reason`.
    pub fn label(self) -> &'static str {
        self.0
    }
}

/// A refusal of a request. The text is for the client.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// A sentence for the client.
    pub message: String,
    /// Seconds to wait before the request is repeated, at least 1.
    pub retry_after_seconds: Option<u64>,
    /// The bound that the refusal keeps.
    pub reason: Option<Reason>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: u16,
    message: &'a str,
}

impl Refusal {
    /// Makes a refusal that a retry would get again.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after_seconds: None,
            reason: None,
        }
    }

    /// 503 with `Retry-After`.
    pub fn unavailable(
        reason: Reason,
        message: impl Into<String>,
        retry_after_seconds: u64,
    ) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, message).because(reason);
        Self {
            retry_after_seconds: Some(retry_after_seconds.max(1)),
            ..refusal
        }
    }

    /// 500 for a bug of this program.
    pub fn unknown() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Unknown error")
    }

    /// Returns the refusal, counted under a reason.
    pub fn because(self, reason: Reason) -> Self {
        Self {
            reason: Some(reason),
            ..self
        }
    }
}

/// The body ends with a line end if the request may be retried, and without one if not. Clients
/// know both forms.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Body {
            code: self.status.as_u16(),
            message: &self.message,
        };
        // Serialising a number and a string cannot fail; an empty body would still carry the
        // status.
        let mut body = serde_json::to_string(&body).unwrap_or_default();
        if self.retry_after_seconds.is_some() {
            body.push('\n');
        }
        let mut response = (self.status, [(CONTENT_TYPE, JSON)], body).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn only_what_may_be_repeated_ends_with_a_line_end_and_a_time() {
        let refusal =
            Refusal::new(StatusCode::EXPECTATION_FAILED, "a <b> & \"c\"").because(Reason::EXPECT);
        for (refusal, seconds, body) in [
            (
                refusal,
                None,
                "{\"code\":417,\"message\":\"a <b> & \\\"c\\\"\"}",
            ),
            (
                Refusal::unavailable(Reason::REQUESTS, "busy", 0),
                Some("1"),
                "{\"code\":503,\"message\":\"busy\"}\n",
            ),
        ] {
            let (head, text) = refusal.into_response().into_parts();
            assert_eq!(
                head.headers
                    .get(RETRY_AFTER)
                    .map(|value| value.to_str().expect("digits")),
                seconds
            );
            assert!(head.extensions.get::<Reason>().is_some());
            assert_eq!(text.collect().await.expect("in memory").to_bytes(), body);
        }
    }
}
