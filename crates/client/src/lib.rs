//! Verifies what a transparency log answers, with nothing but the log's public key.
//!
//! Works with any log that has the Rekor v1 API, the Rekor v2 API or C2SP tiles. A caller sends the
//! requests and gives the bodies of the answers to this crate. An answer is also compared with what
//! was asked: the functions return the index, the ID and the artifact of an entry, and the caller
//! compares them with its request.
//!
//! Pure: no I/O, no clock, no randomness, no async. Absent: requests, log keys that are found by
//! trust roots, the signature of the client in an entry, cosignatures of witnesses.
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

mod entry;
mod error;
mod head;
mod key;
mod proof;
pub mod tiles;
mod trust;
pub mod v1;
pub mod v2;

pub use entry::Entry;
pub use error::{Result, VerifyError};
pub use head::SignedHead;
pub use key::{LogKey, Window};
pub use proof::{Consistency, ConsistencyStep, Inclusion, Side, Step};
pub use trust::{Trust, TrustError};
