//! Appends to one tree: the queue, the sequencer and its rounds.

pub(crate) mod append;
pub(crate) mod queue;
pub(crate) mod rounds;
pub(crate) mod seal;
pub(crate) mod sequencer;
