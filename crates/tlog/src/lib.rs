//! RFC 6962 trees, C2SP tiles, proofs, signed notes and checkpoints.
//!
//! Pure: no I/O, no clock, no async, no JSON, nothing of Rekor. Randomness for signatures is an argument.

mod edge;
mod hash;
mod key;
mod checkpoint;
mod note;
mod proof;
mod tile;

pub use checkpoint::*;
pub use edge::*;
pub use hash::*;
pub use key::*;
pub use note::*;
pub use proof::*;
pub use tile::*;
