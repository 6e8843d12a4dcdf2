//! Follows transparency logs, matches new entries with rules, and tells somebody.

pub mod channels;
mod facts;
mod notice;
mod outbox;
mod rekor_monitor;
mod rule_file;
pub mod rules;

pub use facts::Facts;
pub use notice::{About, AlarmNotice, Delivery, EntryNotice, Notice};
pub use outbox::{Backoff, Outbox, OutboxError, OutboxMetrics, Surroundings};
pub use rule_file::{RuleFile, RuleFileError};
