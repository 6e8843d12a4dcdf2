//! Signatures over messages.

use super::error::Error;
use super::key_packet::KeyPacket;
use super::keyring::{Entity, Subkey, primary_may_sign, subkey_may_sign};
use super::signature_packet::{BINARY, SignaturePacket, TEXT};
use super::stream::Signatures;
use crate::work::Work;

/// Signature packets looked at for one message. Release files in use have up to ten.
pub(super) const MAX_SIGNATURES: usize = 100;
/// The reason for a revocation that takes back what was signed before it as well (RFC 9580 section
/// 5.2.3.31).
const COMPROMISED: u8 = 2;

/// A key that may have made a signature, and what it belongs to.
struct Signer<'a> {
    entity: &'a Entity,
    subkey: Option<&'a Subkey>,
}

impl Signer<'_> {
    fn key(&self) -> &KeyPacket {
        self.subkey
            .map_or(&self.entity.primary, |subkey| &subkey.key)
    }

    fn may_sign(&self) -> bool {
        match self.subkey {
            Some(subkey) => subkey_may_sign(&subkey.binding),
            None => self.entity.self_signature().is_some_and(primary_may_sign),
        }
    }
}

/// Checks the first of the signatures in `packets` that names a key of `entities` which may sign.
pub(super) fn detached(
    entities: &[Entity],
    packets: &[u8],
    parts: &[&[u8]],
    work: &mut Work,
) -> Result<(), Error> {
    let mut signatures = Signatures::of(packets);
    let mut unknown_signer = None;
    let mut left = MAX_SIGNATURES;
    while let Some(signature) = signatures.next()? {
        left = left.checked_sub(1).ok_or(Error::TooMany {
            what: "signatures",
            limit: MAX_SIGNATURES,
        })?;
        let issuer = signature
            .claims
            .issuer
            .ok_or_else(|| Error::structure("signature doesn't have an issuer"))?;
        let signers = signers(entities, issuer);
        if !signers.is_empty() {
            return verify(&signature, parts, &signers, work);
        }
        unknown_signer.get_or_insert(issuer);
    }
    Err(Error::UnknownSigner(unknown_signer))
}

/// The keys with this ID that may sign. There may be several: 64 bits are not enough to tell keys
/// apart.
fn signers(entities: &[Entity], id: u64) -> Vec<Signer<'_>> {
    let candidates = entities.iter().flat_map(|entity| {
        let subkeys = entity.subkeys.iter().map(move |subkey| Signer {
            entity,
            subkey: Some(subkey),
        });
        [Signer {
            entity,
            subkey: None,
        }]
        .into_iter()
        .chain(subkeys)
    });
    candidates
        .filter(|signer| signer.key().id == id && signer.may_sign())
        .collect()
}

fn verify(
    signature: &SignaturePacket,
    parts: &[&[u8]],
    signers: &[Signer<'_>],
    work: &mut Work,
) -> Result<(), Error> {
    if !matches!(signature.kind, BINARY | TEXT) {
        return Err(Error::unsupported(format!(
            "unsupported signature type: {}",
            signature.kind
        )));
    }
    let digest = signature.digest(parts, work)?;
    let mut fault = Error::UnknownSigner(signature.claims.issuer);
    for signer in signers {
        match signer.key().verify_digest(signature, &digest, work) {
            Ok(()) => return check_validity(signature, signer),
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

/// Whether the key was valid when it signed, by what it says of itself now. That it may say so
/// since a later day does not matter: who prolongs a key signs it anew.
fn check_validity(signature: &SignaturePacket, signer: &Signer<'_>) -> Result<(), Error> {
    let now = signature.created;
    let Signer { entity, subkey } = signer;
    let self_signature = entity
        .self_signature()
        .ok_or(Error::UnknownSigner(Some(entity.primary.id)))?;
    let binding = subkey.map(|subkey| &subkey.binding);
    let cross_signature = binding.and_then(|binding| binding.claims.embedded.as_deref());
    let involved = [
        Some(signature),
        Some(self_signature),
        binding,
        cross_signature,
    ];
    if involved
        .iter()
        .flatten()
        .any(|signature| signature.claims.has_critical_notation)
    {
        return Err(Error::Signature("unknown critical notation"));
    }
    let user_id = entity
        .primary_user_id()
        .filter(|_| entity.primary.version < 6);
    let mut revocations = entity
        .revocations
        .iter()
        .chain(subkey.iter().flat_map(|subkey| &subkey.revocations))
        .chain(user_id.iter().flat_map(|user_id| user_id.revocations()));
    if revocations.any(|revocation| revokes(revocation, now)) {
        return Err(Error::Revoked);
    }
    check_lifetime(&entity.primary, self_signature, now)?;
    if let Some(subkey) = subkey {
        check_lifetime(&subkey.key, &subkey.binding, now)?;
    }
    match involved
        .iter()
        .flatten()
        .any(|signature| is_past(signature.created, signature.claims.lifetime, now))
    {
        true => Err(Error::SignatureExpired),
        false => Ok(()),
    }
}

/// Whether a key with this revocation was revoked at that time.
fn revokes(revocation: &SignaturePacket, now: u32) -> bool {
    revocation.claims.revocation_reason == Some(COMPROMISED)
        || (revocation.created <= now
            && !is_past(revocation.created, revocation.claims.lifetime, now))
}

fn check_lifetime(key: &KeyPacket, signature: &SignaturePacket, now: u32) -> Result<(), Error> {
    if key.created > now {
        return Err(Error::OlderThanKey);
    }
    match is_past(key.created, signature.claims.key_lifetime, now) {
        true => Err(Error::Expired),
        false => Ok(()),
    }
}

/// Whether what began then and lasts so long has ended. 0 is for ever.
fn is_past(created: u32, lifetime: u32, now: u32) -> bool {
    lifetime != 0 && u64::from(now) > u64::from(created) + u64::from(lifetime)
}
