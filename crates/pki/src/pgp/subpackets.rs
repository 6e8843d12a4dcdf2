//! The subpackets of a signature (RFC 9580 section 5.2.3.7), read and written as Rekor v1.5.4 does.

use super::error::Error;
use super::packet::split;
use super::signature_packet::SignaturePacket;

// Subpacket types.
const CREATION_TIME: u8 = 2;
const SIGNATURE_LIFETIME: u8 = 3;
const EXPORTABLE: u8 = 4;
const TRUST: u8 = 5;
const REGULAR_EXPRESSION: u8 = 6;
const KEY_LIFETIME: u8 = 9;
const ISSUER: u8 = 16;
const NOTATION: u8 = 20;
const PRIMARY_USER_ID: u8 = 25;
const KEY_FLAGS: u8 = 27;
const REVOCATION_REASON: u8 = 29;
const EMBEDDED_SIGNATURE: u8 = 32;
const ISSUER_FINGERPRINT: u8 = 33;
const INTENDED_RECIPIENT: u8 = 35;
const PREFERRED_CIPHER_SUITES: u8 = 39;
/// Types whose contents do not matter here, and that Rekor knows, so that they may be critical.
const OTHERS: [u8; 10] = [
    11,
    21,
    22,
    23,
    24,
    26,
    28,
    30,
    INTENDED_RECIPIENT,
    PREFERRED_CIPHER_SUITES,
];

/// The key flag of keys that sign data (section 5.2.3.29).
pub(super) const MAY_SIGN: u8 = 2;

/// Which part of a signature a subpacket stands in: only what is in the hashed one is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Area {
    Hashed,
    Unhashed,
}

/// The claims in the subpackets.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) created: Option<u32>,
    /// Seconds; 0 is for ever.
    pub(super) lifetime: u32,
    /// Seconds from the creation of the key; 0 is for ever.
    pub(super) key_lifetime: u32,
    pub(super) issuer: Option<u64>,
    pub(super) issuer_fingerprint: Option<Vec<u8>>,
    pub(super) key_flags: Option<u8>,
    pub(super) is_primary_user_id: bool,
    pub(super) revocation_reason: Option<u8>,
    pub(super) has_critical_notation: bool,
    /// The signature of the parent key by the subkey.
    pub(super) embedded: Option<Box<SignaturePacket>>,
    place: Place,
}

/// Where the signature stands that makes the claims.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Packet,
    Subpacket,
}

/// One subpacket: the byte with its type and criticality, and its contents.
struct Subpacket<'a> {
    kind: u8,
    contents: &'a [u8],
}

/// Adds what the subpackets of one area say, and gives the area back with each length in its
/// shortest form.
pub(super) fn read(
    mut area_bytes: &[u8],
    area: Area,
    version: u8,
    claims: &mut Claims,
) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::with_capacity(area_bytes.len());
    while !area_bytes.is_empty() {
        let (subpacket, rest) =
            next(area_bytes).map_err(|_| Error::structure("signature subpacket truncated"))?;
        let subpacket =
            subpacket.ok_or_else(|| Error::structure("zero length signature subpacket"))?;
        write(&subpacket, &mut plain);
        claims.add(&subpacket, area, version)?;
        area_bytes = rest;
    }
    Ok(plain)
}

/// The next subpacket, none if it is without even a type, and what follows it.
fn next(bytes: &[u8]) -> Result<(Option<Subpacket<'_>>, &[u8]), Error> {
    let (first, rest) = split(bytes, 1)?;
    let (length, rest) = match first[0] {
        first @ ..192 => (usize::from(first), rest),
        first @ 192..255 => {
            let (second, rest) = split(rest, 1)?;
            (
                usize::from(first - 192) * 256 + usize::from(second[0]) + 192,
                rest,
            )
        }
        255 => {
            let (length, rest) = split(rest, 4)?;
            (
                length
                    .iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte)),
                rest,
            )
        }
    };
    let (subpacket, rest) = split(rest, length)?;
    Ok((
        subpacket.split_first().map(|(kind, contents)| Subpacket {
            kind: *kind,
            contents,
        }),
        rest,
    ))
}

