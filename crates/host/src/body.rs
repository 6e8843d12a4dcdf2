//! Request bodies. A body is admitted before it is read, bounded while it is read, and counted
//! until the work on it is done.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::limits::{
    ADMISSION_WAIT, DISCARD_FACTOR, DISCARD_TIMEOUT, LARGE_ADMISSION_WAIT, LARGE_REQUEST_TIMEOUT,
    Limits, REQUEST_TIMEOUT, SMALL_BODY_BYTES, SMALL_SHARE, WORKING_FACTOR,
};
use crate::memory::{Memory, Room};
use crate::metrics::BodyBytes;
use crate::peer::Address;
use crate::receive::{Failure, Pieces, Receiver};
use crate::refusal::{Reason, Refusal};

/// Length of the flag and the message length before each gRPC message.
pub const FRAME_HEADER_BYTES: usize = 5;

/// Reads request bodies within the limits. There is one per server.
pub struct Bodies {
    limit: u64,
    small: Memory,
    large: Memory,
}

/// A body with its room. The room is enough for the body and for the value decoded from it.
#[derive(Debug)]
pub struct Admitted {
    bytes: Bytes,
    room: Room,
}

/// A value decoded from a body, which was dropped.
#[derive(Debug)]
pub struct Decoded<T> {
    /// The value.
    pub value: T,
    /// Its room. The caller MUST keep it as long as it works on the value, or on anything made from
    /// it.
    pub room: Room,
}

impl Admitted {
    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the address of the client that sent it.
    pub fn address(&self) -> Address {
        self.room.address()
    }

    /// Returns the body and its room. The caller MUST keep the room as long as the body.
    pub fn into_parts(self) -> (Bytes, Room) {
        (self.bytes, self.room)
    }

    /// Decodes the body, drops it, and gives its part of the room back.
    ///
    /// # Errors
    ///
    /// Returns the error of `decode`. Then the whole room is given back.
    pub fn decode<T, E>(self, decode: impl FnOnce(&[u8]) -> Result<T, E>) -> Result<Decoded<T>, E> {
        let Self { bytes, mut room } = self;
        let value = decode(&bytes)?;
        room.shrink_to(bytes.len() as u64 * (WORKING_FACTOR - 1));
        Ok(Decoded { value, room })
    }
}

/// Whether a body of this length (`None`: unknown) is large. Large bodies wait in a line of their
/// own, and longer.
fn is_large(declared: Option<u64>) -> bool {
    declared.is_none_or(|length| length > SMALL_BODY_BYTES)
}

impl Bodies {
    /// Makes the memory for bodies, within `limits`.
    pub fn new(limits: &Limits, metrics: &BodyBytes) -> Self {
        let working = |bytes: u64| bytes.saturating_mul(WORKING_FACTOR);
        let small = (limits.body_bytes_in_flight / SMALL_SHARE).max(working(SMALL_BODY_BYTES));
        let large = limits
            .body_bytes_in_flight
            .saturating_sub(small)
            .max(working(limits.body_bytes));
        metrics
            .limit
            .set(i64::try_from(small.saturating_add(large)).unwrap_or(i64::MAX));
        let memory = |all, largest| Memory::new(all, working(largest), metrics.in_flight.clone());
        Self {
            limit: limits.body_bytes,
            small: memory(small, SMALL_BODY_BYTES),
            large: memory(large, limits.body_bytes),
        }
    }

