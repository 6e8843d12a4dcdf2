//! Request bodies: admitted before they are read, bounded while they are, and counted until the work on them is done.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::budget::{Budget, Share};
use crate::errors::ApiError;
use crate::limits::{
    ADMISSION_WAIT, BODY_PAUSE, BODY_TIMEOUT, DISCARD_FACTOR, DISCARD_TIMEOUT, LARGE_ADMISSION_WAIT,
    LARGE_REQUEST_TIMEOUT, REQUEST_TIMEOUT, SMALL_BODY_BYTES, SMALL_SHARE, WORKING_FACTOR,
};
use crate::metrics::{Metrics, Refused};
use crate::settings::Limits;

/// A flag and a length before each message of gRPC.
pub(crate) const FRAME_HEADER_BYTES: usize = 5;

/// Takes bodies in within the limits. One per server.
pub(crate) struct Bodies {
    limit: u64,
    small: Budget,
    large: Budget,
}

/// A body with its share of all bytes in flight, which is room for the body and for what is decoded from it.
#[derive(Debug)]
pub(crate) struct Admitted {
    bytes: Bytes,
    share: Share,
}

/// What was decoded from a body that is not needed any more.
#[derive(Debug)]
pub(crate) struct Decoded<T> {
    /// It.
    pub(crate) value: T,
    /// Its share: keep it as long as the value, or anything that was made from it, is worked on.
    pub(crate) share: Share,
}

impl Admitted {
    /// The body.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The body and its share, which whoever keeps the one MUST keep.
    pub(crate) fn into_parts(self) -> (Bytes, Share) {
        (self.bytes, self.share)
    }

    /// Decodes the body, drops it, and gives its part of the share back.
    pub(crate) fn decode<T>(self, decode: impl FnOnce(&[u8]) -> T) -> Decoded<T> {
        let Self { bytes, mut share } = self;
        let value = decode(&bytes);
        share.shrink_to(bytes.len() as u64 * (WORKING_FACTOR - 1));
        Decoded { value, share }
    }
}

/// Whether a body of this length, or of an unknown one, is large: it waits in a line of its own, and longer.
fn is_large(declared: Option<u64>) -> bool {
    declared.is_none_or(|length| length > SMALL_BODY_BYTES)
}

impl Bodies {
    pub(crate) fn new(limits: &Limits, metrics: &Metrics) -> Self {
        let working = |bytes: u64| bytes.saturating_mul(WORKING_FACTOR);
        let small = (limits.body_bytes_in_flight / SMALL_SHARE).max(working(SMALL_BODY_BYTES));
        let large = limits.body_bytes_in_flight.saturating_sub(small).max(working(limits.body_bytes));
        let budget = |bytes| Budget::new(bytes, metrics.body_bytes_in_flight.clone());
        Self { limit: limits.body_bytes, small: budget(small), large: budget(large) }
    }

