//! Reads transparency logs and believes nothing that it did not verify with the log's public key.
//!
//! Works with any log that has the Rekor v1 API, the Rekor v2 API or C2SP tiles. [`Trust`] reads the
//! keys. [`RekorLog`] and [`TiledLog`] send requests through a [`Fetch`], verify the answers, and
//! compare them with what was asked. [`v1`], [`v2`] and [`tiles`] verify answers that the caller
//! fetched itself.
//!
//! [`upload`] sends entries and verifies the answers, [`search`] finds them, [`attest`] states what
//! packages are, and [`Draft`] becomes a Sigstore bundle.
//!
//! Pure, but for [`Http`]: no I/O, no clock. Absent: the signature of the client in an entry,
//! cosignatures of witnesses.
//!
//! # Example
//!
//! A log signs the head of its first entry. Whoever has the log's key verifies the head, and later
//! answers against it.
//!
//! ```
//! use client::LogKey;
//! use ring::rand::SystemRandom;
//! use tlog::{Checkpoint, SigningKey, TreeSize};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The side of the log.
//! let rng = SystemRandom::new();
//! let key = SigningKey::from_pkcs8(&SigningKey::generate_p256_pkcs8(&rng)?, &rng)?;
//! let root = tlog::leaf_hash(b"the only entry");
//! let answer = Checkpoint::new("log.example", TreeSize(1), root).sign("log.example", &key, &rng)?;
//!
//! // The side of the client.
//! let log = LogKey::new(key.verifying_key().clone());
//! let checkpoint = client::v2::open_checkpoint(&log, answer.as_bytes())?;
//! assert_eq!(checkpoint.size, TreeSize(1));
//!
//! // A changed answer is refused.
//! let forged = answer.replace("\n1\n", "\n2\n");
//! assert!(client::v2::open_checkpoint(&log, forged.as_bytes()).is_err());
//! # Ok(())
//! # }
//! ```

pub mod attest;
mod bulk;
pub mod bundle;
mod bundle_writing;
mod entry;
mod error;
mod evidence;
pub mod explain;
mod fetch;
mod head;
mod history;
mod http;
mod kept;
mod key;
pub mod lock;
pub mod lookup;
mod proof;
mod rekor;
mod run;
pub mod search;
mod sign;
mod site;
mod tiled;
pub mod tiles;
pub mod time_stamp;
mod trust;
pub mod upload;
pub mod v1;
pub mod v2;
mod verified_tiles;

pub use bulk::{BadEntry, BadTile, BulkError, Bundle, TreeReader, Wanted};
pub use bundle_writing::{BundleContent, Draft};
pub use entry::Entry;
pub use error::{Result, VerifyError};
pub use evidence::{Claim, Evidence, EvidenceError, Finding, Weight};
pub use fetch::{Answer, Ask, Fetch, FetchError, Reply, Submit};
pub use head::SignedHead;
pub use history::History;
pub use http::Http;
pub use kept::open_entry;
pub use key::{LogKey, Window};
pub use proof::{Consistency, ConsistencyStep, Inclusion, Side, Step};
pub use rekor::RekorLog;
pub use run::Run;
pub use sign::{PrivateKey, PrivateKeyError, Signer, SignerError, SigningError};
pub use site::{Fault, HistoryError, ReadError, ReadResult};
pub use tiled::{Hit, TiledLog};
pub use trust::{Trust, TrustError};
pub use verified_tiles::VerifiedTiles;
