//! Reads key rings packet by packet (RFC 9580 section 10.1), as Rekor v1.5.4 does, and checks what
//! each key says of itself.

use super::budget::Budget;
use super::error::Error;
use super::key_packet::KeyPacket;
use super::keyring::{Entity, Subkey, UserId};
use super::packet::{self, Packet};
use super::self_signatures::{broken, verify_subkey, verify_user_id};
use super::signature_packet::{
    CERTIFICATION_REVOCATION, CERTIFICATIONS, DIRECT_KEY, KEY_REVOCATION, SUBKEY_BINDING,
    SUBKEY_REVOCATION, SignaturePacket,
};

/// User IDs of one key. Keys in use have up to 30.
pub(super) const MAX_USER_IDS: usize = 100;
/// Subkeys of one key. Keys in use have up to 20, expired ones included.
pub(super) const MAX_SUBKEYS: usize = 100;

/// Appends the keys in `bytes` that are whole to `entities`. A key that breaks the rules is passed
/// over where there is another one.
pub(super) fn read(
    bytes: &[u8],
    budget: &mut Budget<'_>,
    entities: &mut Vec<Entity>,
) -> Result<(), Error> {
    let mut packets = Packets {
        rest: bytes,
        unread: None,
        unsupported_key: None,
        kept: 0,
        budget,
    };
    let mut count = 0;
    let mut passed_over = None;
    loop {
        let kept_before = packets.kept;
        match packets.entity() {
            Ok(Some(entity)) => {
                entities.push(entity);
                count += 1;
            }
            Ok(None) => break,
            Err(error @ (Error::Unsupported(_) | Error::Structure(_))) => {
                passed_over = Some(error);
                packets.kept = kept_before;
                packets.skip_to_next_key()?;
            }
            Err(error) => return Err(error),
        }
    }
    // A key of an unknown kind is a better reason than the packets after it, which are then not
    // keys.
    match packets.unsupported_key.or(passed_over) {
        Some(error) if count == 0 => Err(error),
        _ => Ok(()),
    }
}

enum Item {
    Key(KeyPacket),
    UserId(Vec<u8>),
    Signature(SignaturePacket),
    Other,
}

struct Packets<'a, 'b, 'w> {
    rest: &'a [u8],
    unread: Option<Item>,
    /// Why the first primary key that was passed over was.
    unsupported_key: Option<Error>,
    /// Bytes of the signatures that the canonical form will have, if the key that is being read is
    /// whole.
    kept: usize,
    budget: &'b mut Budget<'w>,
}

