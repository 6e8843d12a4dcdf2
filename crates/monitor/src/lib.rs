//! Follows transparency logs, matches new entries with rules, and tells somebody.
