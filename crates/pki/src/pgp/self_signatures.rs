//! Checks the signatures of a key over itself (RFC 9580 section 5.2.4).

use super::error::Error;
use super::key_packet::KeyPacket;
use super::keyring::subkey_may_sign;
use super::signature_packet::SignaturePacket;
use crate::work::Work;

/// RFC 9580 section 5.2.4: the key, and the user ID with its length.
pub(super) fn verify_user_id(
    key: &KeyPacket,
    text: &[u8],
    signature: &SignaturePacket,
    work: &mut Work,
) -> Result<(), Error> {
    let length = (text.len() as u32).to_be_bytes();
    key.verify(
        signature,
        &[&key.to_be_hashed(), &[0xb4], &length, text],
        work,
    )
    .map_err(|error| broken("user ID self-signature invalid", error))
}

/// Returns the error of a key that has a signature with this fault. A fault that is a limit of this
/// crate stays as it is.
pub(super) fn broken(what: &str, error: Error) -> Error {
    match error {
        Error::Unverifiable(_) | Error::RsaSize(_) | Error::TooCostly(_) => error,
        error => Error::structure(format!("{what}: {error}")),
    }
}

/// RFC 9580 section 5.2.4: both keys; and if the subkey may sign, then the same by the subkey.
pub(super) fn verify_subkey(
    primary: &KeyPacket,
    subkey: &KeyPacket,
    signature: &SignaturePacket,
    work: &mut Work,
) -> Result<(), Error> {
    let invalid = |error: Error| broken("subkey signature invalid", error);
    let keys = [primary.to_be_hashed(), subkey.to_be_hashed()];
    primary
        .verify(signature, &[&keys[0], &keys[1]], work)
        .map_err(invalid)?;
    if subkey_may_sign(signature) {
        let missing = || {
            invalid(Error::structure(
                "signing subkey is missing cross-signature",
            ))
        };
        let embedded = signature.claims.embedded.as_ref().ok_or_else(missing)?;
        subkey
            .verify(embedded, &[&keys[0], &keys[1]], work)
            .map_err(|error| {
                invalid(Error::structure(format!(
                    "error while verifying cross-signature: {error}"
                )))
            })?;
    }
    Ok(())
}
