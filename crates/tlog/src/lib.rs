//! RFC 6962 trees, C2SP tiles, proofs, signed notes and checkpoints.
//!
//! Pure: no I/O, no clock, no async, no JSON, nothing of Rekor. Randomness for signatures is an
//! argument. Absent: entry bundles, other digests than SHA-256, other tile heights than 8.

mod add_checkpoint;
mod audit;
mod checkpoint;
mod cosignature;
mod edge;
mod hash;
mod key;
mod note;
mod path;
mod proof;
mod tile;
mod verify;
mod witness_policy;

pub use add_checkpoint::*;
pub use audit::*;
pub use checkpoint::*;
pub use cosignature::*;
pub use edge::*;
pub use hash::*;
pub use key::*;
pub use note::*;
pub use path::*;
pub use proof::*;
pub use tile::*;
pub use verify::*;
pub use witness_policy::*;
