//! The keys of a log: where they are kept, which of them a server holds, and what they sign.

pub mod key_file;
pub(crate) mod key_ring;
pub(crate) mod signer;