    /// Reads a whole body.
    ///
    /// It is refused from its `Content-Length` alone if that is over the limit; where the length is unknown, the limit is
    /// reserved until the end of the body is seen.
    ///
    /// # Errors
    ///
    /// 413 over the limit, 503 if no share came free in time, 408 for a slow sender, 400 for a broken one.
    pub(crate) async fn read(&self, head: &Parts, body: Body) -> Result<Admitted, ApiError> {
        let declared = content_length(&head.headers);
        if declared.is_some_and(|length| length > self.limit) {
            self.discard_rest(head, body).await;
            return Err(self.too_large());
        }
        let Some(mut share) = self.share(declared).await else {
            self.discard_rest(head, body).await;
            return Err(busy());
        };
        let bytes = match timeout(BODY_TIMEOUT, collect(Vec::new(), body, declared, self.limit)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(ReadFailure::TooLarge(rest))) => {
                drop(share);
                self.discard_rest(head, rest).await;
                return Err(self.too_large());
            }
            Ok(Err(ReadFailure::Broken)) => {
                return Err(ApiError::framework(StatusCode::BAD_REQUEST, "the request body could not be read"));
            }
            Ok(Err(ReadFailure::Stalled)) | Err(_) => {
                let slow = ApiError::framework(StatusCode::REQUEST_TIMEOUT, "the request body came too slowly");
                return Err(slow.because(Refused::BodyTimeout));
            }
        };
        share.shrink_to(bytes.len() as u64 * WORKING_FACTOR);
        Ok(Admitted { bytes, share })
    }

    /// Reads a body of one gRPC frame, whose own header says how long it is: [`FRAME_HEADER_BYTES`], of which the last four are
    /// the length of the message that follows.
    ///
    /// # Errors
    ///
    /// As [`Bodies::read`]; a body that is no whole frame is broken.
    pub(crate) async fn read_frame(&self, mut body: Body) -> Result<Admitted, ApiError> {
        let broken = || ApiError::framework(StatusCode::BAD_REQUEST, "the request body is not one gRPC message");
        let slow = || {
            let slow = ApiError::framework(StatusCode::REQUEST_TIMEOUT, "the request body came too slowly");
            slow.because(Refused::BodyTimeout)
        };
        let beginning = async {
            let mut start = Vec::new();
            while start.len() < FRAME_HEADER_BYTES {
                let frame = timeout(BODY_PAUSE, body.frame()).await.map_err(|_| slow())?;
                let frame = frame.ok_or_else(broken)?.map_err(|_| broken())?;
                start.extend_from_slice(&frame.into_data().unwrap_or_default());
            }
            Ok(start)
        };
        let start: Vec<u8> = timeout(BODY_TIMEOUT, beginning).await.unwrap_or_else(|_| Err(slow()))?;
        let length = start.first_chunk().map_or(0, |[_, length @ ..]: &[u8; 5]| u32::from_be_bytes(*length));
        let declared = FRAME_HEADER_BYTES as u64 + u64::from(length);
        if declared > self.limit {
            return Err(self.too_large());
        }
        let Some(share) = self.share(Some(declared)).await else { return Err(busy()) };
        match timeout(BODY_TIMEOUT, collect(start, body, Some(declared), declared)).await {
            Ok(Ok(bytes)) if bytes.len() as u64 == declared => Ok(Admitted { bytes, share }),
            Ok(Ok(_) | Err(ReadFailure::Broken | ReadFailure::TooLarge(_))) => Err(broken()),
            Ok(Err(ReadFailure::Stalled)) | Err(_) => Err(slow()),
        }
    }

    /// What working on a body of this length takes of all bodies; none if it does not come free in time.
    async fn share(&self, declared: Option<u64>) -> Option<Share> {
        let (lane, patience) = match is_large(declared) {
            true => (&self.large, LARGE_ADMISSION_WAIT),
            false => (&self.small, ADMISSION_WAIT),
        };
        lane.admit_within(declared.unwrap_or(self.limit) * WORKING_FACTOR, patience).await
    }

    fn too_large(&self) -> ApiError {
        let message = format!("Request Entity Too Large. Limit set to {}", self.limit);
        ApiError::framework(StatusCode::PAYLOAD_TOO_LARGE, message).because(Refused::BodyTooLarge)
    }

    /// Drops the body of a request that is refused unread, so that a client that writes before it reads sees why.
    pub(crate) async fn discard(&self, request: Request<Body>) {
        let (head, body) = request.into_parts();
        if !body.is_end_stream() {
            self.discard_rest(&head, body).await;
        }
    }

    /// Drops what the client still sends, in bounds. A client that waits for `100 Continue` has sent nothing and is not asked to.
    async fn discard_rest(&self, head: &Parts, mut body: Body) {
        if head.headers.contains_key(EXPECT) {
            return;
        }
        let most = self.limit.saturating_mul(DISCARD_FACTOR);
        let dropped = async {
            let mut seen = 0;
            while let Some(Ok(frame)) = body.frame().await {
                seen += frame.data_ref().map_or(0, |data| data.len() as u64);
                if seen > most {
                    return;
                }
            }
        };
        // Whether it ended in time does not matter: the connection is closed if it did not.
        let _: Result<(), _> = timeout(DISCARD_TIMEOUT, dropped).await;
    }
}

/// Whether a request has a body at all. Over HTTP/2 no header has to say so.
pub(crate) fn has_body(request: &Request<Body>) -> bool {
    !request.body().is_end_stream()
}

/// How long a request may take, but for sending its answer.
pub(crate) fn patience(request: &Request<Body>) -> Duration {
    match has_body(request) {
        true => patience_with(content_length(request.headers())),
        false => REQUEST_TIMEOUT,
    }
}

/// The same for one with a body of this length, or of an unknown one.
pub(crate) fn patience_with(declared: Option<u64>) -> Duration {
    if is_large(declared) { LARGE_REQUEST_TIMEOUT } else { REQUEST_TIMEOUT }
}

/// The length that is known before the body is read. Beside a transfer encoding it counts for nothing (RFC 9112 section 6.3): a
/// client could declare one byte and send as many as it likes.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn busy() -> ApiError {
    ApiError::unavailable(Refused::BodyBudget, "too many request bodies at once", ADMISSION_WAIT.as_secs())
}

enum ReadFailure {
    TooLarge(Body),
    Broken,
    Stalled,
}

