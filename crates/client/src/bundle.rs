//! Sigstore bundles: what somebody needs beside an artifact to know who signed it, when, and that a
//! log shows it.
//!
//! [`Bundle`] reads bundles of the versions 0.1 to 0.3 and the older one of cosign. [`TrustRoot`]
//! holds the authorities and logs that are trusted, [`Policy`] who must have signed. A bundle is
//! verified in this order, and nothing is taken from a part that was not verified before:
//!
//! 1. each log entry: inclusion proof, checkpoint, signed entry timestamp, all under the log that
//!    the entry names, and under the name that the trust root gives this log;
//! 2. the times: timestamps of trusted authorities over the signature, and signed entry timestamps;
//! 3. the certificate at each of these times, from an authority that is trusted then, and its
//!    signed certificate timestamp if the trust root names certificate transparency logs;
//! 4. the signature over the artifact, or over the envelope of an attestation whose statement names
//!    the artifact;
//! 5. that each log entry is of this signature, this key or certificate, and this artifact;
//! 6. the policy.
//!
//! No network, and the time is a parameter. (`sigstore-verify`, which does 2 to 5, compares times
//! with the system's clock as well. That refuses more, never less.)
//!
//! Absent: revocation, which short-lived certificates do without; cosignatures of witnesses;
//! signatures by certificate over another digest than SHA-256.

mod claims;
mod cosign;
mod error;
mod logs;
mod of_entry;
mod other_digests;
mod policy;
mod read;
mod statement;
mod trust;
mod verify;

#[cfg(test)]
mod tests;

pub use error::{BundleError, Result};
pub use logs::{Logged, Shown};
pub use policy::{CertificatePolicy, Expected, Pattern, Policy};
pub use read::Bundle;
pub use statement::{Statement, Subject};
pub use trust::TrustRoot;
pub use verify::{Artifact, Certificate, Signer, Verified};