    /// Reads a whole body. If its `Content-Length` is over the limit, it is refused unread.
    ///
    /// # Errors
    ///
    /// 415 for an encoded body, 413 over the limit, 503 if no memory came free in time, 408 for a
    /// slow sender, 400 for a broken one.
    pub async fn read(&self, head: &Parts, body: Body) -> Result<Admitted, Refusal> {
        let declared = content_length(&head.headers);
        let is_acceptable = check_encoding(&head.headers).and_then(|()| match declared {
            Some(length) if length > self.limit => Err(self.too_large()),
            _ => Ok(()),
        });
        if let Err(error) = is_acceptable {
            self.discard_rest(head, body).await;
            return Err(error);
        }
        let most = declared.unwrap_or(self.limit);
        let received = self
            .receiver(head, declared)
            .receive(&[], Pieces::of(body), most)
            .await;
        match received {
            Ok((bytes, room)) => Ok(Admitted { bytes, room }),
            Err(Failure::TooLarge(rest)) => {
                self.discard_rest(head, rest).await;
                Err(self.too_large())
            }
            Err(Failure::NoRoom(rest)) => {
                self.discard_rest(head, rest).await;
                Err(busy())
            }
            Err(Failure::Broken) => Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "the request body could not be read",
            )),
            Err(Failure::Slow) => Err(slow()),
        }
    }

    /// Reads a body of one gRPC frame. The frame's header says how long it is:
    /// [`FRAME_HEADER_BYTES`], of which the last four are the length of the message that follows.
    ///
    /// # Errors
    ///
    /// As [`Bodies::read`]. A body that is not one whole frame is broken.
    pub async fn read_frame(&self, head: &Parts, body: Body) -> Result<Admitted, Refusal> {
        let mut pieces = Pieces::of(body);
        let mut start = Vec::new();
        while start.len() < FRAME_HEADER_BYTES {
            let piece = pieces.next().await.map_err(broken_frame)?;
            start.extend_from_slice(&piece.ok_or_else(|| broken_frame(Failure::Broken))?);
        }
        let length = start
            .first_chunk()
            .map_or(0, |[_, length @ ..]: &[u8; 5]| u32::from_be_bytes(*length));
        let declared = FRAME_HEADER_BYTES as u64 + u64::from(length);
        if declared > self.limit {
            return Err(self.too_large());
        }
        let received = self
            .receiver(head, Some(declared))
            .receive(&start, pieces, declared)
            .await;
        let (bytes, room) = received.map_err(broken_frame)?;
        if bytes.len() as u64 == declared {
            Ok(Admitted { bytes, room })
        } else {
            Err(broken_frame(Failure::Broken))
        }
    }

    /// Returns the receiver for a body of this length (`None`: unknown).
    fn receiver(&self, head: &Parts, declared: Option<u64>) -> Receiver<'_> {
        let (memory, patience) = match is_large(declared) {
            true => (&self.large, LARGE_ADMISSION_WAIT),
            false => (&self.small, ADMISSION_WAIT),
        };
        Receiver::new(memory, Address::of(&head.extensions), patience)
    }

    fn too_large(&self) -> Refusal {
        let message = format!("Request Entity Too Large. Limit set to {}", self.limit);
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message).because(Reason::BODY_TOO_LARGE)
    }

    /// Drops the body of a request that was refused unread, so that a client that writes before it
    /// reads receives the refusal.
    pub async fn discard(&self, request: Request<Body>) {
        let (head, body) = request.into_parts();
        if !body.is_end_stream() {
            self.discard_rest(&head, body).await;
        }
    }

    /// Drops what the client still sends, in bounds. A client that waits for `100 Continue` has
    /// sent nothing, and is not asked to.
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
pub fn has_body(request: &Request<Body>) -> bool {
    !request.body().is_end_stream()
}

/// Returns how long a request may take until its answer is sent.
pub fn patience(request: &Request<Body>) -> Duration {
    match has_body(request) {
        true => patience_with(content_length(request.headers())),
        false => REQUEST_TIMEOUT,
    }
}

/// Returns how long a request with a body of this length (`None`: unknown) may take.
pub fn patience_with(declared: Option<u64>) -> Duration {
    if is_large(declared) {
        LARGE_REQUEST_TIMEOUT
    } else {
        REQUEST_TIMEOUT
    }
}

/// Returns the length that is known before the body is read. Beside a transfer encoding it is
/// ignored (RFC 9112 section 6.3): a client could declare one byte and send as many as it likes.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn busy() -> Refusal {
    Refusal::unavailable(
        Reason::BODY_BUDGET,
        "too many request bodies at once",
        ADMISSION_WAIT.as_secs(),
    )
}

fn slow() -> Refusal {
    let slow = Refusal::new(
        StatusCode::REQUEST_TIMEOUT,
        "the request body came too slowly",
    );
    slow.because(Reason::BODY_TIMEOUT)
}

fn broken_frame(failure: Failure) -> Refusal {
    match failure {
        Failure::Slow => slow(),
        Failure::NoRoom(_) => busy(),
        Failure::Broken | Failure::TooLarge(_) => Refusal::new(
            StatusCode::BAD_REQUEST,
            "the request body is not one gRPC message",
        ),
    }
}

