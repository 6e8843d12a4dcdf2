//! Appends to one tree: the queue, the sequencer and its rounds.

pub(crate) mod append_error;
mod claims;
pub(crate) mod contradiction;
pub(crate) mod dating;
mod judging;
pub(crate) mod last_round;
pub(crate) mod new_entry;
pub(crate) mod queue;
mod round_error;
pub(crate) mod rounds;
pub(crate) mod seal;
pub(crate) mod sequencer;
