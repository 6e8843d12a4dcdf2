//! Appends to one tree: the queue, the sequencer and its rounds.

pub(crate) mod append_error;
pub(crate) mod dating;
pub(crate) mod last_round;
pub(crate) mod new_entry;
pub(crate) mod queue;
pub(crate) mod rounds;
pub(crate) mod seal;
pub(crate) mod sequencer;