/// Refuses encoded bodies: nothing is unpacked here, so they could only be misread.
fn check_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return Ok(());
    }
    let message = "request bodies are taken as they are, without a Content-Encoding";
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).because(Reason::ENCODING))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::limits::BODY_STEP_BYTES;

    const LIMIT: u64 = 200 * 1024;

    fn bodies() -> (Bodies, BodyBytes) {
        let limits = Limits {
            body_bytes: LIMIT,
            body_bytes_in_flight: 4 * LIMIT,
            ..Limits::default()
        };
        let metrics = BodyBytes::new(&prometheus::Registry::new()).expect("fresh names");
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
        Body::from_stream(stream::iter(
            (0..count).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; 1024]))),
        ))
    }

    #[tokio::test]
    async fn a_body_within_the_limit_is_read_and_counted_until_dropped() {
        let (bodies, metrics) = bodies();
        let admitted = bodies
            .read(&head(None), pieces(200))
            .await
            .expect("exactly the limit");
        assert_eq!(admitted.bytes().len() as u64, LIMIT);
        let held = |factor: u64| i64::try_from(factor * LIMIT).expect("small");
        assert_eq!(metrics.in_flight.get(), held(WORKING_FACTOR));
        let decoded = admitted
            .decode(|bytes| Ok::<_, ()>(bytes.len()))
            .expect("decoded");
        assert_eq!(
            (decoded.value as u64, metrics.in_flight.get()),
            (LIMIT, held(WORKING_FACTOR - 1))
        );
        drop(decoded);
        assert_eq!(metrics.in_flight.get(), 0);
    }

    #[tokio::test]
    async fn the_limit_is_in_the_refusal_whether_the_length_was_declared_or_not() {
        let (bodies, metrics) = bodies();
        let expected = "Request Entity Too Large. Limit set to 204800";
        let refusal = bodies
            .read(&head(None), pieces(201))
            .await
            .expect_err("over the limit");
        assert_eq!(refusal.message, expected);
        let refusal = bodies
            .read(&head(Some(LIMIT + 1)), Body::empty())
            .await
            .expect_err("over the limit");
        assert_eq!(refusal.message, expected);
        assert_eq!(metrics.in_flight.get(), 0);
    }

    #[tokio::test]
    async fn all_bodies_together_are_bounded_and_small_ones_still_get_in() {
        let (bodies, metrics) = bodies();
        let chunked = head(None);
        // 672 KiB for large ones: 272 for all, of which an address takes half, and a reserve of 400
        // for one of them.
        let whole = |count| bodies.read(&chunked, pieces(count));
        let held = [
            whole(60).await.expect("within half"),
            whole(200).await.expect("by the reserve"),
        ];
        let third = bodies.read(&chunked, pieces(60));
        tokio::pin!(third);
        assert!(
            futures_util::poll!(&mut third).is_pending(),
            "no room for a third one"
        );
        let small = bodies
            .read(&head(Some(1024)), pieces(1))
            .await
            .expect("a memory of its own");
        assert_eq!(small.bytes().len(), 1024);
        drop(held);
        assert!(third.await.is_ok(), "their room came back");
        assert!(metrics.in_flight.get() <= metrics.limit.get());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_announced_and_not_sent_holds_no_memory() {
        let (bodies, metrics) = bodies();
        for length in [None, Some(LIMIT), Some(SMALL_BODY_BYTES)] {
            let head = head(length);
            let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
            let reading = bodies.read(&head, silent);
            tokio::pin!(reading);
            assert!(futures_util::poll!(&mut reading).is_pending());
            let step = i64::try_from(WORKING_FACTOR * BODY_STEP_BYTES).expect("small");
            assert_eq!(metrics.in_flight.get(), step);
            assert!(
                reading.await.expect_err("it sends nothing").status == StatusCode::REQUEST_TIMEOUT
            );
        }
    }

    #[tokio::test]
    async fn encoded_bodies_are_refused() {
        let (bodies, _) = bodies();
        for (encoding, is_taken) in [
            ("identity", true),
            ("Identity", true),
            ("gzip", false),
            ("identity, gzip", false),
        ] {
            let mut head = head(Some(1024));
            head.headers
                .insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            let read = bodies.read(&head, pieces(1)).await;
            assert_eq!(
                read.as_ref().map_err(|refusal| refusal.status).err(),
                (!is_taken).then_some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            );
        }
    }

    #[tokio::test]
    async fn what_was_reserved_and_not_sent_is_given_back_at_once() {
        let (bodies, metrics) = bodies();
        let admitted = bodies.read(&head(None), pieces(1)).await.expect("small");
        assert_eq!(metrics.in_flight.get(), 2 * 1024);
        drop(admitted);
        assert_eq!(metrics.in_flight.get(), 0);
    }

    #[tokio::test]
    async fn a_length_beside_a_transfer_encoding_counts_for_nothing() {
        let (bodies, _) = bodies();
        let mut head = head(None);
        head.headers
            .insert(CONTENT_LENGTH, http::HeaderValue::from_static("1"));
        assert_eq!(
            bodies
                .read(&head, pieces(2))
                .await
                .expect("chunked")
                .bytes()
                .len(),
            2048
        );
    }

    #[tokio::test]
    async fn who_waits_for_continue_is_refused_unread() {
        let (bodies, _) = bodies();
        let mut head = head(Some(LIMIT + 1));
        head.headers
            .insert(EXPECT, http::HeaderValue::from_static("100-continue"));
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert!(
            bodies.read(&head, never).await.is_err(),
            "and at once: this test would hang"
        );
    }
}
