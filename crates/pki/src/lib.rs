//! Keys, signatures and signed documents of software supply chains.
//!
//! A *format* is a way in which clients write keys and signatures. Each has a module with a type
//! that implements [`Key`] and one that implements [`Signature`]:
//!
//! | format | module |
//! |---|---|
//! | public keys and certificates in PEM | [`x509`] |
//! | OpenPGP (RFC 9580), also clear-signed text | [`pgp`] |
//! | `authorized_keys` lines and `ssh-keygen -Y sign` | [`ssh`] |
//! | minisign and signify | [`minisign`] |
//! | roots and documents of TUF | [`tuf`] |
//!
//! Signed documents are read by [`dsse`], [`cose_sign1`], [`pkcs7`] and [`time_stamp`]. Everything
//! is read and verified as Rekor's libraries in Go do; where this crate is stricter, the comments
//! say so. Each key and signature has a canonical form: equivalent inputs become the same bytes.
//!
//! All checks take their cost from a [`Work`] before they spend it, so that a hostile input costs
//! no more than its length is worth. All functions that can fail return [`Error`], whose texts are
//! Rekor's where it has some.
//!
//! Pure: no I/O, clock, randomness or async. Absent: signing, and any judgement about trust,
//! revocation lists or the present time.
//!
//! # Example
//!
//! One function verifies signatures of every format:
//!
//! ```
//! use pki::{Error, Key, Signature, Work, minisign};
//!
//! fn verify<S: Signature>(key: &[u8], signature: &[u8], message: &[u8]) -> Result<(), Error> {
//!     let mut work = Work::of_request(key.len() + signature.len() + message.len());
//!     let key = S::Key::parse(key, &mut work)?;
//!     S::parse(signature)?.verify(message, &key, &mut work)
//! }
//!
//! let key = b"untrusted comment: minisign public key 848196FCB4FDF192
//! RWSS8f20/JaBhO3jLT+kZv3mLdM0MbaHZ7cXVgkYKWLBbsgns5X7osb/
//! ";
//! let signature = b"untrusted comment: signature from minisign secret key
//! RWSS8f20/JaBhDvFBZ4tLsSzkx0+rvwEJErakzynBoGvvA1vRFJJ+Q5DH50ZS267VsMPX6zljaveoYwLIE5YoBJSSBnM6c90BQk=
//! trusted comment: timestamp:1795662648\tfile:message
//! 6V3dchBMN/pP/MUkFwJsNzf+HRoUHBmrvYfK8ZLBg55FXd00+kyf94KX33o1ngiVWsS5p2lEOaD7VWqkcxoRBg==
//! ";
//! assert_eq!(verify::<minisign::Signature>(key, signature, b"signed by example\n"), Ok(()));
//! assert!(verify::<minisign::Signature>(key, signature, b"another message").is_err());
//! ```

mod algorithms;
pub mod base64;
mod cose_headers;
pub mod cose_sign1;
pub mod digest;
pub mod dsse;
mod email;
mod error;
mod format;
pub mod go_json;
pub mod go_names;
pub mod jcs;
pub mod minisign;
pub mod pem;
pub mod pgp;
pub mod pkcs7;
pub mod prehash;
mod pss;
pub mod public_key;
mod signature;
pub mod ssh;
pub mod ssh_fingerprint;
mod time;
pub mod time_stamp;
pub mod tuf;
mod work;
pub mod x509;

pub use error::{Error, quoted};
pub use format::{Key, Signature};
pub use time::UnixSeconds;
pub use work::{TooCostly, Work};