/// `bytes` are those that were read already.
async fn collect(mut bytes: Vec<u8>, mut body: Body, declared: Option<u64>, limit: u64) -> Result<Bytes, ReadFailure> {
    // Capacity that is not written to costs no memory, and a declared length was admitted.
    bytes.reserve(declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(0).saturating_sub(bytes.len()));
    loop {
        let frame = match timeout(BODY_PAUSE, body.frame()).await {
            Err(_) => return Err(ReadFailure::Stalled),
            Ok(None) => return Ok(Bytes::from(bytes)),
            Ok(Some(Err(_))) => return Err(ReadFailure::Broken),
            Ok(Some(Ok(frame))) => frame,
        };
        // Trailers carry nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() as u64 + data.len() as u64 > limit {
            return Err(ReadFailure::TooLarge(body));
        }
        bytes.extend_from_slice(&data);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    const LIMIT: u64 = 200 * 1024;

    fn bodies() -> (Bodies, Metrics) {
        let limits = Limits { body_bytes: LIMIT, body_bytes_in_flight: 4 * LIMIT, ..Limits::default() };
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("fresh names");
        (Bodies::new(&limits, &metrics), metrics)
    }

    fn head(length: Option<u64>) -> Parts {
        let builder = Request::post("/");
        let builder = match length {
            Some(length) => builder.header(CONTENT_LENGTH, length),
            None => builder.header("transfer-encoding", "chunked"),
        };
        builder.body(()).expect("a request").into_parts().0
    }

    fn pieces(count: usize) -> Body {
        Body::from_stream(stream::iter((0..count).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; 1024])))))
    }

    #[tokio::test]
    async fn a_body_within_the_limit_is_read_and_counted_until_dropped() {
        let (bodies, metrics) = bodies();
        let admitted = bodies.read(&head(None), pieces(200)).await.expect("exactly the limit");
        assert_eq!(admitted.bytes().len() as u64, LIMIT);
        let held = |factor: u64| i64::try_from(factor * LIMIT).expect("small");
        assert_eq!(metrics.body_bytes_in_flight.get(), held(WORKING_FACTOR));
        let decoded = admitted.decode(<[u8]>::len);
        assert_eq!((decoded.value as u64, metrics.body_bytes_in_flight.get()), (LIMIT, held(WORKING_FACTOR - 1)));
        drop(decoded);
        assert_eq!(metrics.body_bytes_in_flight.get(), 0);
    }

    #[tokio::test]
    async fn the_limit_is_in_the_refusal_whether_the_length_was_declared_or_not() {
        let (bodies, metrics) = bodies();
        let expected = r#"{"code":413,"message":"Request Entity Too Large. Limit set to 204800"}"#;
        let refusal = bodies.read(&head(None), pieces(201)).await.expect_err("over the limit");
        assert_eq!(refusal.body(), expected);
        let refusal = bodies.read(&head(Some(LIMIT + 1)), Body::empty()).await.expect_err("over the limit");
        assert_eq!(refusal.body(), expected);
        assert_eq!(metrics.body_bytes_in_flight.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn all_bodies_together_are_bounded_and_small_ones_still_get_in() {
        let (bodies, _) = bodies();
        // The large lane has 672 KiB: one body of unknown length reserves 400 of them until it ends.
        let stalled = head(None);
        let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let holder = bodies.read(&stalled, silent);
        tokio::pin!(holder);
        assert!(futures_util::poll!(&mut holder).is_pending());
        let other = head(None);
        let second = bodies.read(&other, pieces(1));
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending(), "no room for a second one");
        let small = bodies.read(&head(Some(1024)), pieces(1)).await.expect("a lane of its own");
        assert_eq!(small.bytes().len(), 1024);
        assert!(holder.await.expect_err("it sends nothing").body().contains("408"));
        assert!(second.await.is_ok(), "its share came back");
    }

    #[tokio::test]
    async fn what_was_reserved_and_not_sent_is_given_back_at_once() {
        let (bodies, metrics) = bodies();
        let admitted = bodies.read(&head(None), pieces(1)).await.expect("small");
        assert_eq!(metrics.body_bytes_in_flight.get(), 2 * 1024);
        drop(admitted);
        assert_eq!(metrics.body_bytes_in_flight.get(), 0);
    }

    #[tokio::test]
    async fn a_length_beside_a_transfer_encoding_reserves_as_if_it_were_not_there() {
        let (bodies, metrics) = bodies();
        let mut head = head(None);
        head.headers.insert(CONTENT_LENGTH, http::HeaderValue::from_static("1"));
        let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let reading = bodies.read(&head, silent);
        tokio::pin!(reading);
        assert!(futures_util::poll!(&mut reading).is_pending());
        assert_eq!(metrics.body_bytes_in_flight.get(), i64::try_from(WORKING_FACTOR * LIMIT).expect("small"));
    }

    #[tokio::test]
    async fn who_waits_for_continue_is_refused_unread() {
        let (bodies, _) = bodies();
        let mut head = head(Some(LIMIT + 1));
        head.headers.insert(EXPECT, http::HeaderValue::from_static("100-continue"));
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert!(bodies.read(&head, never).await.is_err(), "and at once: this test would hang");
    }
}
