//! Catches the warning that a commit may come with.
//!
//! A commit whose wait for a synchronous standby was cancelled succeeds *with a WARNING*: it is
//! durable here and perhaps nowhere else. sqlx hands notices out as `tracing` events only, so the
//! commit runs under a subscriber that keeps them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// Target of sqlx's events for notices.
const NOTICE_TARGET: &str = "sqlx::postgres::notice";

/// Catches warnings. Lives as long as the connection, so that `tracing` does not re-evaluate all
/// call sites every round.
pub(super) struct NoticeTrap {
    dispatch: Dispatch,
    caught: Caught,
}

type Caught = Arc<Mutex<Option<String>>>;

impl NoticeTrap {
    pub(super) fn new() -> Self {
        let caught = Caught::default();
        Self {
            dispatch: Dispatch::new(Trap {
                caught: caught.clone(),
            }),
            caught,
        }
    }

    /// Runs a future; returns its output and the last warning that the server sent meanwhile.
    pub(super) async fn watch<F: Future>(&self, future: F) -> (F::Output, Option<String>) {
        take(&self.caught);
        let output = future.with_subscriber(self.dispatch.clone()).await;
        (output, take(&self.caught))
    }
}

fn take(caught: &Caught) -> Option<String> {
    caught.lock().unwrap_or_else(PoisonError::into_inner).take()
}

struct Trap {
    caught: Caught,
}

impl Subscriber for Trap {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == NOTICE_TARGET && *metadata.level() <= Level::WARN
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Message::default();
        event.record(&mut text);
        *self.caught.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.0);
    }

    // Spans are never enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
