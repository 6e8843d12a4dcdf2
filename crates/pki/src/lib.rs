//! Keys, signatures and signed documents as software supply chains use them; pure.
//!
//! Pure: no I/O, clock, randomness or async.

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
mod prehash;
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