impl Packets<'_, '_, '_> {
    /// The next packet whose version and algorithms are known.
    fn next(&mut self) -> Result<Option<Item>, Error> {
        if let Some(item) = self.unread.take() {
            return Ok(Some(item));
        }
        while let Some((packet, rest)) = packet::read(self.rest)? {
            self.budget.take_packet()?;
            self.rest = rest;
            match item(&packet) {
                Ok(Some(item)) => return Ok(Some(item)),
                Ok(None) => {}
                Err(error @ Error::Unsupported(_)) if packet.tag == packet::PUBLIC_KEY => {
                    self.unsupported_key.get_or_insert(error);
                }
                Err(Error::Unsupported(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The next packet, if it is a signature.
    fn next_signature(&mut self) -> Result<Option<SignaturePacket>, Error> {
        match self.next()? {
            Some(Item::Signature(signature)) => Ok(Some(signature)),
            other => {
                self.unread = other;
                Ok(None)
            }
        }
    }

    fn skip_to_next_key(&mut self) -> Result<(), Error> {
        while let Some(item) = self.next()? {
            if matches!(&item, Item::Key(key) if key.is_primary()) {
                self.unread = Some(item);
                break;
            }
        }
        Ok(())
    }

    /// The next primary key and what follows it.
    fn entity(&mut self) -> Result<Option<Entity>, Error> {
        let primary = match self.next()? {
            None => return Ok(None),
            Some(Item::Key(key)) => key,
            other => {
                self.unread = other;
                return Err(Error::structure(
                    "first packet was not a public/private key",
                ));
            }
        };
        if !primary.can_sign() {
            return Err(Error::structure(
                "primary key cannot be used for signatures",
            ));
        }
        let mut entity = Entity {
            primary,
            revocations: Vec::new(),
            direct: None,
            direct_signatures: Vec::new(),
            user_ids: Vec::new(),
            subkeys: Vec::new(),
        };
        while let Some(item) = self.next()? {
            match item {
                Item::UserId(text) => self.user_id(&mut entity, text)?,
                Item::Signature(signature) if signature.kind == KEY_REVOCATION => {
                    entity.revocations.push(signature)
                }
                Item::Signature(signature)
                    if signature.kind == DIRECT_KEY && entity.primary.version == 6 =>
                {
                    entity.direct_signatures.push(signature);
                }
                Item::Key(key) if key.is_primary() => {
                    self.unread = Some(Item::Key(key));
                    break;
                }
                Item::Key(key) => self.subkey(&mut entity, key)?,
                // Signatures of what is not known, photographs for one.
                Item::Signature(_) | Item::Other => {}
            }
        }
        self.check(&mut entity)?;
        Ok(Some(entity))
    }

    /// Checks what can be checked only when everything is there.
    fn check(&mut self, entity: &mut Entity) -> Result<(), Error> {
        match entity.primary.version {
            6 => entity.select_direct_signature(self.budget.work)?,
            version if entity.user_ids.is_empty() => {
                return Err(Error::structure(format!(
                    "v{version} entity without any identities"
                )));
            }
            _ => {}
        }
        self.keep(&entity.revocations)?;
        for revocation in &entity.revocations {
            entity
                .primary
                .verify(
                    revocation,
                    &[&entity.primary.to_be_hashed()],
                    self.budget.work,
                )
                .map_err(|error| broken("revocation signature signed by alternate key", error))?;
        }
        Ok(())
    }

    /// Counts signatures that the canonical form will have. MUST be called before they are checked.
    fn keep(&mut self, signatures: &[SignaturePacket]) -> Result<(), Error> {
        self.kept += length(signatures);
        self.budget.check_length(self.kept)
    }

    /// The signatures of a user ID. It is kept if the key itself made one of them.
    fn user_id(&mut self, entity: &mut Entity, text: Vec<u8>) -> Result<(), Error> {
        // Of two with one text the later one counts.
        let earlier = entity.user_ids.iter().position(|other| other.text == text);
        let replaced = earlier.map_or(0, |at| length(&entity.user_ids[at].signatures));
        let mut kept = self.kept - replaced;
        let mut user_id = UserId {
            text,
            signatures: Vec::new(),
            self_signature: None,
            revocations: Vec::new(),
        };
        let mut is_certified = false;
        while let Some(signature) = self.next_signature()? {
            if !CERTIFICATIONS.contains(&signature.kind)
                && signature.kind != CERTIFICATION_REVOCATION
            {
                return Err(Error::structure("user ID signature with wrong type"));
            }
            kept += signature.canonical.len();
            if signature.names(&entity.primary.fingerprint, entity.primary.id) {
                self.budget.check_length(kept)?;
                verify_user_id(&entity.primary, &user_id.text, &signature, self.budget.work)?;
                is_certified = true;
                let at = user_id.signatures.len();
                if signature.kind == CERTIFICATION_REVOCATION {
                    user_id.revocations.push(at);
                } else if user_id
                    .self_signature()
                    .is_none_or(|newest| signature.created > newest.created)
                {
                    user_id.self_signature = Some(at);
                }
            }
            user_id.signatures.push(signature);
        }
        if !is_certified {
            return Ok(());
        }
        self.kept = kept;
        match earlier {
            Some(at) => entity.user_ids[at] = user_id,
            None if entity.user_ids.len() == MAX_USER_IDS => {
                return Err(Error::TooMany {
                    what: "user IDs",
                    limit: MAX_USER_IDS,
                });
            }
            None => entity.user_ids.push(user_id),
        }
        Ok(())
    }

    /// The signatures of a subkey, which are all by the primary key. The newest binding counts.
    fn subkey(&mut self, entity: &mut Entity, key: KeyPacket) -> Result<(), Error> {
        let mut binding: Option<SignaturePacket> = None;
        let mut revocations = Vec::new();
        while let Some(signature) = self.next_signature()? {
            if signature.kind != SUBKEY_BINDING && signature.kind != SUBKEY_REVOCATION {
                return Err(Error::structure("subkey signature with wrong type"));
            }
            if signature.kind == SUBKEY_REVOCATION {
                self.keep(std::slice::from_ref(&signature))?;
            }
            verify_subkey(&entity.primary, &key, &signature, self.budget.work)?;
            if signature.kind == SUBKEY_REVOCATION {
                revocations.push(signature);
            } else if binding
                .as_ref()
                .is_none_or(|newest| signature.created > newest.created)
            {
                binding = Some(signature);
            }
        }
        let binding =
            binding.ok_or_else(|| Error::structure("subkey packet not followed by signature"))?;
        if entity.subkeys.len() == MAX_SUBKEYS {
            return Err(Error::TooMany {
                what: "subkeys",
                limit: MAX_SUBKEYS,
            });
        }
        entity.subkeys.push(Subkey {
            key,
            binding,
            revocations,
        });
        Ok(())
    }
}

/// Bytes that these signatures have in the canonical form, without their packets' headers.
fn length(signatures: &[SignaturePacket]) -> usize {
    let lengths = signatures.iter().map(|signature| signature.canonical.len());
    lengths.sum()
}

/// Tells what a packet is. None for a packet that has no meaning anywhere.
fn item(packet: &Packet<'_>) -> Result<Option<Item>, Error> {
    Ok(Some(match packet.tag {
        packet::PUBLIC_KEY | packet::PUBLIC_SUBKEY => {
            Item::Key(KeyPacket::parse(packet.tag, &packet.body)?)
        }
        packet::SECRET_KEY | packet::SECRET_SUBKEY => return Err(Error::PrivateKey),
        packet::SIGNATURE => Item::Signature(SignaturePacket::of_key(&packet.body)?),
        packet::USER_ID => Item::UserId(packet.body.to_vec()),
        packet::MARKER if !packet.body.starts_with(b"PGP") => {
            return Err(Error::structure("invalid marker packet"));
        }
        packet::MARKER | packet::TRUST | packet::FIRST_NON_CRITICAL.. => return Ok(None),
        tag if packet::DATA.contains(&tag) => return Err(Error::structure("data among keys")),
        _ => Item::Other,
    }))
}
