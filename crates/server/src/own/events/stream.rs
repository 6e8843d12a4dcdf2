//! A stream of Server-Sent Events: an answer that goes on until its reader leaves, the server stops, or
//! the reader is too far behind.
//!
//! A piece is made when the connection has room for it, from the position of the reader. So a reader
//! that stalls has one piece in memory, and the connection ends it as it ends any answer that is not
//! received.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use host::{Address, Endless, Refusal, Taken};
use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderName, HeaderValue};
use ledger::ReadError;
use ledger::events::{EventPage, Reader};
use prometheus::IntGauge;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Shown, read_pages};
use crate::app::App;
use crate::failure::read_failure;
use crate::limits::{EVENTS_OF_A_PIECE, MAX_STREAM_BACKLOG};
use crate::metrics;

/// Longest silence. Proxies end a connection that is silent for a minute, and a reader that hears
/// nothing for longer than this knows that the connection is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Pause after a read that failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);

/// When a reader that found no place should try again: streams of others end now and then.
const RETRY_SECONDS: u64 = 30;

/// The time after which a browser connects again, in milliseconds: a restart takes about as long.
const RECONNECT_MILLIS: u64 = 2_000;

/// Keeps nginx from collecting pieces.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Begins a stream.
///
/// # Errors
///
/// 503 if there are too many.
pub(super) fn open(
    app: &Arc<App>,
    request: &Extensions,
    reader: Reader,
) -> Result<Response, Refusal> {
    let place = app.streams.try_take(Address::of(request), 1);
    let place = place.ok_or_else(|| {
        let message = "too many streams of events at once";
        Refusal::unavailable(metrics::STREAMS, message, RETRY_SECONDS)
    })?;
    let feed = Feed {
        app: Arc::clone(app),
        reader,
        state: State::Begins,
        next_beat: Instant::now(),
        fault: None,
        _open: Open::new(app.metrics.event_streams.clone(), place),
    };
    let pieces = unfold(feed, |mut feed| async {
        let piece = feed.piece().await?;
        Some((Ok::<_, Infallible>(Bytes::from(piece)), feed))
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ];
    let mut response = (headers, Body::from_stream(pieces)).into_response();
    response.extensions_mut().insert(Endless);
    Ok(response)
}

/// The place of a stream, and its share of the count.
struct Open {
    streams: IntGauge,
    _place: Taken,
}

impl Open {
    fn new(streams: IntGauge, place: Taken) -> Self {
        streams.inc();
        Self {
            streams,
            _place: place,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.streams.dec();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Begins,
    GoesOn,
    Ended,
}

/// One stream.
struct Feed {
    app: Arc<App>,
    reader: Reader,
    state: State,
    /// When the reader hears something at the latest.
    next_beat: Instant,
    /// Why the last read failed, if it did.
    fault: Option<String>,
    _open: Open,
}

impl Feed {
    /// Waits for the next piece of the stream. `None` ends it.
    async fn piece(&mut self) -> Option<String> {
        let piece = match self.state {
            State::Ended => return None,
            State::Begins => {
                self.state = State::GoesOn;
                // The reader has the position at once, also if nothing comes for a long time.
                format!("retry: {RECONNECT_MILLIS}\n{}", self.beat())
            }
            State::GoesOn => self.next().await,
        };
        self.next_beat = Instant::now() + HEARTBEAT;
        Some(piece)
    }

    async fn next(&mut self) -> String {
        loop {
            if let Some(piece) = self.without_events() {
                return piece;
            }
            match self.read().await {
                Some(Ok(page)) => {
                    self.fault = None;
                    if !page.events.is_empty() {
                        return self.text(page);
                    }
                    if !page.more {
                        self.pause(None).await;
                    }
                }
                Some(Err(error)) => {
                    self.note(&error);
                    self.pause(Some(FAILURE_PAUSE)).await;
                }
                None => {}
            }
        }
    }

    /// Returns a piece without events if it is time for one.
    fn without_events(&mut self) -> Option<String> {
        if self.app.stopping.is_cancelled() {
            self.state = State::Ended;
            return Some(": the server stops\n\n".to_owned());
        }
        let behind = self.reader.behind();
        if behind > MAX_STREAM_BACKLOG {
            self.state = State::Ended;
            return Some(format!("event: page\ndata: {}\n\n", read_pages(behind)));
        }
        (Instant::now() >= self.next_beat).then(|| self.beat())
    }

    /// Reads the next events. `None` if something else is to be said first: a read that waits for the
    /// database keeps no reader without a word, and no server from stopping.
    async fn read(&mut self) -> Option<Result<EventPage, ReadError>> {
        tokio::select! {
            biased;
            read = self.reader.read(EVENTS_OF_A_PIECE) => Some(read),
            () = sleep_until(self.next_beat) => None,
            () = self.app.stopping.cancelled() => None,
        }
    }

    /// Waits for news, or for a time, unless something else is to be said first.
    async fn pause(&mut self, time: Option<Duration>) {
        let over = async {
            match time {
                Some(time) => sleep(time).await,
                None => self.reader.wait().await,
            }
        };
        tokio::select! {
            () = over => {}
            () = sleep_until(self.next_beat) => {}
            () = self.app.stopping.cancelled() => {}
        }
    }

    fn text(&self, page: EventPage) -> String {
        let EventPage {
            before: mut position,
            events,
            ..
        } = page;
        let mut text = String::with_capacity(256 * events.len());
        for event in &events {
            position.pass(event);
            // Plain values always have a form in JSON.
            let data = serde_json::to_string(&Shown::new(event)).unwrap_or_default();
            // Writing to a string does not fail.
            let _: Result<(), _> = write!(text, "id: {position}\ndata: {data}\n\n");
        }
        self.app.metrics.events_sent.inc_by(events.len() as u64);
        text
    }

    /// Returns a comment with the position: a message without data, which a browser does not show.
    fn beat(&self) -> String {
        let state = match (&self.fault, self.halted()) {
            (Some(fault), _) => format!("the log cannot be read now: {fault}"),
            (None, Some(log)) => format!("the {log} log is read-only"),
            (None, None) => "heartbeat".to_owned(),
        };
        format!(": {state}\nid: {}\n\n", self.reader.position())
    }

    /// Returns the API of a log that is read-only because its database went back.
    fn halted(&self) -> Option<&'static str> {
        let logs = self.app.ledger.logs();
        let halted = logs.iter().find(|log| log.halted().is_some());
        halted.map(|log| log.api().name)
    }

    /// Notes a failed read, and logs the first one of several.
    fn note(&mut self, error: &ReadError) {
        if self.fault.is_none() {
            let message = read_failure(error).message;
            self.fault = Some(message.replace(char::is_control, " "));
        }
    }
}
