//! Key rings: primary keys with what belongs to them (RFC 9580 section 10.1), as they are
//! written again and judged.

use super::error::Error;
use super::key_packet::KeyPacket;
use super::packet;
use super::signature_packet::SignaturePacket;
use super::subpackets::MAY_SIGN;
use crate::work::Work;

/// A primary key, its user IDs and subkeys.
pub(super) struct Entity {
    pub(super) primary: KeyPacket,
    pub(super) revocations: Vec<SignaturePacket>,
    /// Version 6: the signature in which the key speaks for itself, and all of its kind.
    pub(super) direct: Option<usize>,
    pub(super) direct_signatures: Vec<SignaturePacket>,
    pub(super) user_ids: Vec<UserId>,
    pub(super) subkeys: Vec<Subkey>,
}

/// A user ID that the key certifies.
pub(super) struct UserId {
    pub(super) text: Vec<u8>,
    /// The signatures on it. Those by other keys are not verified.
    pub(super) signatures: Vec<SignaturePacket>,
    /// The newest signature by the key itself.
    pub(super) self_signature: Option<usize>,
    pub(super) revocations: Vec<usize>,
}

/// A subkey that the key binds to itself.
pub(super) struct Subkey {
    pub(super) key: KeyPacket,
    pub(super) binding: SignaturePacket,
    pub(super) revocations: Vec<SignaturePacket>,
}

impl Entity {
    /// Appends the packets as Rekor writes them, user IDs in the order in which they were (Rekor's
    /// is random).
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.primary.write(out);
        self.revocations
            .iter()
            .chain(&self.direct_signatures)
            .for_each(|signature| signature.write(out));
        for user_id in &self.user_ids {
            packet::write(packet::USER_ID, &user_id.text, out);
            user_id
                .signatures
                .iter()
                .for_each(|signature| signature.write(out));
        }
        for subkey in &self.subkeys {
            subkey.key.write(out);
            subkey
                .revocations
                .iter()
                .for_each(|signature| signature.write(out));
            subkey.binding.write(out);
        }
    }

    /// The user ID by which the key is judged: one that is not revoked, or is marked, or has the
    /// newest signature.
    pub(super) fn primary_user_id(&self) -> Option<&UserId> {
        let mut primary: Option<&UserId> = None;
        for user_id in &self.user_ids {
            if primary.is_none_or(|primary| user_id.is_preferred_to(primary)) {
                primary = Some(user_id);
            }
        }
        primary
    }

    /// Returns the signature by which the primary key is judged.
    pub(super) fn self_signature(&self) -> Option<&SignaturePacket> {
        match self.primary.version {
            6 => self.direct.map(|at| &self.direct_signatures[at]),
            _ => self.primary_user_id()?.self_signature(),
        }
    }

    /// Checks the newest self-signature of a version 6 key and selects it.
    pub(super) fn select_direct_signature(&mut self, work: &mut Work) -> Result<(), Error> {
        let mut newest = None;
        for (at, signature) in self.direct_signatures.iter().enumerate() {
            let is_newer = newest.is_none_or(|newest: usize| {
                signature.created > self.direct_signatures[newest].created
            });
            if signature.names(&self.primary.fingerprint, self.primary.id) && is_newer {
                newest = Some(at);
            }
        }
        let at = newest
            .ok_or_else(|| Error::structure("v6 entity without a valid direct-key signature"))?;
        self.primary
            .verify(
                &self.direct_signatures[at],
                &[&self.primary.to_be_hashed()],
                work,
            )
            .map_err(|_| {
                Error::structure("invalid direct-key self-signature for v6 primary key")
            })?;
        self.direct = newest;
        Ok(())
    }
}

impl UserId {
    pub(super) fn self_signature(&self) -> Option<&SignaturePacket> {
        self.self_signature.map(|at| &self.signatures[at])
    }

    pub(super) fn revocations(&self) -> impl Iterator<Item = &SignaturePacket> {
        self.revocations.iter().map(|at| &self.signatures[*at])
    }

    fn is_preferred_to(&self, other: &Self) -> bool {
        if self.revocations.len() != other.revocations.len() {
            return self.revocations.len() < other.revocations.len();
        }
        let (Some(signature), Some(others)) = (self.self_signature(), other.self_signature())
        else {
            return other.self_signature.is_none();
        };
        match (
            signature.claims.is_primary_user_id,
            others.claims.is_primary_user_id,
        ) {
            (true, false) => true,
            (false, true) => false,
            _ => signature.created > others.created,
        }
    }
}

/// Whether a key that says this of itself may sign data. A primary key without flags may, as GnuPG
/// has it and as Rekor had it before v1.5.4: keys of its time have none.
pub(super) fn primary_may_sign(self_signature: &SignaturePacket) -> bool {
    self_signature
        .claims
        .key_flags
        .is_none_or(|flags| flags & MAY_SIGN != 0)
}

/// Whether a subkey that is bound by this may sign data. It must be said, because only then is it
/// certain that the subkey itself agrees to its primary key.
pub(super) fn subkey_may_sign(binding: &SignaturePacket) -> bool {
    binding
        .claims
        .key_flags
        .is_some_and(|flags| flags & MAY_SIGN != 0)
}
