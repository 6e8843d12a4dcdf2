//! The guard: for each log the newest head that this server let out, kept outside the database.
//!
//! A database can go back: an older copy is put in its place, or a standby takes over that had not
//! caught up. Nothing in it tells. So a server keeps the newest heads where a restore of the
//! database does not reach, and each is durable there before anything that states it leaves. At a
//! start the highest of these heads is the floor, which the database must extend.

mod board;
mod file;
pub(crate) mod floor;
mod format;
mod keeper;
pub(crate) mod kept;
pub mod memory;
mod metrics;
pub(crate) mod place;
#[cfg(test)]
mod samples;

pub use file::FilePlace;
pub use format::{GuardFault, MAX_GUARD_BYTES};
pub use keeper::{KEEP_PATIENCE, Keeper, PLACE_PATIENCE, READ_PATIENCE};
pub use kept::{GuardedHead, GuardedHeads, GuardedTexts};
pub use place::{Guard, GuardError, Origin, Place, PlaceError, Reading, Source};
