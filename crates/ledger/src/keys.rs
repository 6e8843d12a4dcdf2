//! The keys of a log: where they are kept, and which of them a server holds.

pub mod key_file;
pub(crate) mod key_ring;
