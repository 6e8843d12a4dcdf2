//! Observation of requests: the request id, the count of requests in flight, one line in the access
//! log, and the metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::response::Response;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::display;

use crate::limits::MAX_REQUEST_ID_BYTES;
use crate::metrics::{Metrics, UNMATCHED, method_label};
use crate::peer::Peer;
use crate::refusal::Reason;
use crate::route::{Outcome, Route, Visibility};

/// The header in which a request id is received and sent back, so that a client can name its
/// request to the readers of the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes request ids.
#[derive(Debug)]
pub struct RequestIds {
    instance: String,
    next: AtomicU64,
}

impl RequestIds {
    /// Makes ids that begin with `instance`.
    pub fn new(instance: String) -> Self {
        Self {
            instance,
            next: AtomicU64::new(1),
        }
    }

    /// Returns the client's id, cut to a length, if it sent one of visible ASCII; else a new one.
    /// So the id of a proxy is kept. A client that invents ids can confuse only its own requests,
    /// because the log names the address beside the id.
    fn of(&self, headers: &HeaderMap) -> String {
        let sent = headers
            .get(&REQUEST_ID)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        if sent.is_empty() || !sent.iter().all(u8::is_ascii_graphic) {
            return format!(
                "{}-{:x}",
                self.instance,
                self.next.fetch_add(1, Ordering::Relaxed)
            );
        }
        sent.iter()
            .take(MAX_REQUEST_ID_BYTES)
            .map(|&byte| char::from(byte))
            .collect()
    }
}

/// Observes the requests of a role.
#[derive(Debug)]
pub struct Observer {
    request_ids: RequestIds,
    metrics: Arc<Metrics>,
}

impl Observer {
    /// Makes an observer that counts in `metrics`.
    pub fn new(request_ids: RequestIds, metrics: Arc<Metrics>) -> Self {
        Self {
            request_ids,
            metrics,
        }
    }

    /// Observes a request and the answer of `next`.
    pub async fn observe<Answer: Future<Output = Response>>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> Answer,
    ) -> Response {
        // The span has the level of errors, so that every line logged in it carries the id.
        let id = self.request_ids.of(request.headers());
        let span = tracing::error_span!("request", id);
        let seen = Seen::new(&self.metrics, &request);
        async move {
            let mut response = next(request).await;
            if let Some(&reason) = response.extensions().get::<Reason>() {
                seen.metrics.refused(reason);
            }
            if seen.method == Method::HEAD {
                strip_body(&mut response);
            }
            if let Ok(id) = HeaderValue::try_from(id) {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            seen.answered(&response);
            response
        }
        .instrument(span)
        .await
    }
}

/// A request in flight. Dropped unanswered, the client went away.
struct Seen {
    metrics: Arc<Metrics>,
    started: Instant,
    method: Method,
    path: String,
    peer: Option<SocketAddr>,
    is_answered: bool,
}

impl Seen {
    fn new(metrics: &Arc<Metrics>, request: &Request) -> Self {
        metrics.requests_in_flight.inc();
        Self {
            metrics: Arc::clone(metrics),
            started: Instant::now(),
            method: request.method().clone(),
            // The path is without the query, which may hold a key.
            path: request.uri().path().to_owned(),
            peer: request.extensions().get().map(|Peer(address)| *address),
            is_answered: false,
        }
    }

    fn answered(mut self, response: &Response) {
        self.is_answered = true;
        let took = self.started.elapsed();
        let route = response.extensions().get::<Route>().copied();
        let status = response
            .extensions()
            .get::<Outcome>()
            .map_or(response.status(), |outcome| outcome.0);
        self.metrics
            .answer(route, method_label(&self.method), status, took);
        let (status, size) = (status.as_u16(), response.body().size_hint().exact());
        let (method, path, peer) = (&self.method, &self.path, self.peer.map(display));
        let duration = took.as_secs_f64();
        let is_shown = route.is_none_or(|route| route.visibility == Visibility::Info);
        let route = route.map_or(UNMATCHED, |route| route.path);
        if is_shown {
            tracing::info!(target: "access", %method, route, ?path, status, size, duration, peer, "request");
        } else {
            tracing::debug!(target: "access", %method, route, ?path, status, size, duration, peer, "request");
        }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.metrics.requests_in_flight.dec();
        if !self.is_answered {
            let (method, path, peer) = (&self.method, &self.path, self.peer.map(display));
            let duration = self.started.elapsed().as_secs_f64();
            tracing::info!(target: "access", %method, ?path, duration, peer, "request given up by the client");
        }
    }
}

/// An answer to HEAD says how long its body would be.
fn strip_body(response: &mut Response) {
    let body = std::mem::replace(response.body_mut(), Body::empty());
    if let Some(length) = body.size_hint().exact() {
        response
            .headers_mut()
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_over_or_made() {
        let ids = RequestIds::new("i".into());
        let of = |value: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(
                    REQUEST_ID,
                    HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
                );
            }
            ids.of(&headers)
        };
        assert_eq!(of(Some("abc-123")), "abc-123");
        assert_eq!(of(None), "i-1");
        assert_eq!(of(Some("")), "i-2");
        assert_eq!(
            of(Some("two words")),
            "i-3",
            "it could forge fields of a log line"
        );
        assert_eq!(of(Some("é")), "i-4");
        assert_eq!(of(Some(&"x".repeat(1000))).len(), MAX_REQUEST_ID_BYTES);
    }
}
