//! The other servers of the database, as this one sees their rows. [`crate::presence`] has the
//! argument.
//!
//! All times here are of this server's boot clock; see [`crate::Clock::since_boot`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::store::ServerRow;

/// How long a row that was not removed counts as a neighbour after it was last seen to change.
const SERVES_FOR: Duration = Duration::from_secs(60 * 60);

/// The result of the newest look for neighbours.
#[derive(Default)]
pub(crate) struct Neighbours {
    /// Until then no other server serves; `None` if one may.
    absent_until: Mutex<Option<Duration>>,
}

impl Neighbours {
    pub(crate) fn set_absent_until(&self, until: Option<Duration>) {
        // One value, written whole: a panic elsewhere does not spoil it.
        *self
            .absent_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = until;
    }

    pub(crate) fn are_absent(&self, now: Duration) -> bool {
        let until = *self
            .absent_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| now < until)
    }
}

/// The rows of other servers, and since when each is as it is. Clocks of other machines do not
/// matter: a row is as young as its last change that was seen here.
#[derive(Default)]
pub(crate) struct SeenRows {
    by_id: HashMap<String, SeenRow>,
}

struct SeenRow {
    seen: i64,
    since: Duration,
}

impl SeenRows {
    /// Notes the rows of others that were just read. Returns whether one of them is of a server that
    /// had none before.
    pub(crate) fn note(&mut self, others: &[&ServerRow], now: Duration) -> bool {
        let is_there = |id: &String| others.iter().any(|row| row.server_id == *id);
        self.by_id.retain(|id, _| is_there(id));
        let mut has_new = false;
        for row in others {
            let fresh = SeenRow {
                seen: row.seen,
                since: now,
            };
            match self.by_id.get_mut(&row.server_id) {
                Some(known) if known.seen == row.seen => {}
                Some(known) => *known = fresh,
                None => {
                    has_new = true;
                    self.by_id.insert(row.server_id.clone(), fresh);
                }
            }
        }
        has_new
    }

    /// Returns whether one of the servers may serve.
    pub(crate) fn may_serve(&self, now: Duration) -> bool {
        let mut rows = self.by_id.values();
        rows.any(|row| now.saturating_sub(row.since) < SERVES_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, seen: i64) -> ServerRow {
        ServerRow {
            server_id: id.to_owned(),
            name: "a".to_owned(),
            place: String::new(),
            keys: Vec::new(),
            vouches: true,
            seen,
        }
    }

    #[test]
    fn a_row_counts_for_an_hour_after_its_last_change_whatever_its_time_says() {
        let hour = Duration::from_secs(3_600);
        let (begin, second) = (hour * 7, Duration::from_secs(1));
        let mut rows = SeenRows::default();
        assert!(!rows.may_serve(begin));
        // Stored by a clock that is days behind.
        assert!(rows.note(&[&row("x", 5)], begin));
        assert!(rows.may_serve(begin + hour - second));
        assert!(!rows.may_serve(begin + hour));
        assert!(!rows.note(&[&row("x", 5)], begin + hour));
        assert!(!rows.may_serve(begin + hour));
        // It comes back, by a clock that went back.
        assert!(!rows.note(&[&row("x", 4)], begin + hour));
        assert!(rows.may_serve(begin + hour));
        assert!(rows.note(&[&row("y", 9)], begin + hour), "another one");
        assert!(!rows.note(&[], begin + hour));
        assert!(!rows.may_serve(begin + hour), "both have left");
    }

    #[test]
    fn an_assumption_ends_by_the_clock() {
        let neighbours = Neighbours::default();
        let until = Duration::from_secs(9);
        assert!(!neighbours.are_absent(Duration::ZERO));
        neighbours.set_absent_until(Some(until));
        assert!(neighbours.are_absent(Duration::from_millis(8_999)));
        assert!(!neighbours.are_absent(until));
        neighbours.set_absent_until(None);
        assert!(!neighbours.are_absent(Duration::ZERO));
    }
}
