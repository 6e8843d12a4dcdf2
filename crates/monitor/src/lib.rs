//! Follows transparency logs, matches new entries with rules, and tells somebody.
//!
//! [`Follower`] looks at one log: it checks that the head continues the one before, reads the new
//! entries up to it, and hands those that [`rules`] match to the [`Outbox`], whose [`channels`]
//! deliver them. What a log must never do is an alarm with evidence in a file.
//!
//! Answers are verified by the crate `client`. Absent: a clock and a scheduler. The caller says the
//! time and when to look.

mod alarm;
mod board;
pub mod channels;
mod config;
pub mod durable_file;
mod facts;
mod follow;
mod metrics;
mod notice;
mod outbox;
mod rekor_monitor;
mod rule_file;
pub mod rules;
mod state;

pub use alarm::AlarmKind;
pub use board::Board;
pub use config::{Api, Config, ConfigError, LogSection, MAX_LOGS, Start, Urls};
pub use facts::Facts;
pub use follow::{FollowError, Follower, Look, Shared, create_folders};
pub use metrics::Metrics;
pub use notice::{About, AlarmNotice, Delivery, EntryNotice, Notice};
pub use outbox::{Backoff, Outbox, OutboxError, OutboxMetrics, Surroundings};
pub use rule_file::{RuleFile, RuleFileError};
