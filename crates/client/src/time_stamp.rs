//! Time stamps of signatures (RFC 3161), which bundles hold beside an entry of Rekor v2.

use pki::{Work, pkcs7::SignedData, time_stamp};

/// A request for the time of a SHA-256 up to the digest: version 1 and the algorithm.
const BEFORE: &[u8] =
    b"\x30\x39\x02\x01\x01\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
/// The end of the request: the authority sends its certificate along.
const AFTER: &[u8] = b"\x01\x01\xff";
/// The tag and length before the digest, in the request and in the answer.
const DIGEST: &[u8] = b"\x04\x20";

/// Why an answer of a time-stamp authority is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeStampError {
    /// Not an answer as RFC 3161 has it.
    #[error("it is no answer of a time-stamp authority")]
    Form,
    /// The authority refuses.
    #[error("the time-stamp authority refuses, with status {0}")]
    Refused(String),
    /// A signature in it does not verify.
    #[error("it does not verify: {0}")]
    Signature(#[from] pki::Error),
    /// About something else.
    #[error("it is about another signature")]
    Digest,
}

/// Returns the request for a time stamp of a signature, in DER.
pub fn query(signature: &[u8]) -> Vec<u8> {
    let digest = tlog::sha256(signature);
    [BEFORE, digest.as_ref(), AFTER].concat()
}

/// Checks that an answer is signed by the certificate in it, and names the digest of the signature.
/// Whether that authority is trusted is for whoever verifies the bundle.
///
/// # Errors
///
/// It is refused, or does not verify.
pub fn check(answer: &[u8], signature: &[u8]) -> Result<(), TimeStampError> {
    let (status, token) = time_stamp::response(answer).ok_or(TimeStampError::Form)?;
    if !matches!(status, [0 | 1]) {
        return Err(TimeStampError::Refused(hex::encode(status)));
    }
    let token = token.ok_or(TimeStampError::Form)?;
    let mut work = Work::of_request(answer.len());
    SignedData::from_content_info(token)?.verify_attached(&mut work)?;
    let digest = tlog::sha256(signature);
    let named = [DIGEST, digest.as_ref()].concat();
    let is_named = token.windows(named.len()).any(|window| window == named);
    is_named.then_some(()).ok_or(TimeStampError::Digest)
}