fn write(subpacket: &Subpacket<'_>, out: &mut Vec<u8>) {
    match subpacket.contents.len() + 1 {
        length @ ..192 => out.push(length as u8),
        length @ 192..16320 => {
            out.extend_from_slice(&((length - 192) as u16 + 0xc000).to_be_bytes())
        }
        length => {
            out.push(255);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    out.push(subpacket.kind);
    out.extend_from_slice(subpacket.contents);
}

impl Claims {
    /// Of a signature in a subpacket.
    pub(super) fn of_embedded() -> Self {
        Self {
            place: Place::Subpacket,
            ..Self::default()
        }
    }

    /// Of a signature of version 3, which names its issuer and has no subpackets.
    pub(super) fn of_version_3(issuer: u64) -> Self {
        Self {
            issuer: Some(issuer),
            ..Self::default()
        }
    }

    fn add(&mut self, subpacket: &Subpacket<'_>, area: Area, version: u8) -> Result<(), Error> {
        let (kind, is_critical, contents) = (
            subpacket.kind & 0x7f,
            subpacket.kind & 0x80 != 0,
            subpacket.contents,
        );
        if area == Area::Unhashed
            && !matches!(kind, ISSUER | ISSUER_FINGERPRINT | EMBEDDED_SIGNATURE)
        {
            return Ok(());
        }
        match kind {
            CREATION_TIME => {
                self.created = Some(number(contents, "signature creation time not four bytes")?)
            }
            SIGNATURE_LIFETIME => {
                self.lifetime = number(contents, "expiration subpacket with bad length")?
            }
            EXPORTABLE => match contents.first() {
                Some(0) => {
                    return Err(Error::unsupported(
                        "signature with non-exportable certification",
                    ));
                }
                Some(_) => {}
                None => {
                    return Err(Error::structure(
                        "exportable certification subpacket with a bad length",
                    ));
                }
            },
            TRUST if contents.len() != 2 => {
                return Err(Error::structure("trust subpacket with bad length"));
            }
            REGULAR_EXPRESSION if contents.last() != Some(&0) => {
                return Err(Error::structure(
                    "expected regular expression to be null-terminated",
                ));
            }
            KEY_LIFETIME => {
                self.key_lifetime = number(contents, "key expiration subpacket with bad length")?
            }
            ISSUER => self.set_issuer(contents, area, version)?,
            NOTATION => {
                check_notation(contents)?;
                self.has_critical_notation |= is_critical;
            }
            PRIMARY_USER_ID => match contents {
                [value] => self.is_primary_user_id = *value > 0,
                _ => {
                    return Err(Error::structure(
                        "primary user id subpacket with bad length",
                    ));
                }
            },
            // No flags at all is not the same as no such subpacket. Those of several add up.
            KEY_FLAGS => {
                let flags = contents.first().copied().unwrap_or_default();
                self.key_flags = Some(self.key_flags.unwrap_or_default() | flags);
            }
            REVOCATION_REASON => match contents.first() {
                Some(reason) => self.revocation_reason = Some(*reason),
                None => return Err(Error::structure("empty revocation reason subpacket")),
            },
            EMBEDDED_SIGNATURE => self.set_embedded(contents)?,
            ISSUER_FINGERPRINT => self.set_fingerprint(contents)?,
            INTENDED_RECIPIENT
                if contents
                    .split_first()
                    .and_then(|(version, print)| key_id(*version, print))
                    .is_none() =>
            {
                return Err(Error::structure("invalid intended recipient fingerprint"));
            }
            PREFERRED_CIPHER_SUITES if contents.len() % 2 != 0 => {
                return Err(Error::structure("invalid aead cipher suite length"));
            }
            kind if is_critical
                && !OTHERS.contains(&kind)
                && !matches!(kind, TRUST | REGULAR_EXPRESSION) =>
            {
                return Err(Error::unsupported(format!(
                    "unknown critical signature subpacket type {kind}"
                )));
            }
            _ => {}
        }
        Ok(())
    }

    fn set_issuer(&mut self, contents: &[u8], area: Area, version: u8) -> Result<(), Error> {
        if version > 4 && area == Area::Hashed {
            return Err(Error::structure("issuer subpacket found in v6 key"));
        }
        let issuer = contents
            .try_into()
            .map_err(|_| Error::structure("issuer subpacket with bad length"))?;
        if version <= 4 {
            self.issuer = Some(u64::from_be_bytes(issuer));
        }
        Ok(())
    }

    fn set_fingerprint(&mut self, contents: &[u8]) -> Result<(), Error> {
        let (version, fingerprint) = contents
            .split_first()
            .ok_or_else(|| Error::structure("empty issuer fingerprint subpacket"))?;
        self.issuer = Some(
            key_id(*version, fingerprint)
                .ok_or_else(|| Error::structure("bad fingerprint length"))?,
        );
        self.issuer_fingerprint = Some(fingerprint.to_vec());
        Ok(())
    }

    /// Sections 5.2.3.34 and 10.1.3: only a subkey's own signature is embedded, and nothing in that
    /// again.
    fn set_embedded(&mut self, contents: &[u8]) -> Result<(), Error> {
        if self.place == Place::Subpacket {
            return Err(Error::structure("signature in an embedded signature"));
        }
        if self.embedded.is_some() {
            return Err(Error::structure("Cannot have multiple embedded signatures"));
        }
        self.embedded = Some(Box::new(SignaturePacket::embedded(contents)?));
        Ok(())
    }
}

/// The key ID in a fingerprint, if it has the length that fits its version.
pub(super) fn key_id(version: u8, fingerprint: &[u8]) -> Option<u64> {
    let id = match (version, fingerprint.len()) {
        (..5, 20) => &fingerprint[12..],
        (5.., 32) => &fingerprint[..8],
        _ => return None,
    };
    id.try_into().map(u64::from_be_bytes).ok()
}

fn number(contents: &[u8], what: &str) -> Result<u32, Error> {
    contents
        .try_into()
        .map(u32::from_be_bytes)
        .map_err(|_| Error::structure(what))
}

/// Section 5.2.3.24: flags, the lengths of name and value, both of them.
fn check_notation(contents: &[u8]) -> Result<(), Error> {
    let is_well_formed = match contents {
        [_, _, _, _, name_1, name_2, value_1, value_2, text @ ..] => {
            let length = |first, second| usize::from(u16::from_be_bytes([first, second]));
            text.len() == length(*name_1, *name_2) + length(*value_1, *value_2)
        }
        _ => false,
    };
    match is_well_formed {
        true => Ok(()),
        false => Err(Error::structure("notation data subpacket with bad length")),
    }
}
