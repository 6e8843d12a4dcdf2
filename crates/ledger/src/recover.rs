//! Brings a database that went back forward again, from another copy of it or from a server that
//! has the entries; or goes on without what was lost.
//!
//! Recovery adds to a database by the calls by which it grew: rounds, publications and freezes are
//! replayed one after the other, each as the source has it, and each is checked before. So the
//! database is a whole, older state of the log after every step, and a run that ended half way is
//! continued by the next one. No server may use the database meanwhile.

mod copy;
mod error;
pub(crate) mod floor;
mod forward;
mod loss;
mod page;
mod plan;
mod replay;
mod source;

pub use copy::DatabaseCopy;
pub use error::RecoverError;
pub use floor::{KnownHeads, known_heads};
pub use forward::{Forward, Outcome, Report};
pub use loss::{Loss, assess, freeze, publish_end};
pub use page::{CopiedEntry, CopiedRound, Page};
pub use plan::{Plan, Progress, Step};
pub use replay::{DeriveEntry, Derived};
pub use source::{Source, SourceError, SourceHead};

pub(crate) use page::read as read_page;
