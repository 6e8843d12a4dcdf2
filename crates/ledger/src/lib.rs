//! Gives each leaf one index, durably, and signs the tree.
//!
//! Leaf bytes are opaque here: which kinds exist, who may submit and how an answer looks is
//! somebody else's business.

mod api;
mod clock;
pub mod events;
pub mod fsck;
pub mod guard;
mod heads;
mod ids;
mod keys;
mod ledger;
mod log;
mod metrics;
mod names;
mod neighbours;
mod open;
mod open_error;
mod parts;
mod presence;
mod reading;
pub mod recover;
pub mod rotation;
mod shards;
pub mod store;
mod tasks;
mod timestamps;
mod tree;
mod writing;

pub use api::{APIS, Api, HeadForm, MAX_BUNDLED_LEAF_BYTES, V1, V2};
pub use clock::{Clock, ClockFault, SystemClock};
pub use heads::head::Head;
pub use heads::letting_out::{MAX_UNPUBLISHED_ENTRIES, MAX_UNPUBLISHED_TIME};
pub use heads::publication::Witnessing;
pub use heads::witnesses::{WITNESS_TIMEOUT, WitnessAnswer, WitnessTransport};
pub use ids::{IndexKeyHash, TreeId};
pub use keys::key_file;
pub use keys::key_ring::{KeyRing, key_files};
pub use keys::signer::SigningError;
pub use ledger::{Ledger, NotReady};
pub use log::Log;
pub use log::rows::TreeRows;
pub use names::{check_name, check_new_name};
pub use open::Settings;
pub use open_error::OpenError;
pub use reading::entry::{InclusionProof, LoggedEntry, ReadError};
pub use reading::search::{Hit, Hits, Search};
pub use shards::Shards;
pub use shards::trees::{DEFAULT_NAME, NewLog, create_logs, find_ledger};
pub use tasks::Fatal;
pub use tree::Tree;
pub use writing::append_error::AppendError;
pub use writing::contradiction::{CONTRADICTS_KEY, Contradiction, Difference, shown_name};
pub use writing::new_entry::{Appended, EntryClaims, NewClaim, NewEntry};
pub use writing::queue::{MAX_QUEUE_WAIT, MAX_QUEUED_BYTES, MAX_QUEUED_ENTRIES, MAX_WAITING_BYTES};
pub use writing::rounds::{MAX_ROUND_BYTES, MAX_ROUND_ENTRIES, MAX_ROUND_INDEX_KEYS};
