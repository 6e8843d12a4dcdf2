//! Framing of OpenPGP packets (RFC 9580 section 4.2).

use std::borrow::Cow;

use super::error::Error;

// Packet types (RFC 9580 section 5).
pub(super) const ENCRYPTED_SESSION_KEY: u8 = 1;
pub(super) const SIGNATURE: u8 = 2;
pub(super) const PASSWORD_SESSION_KEY: u8 = 3;
pub(super) const ONE_PASS_SIGNATURE: u8 = 4;
pub(super) const SECRET_KEY: u8 = 5;
pub(super) const PUBLIC_KEY: u8 = 6;
pub(super) const SECRET_SUBKEY: u8 = 7;
pub(super) const COMPRESSED: u8 = 8;
pub(super) const MARKER: u8 = 10;
pub(super) const TRUST: u8 = 12;
pub(super) const USER_ID: u8 = 13;
pub(super) const PUBLIC_SUBKEY: u8 = 14;
pub(super) const PROTECTED: u8 = 18;
/// Packets that hold data: compressed, encrypted, literal.
pub(super) const DATA: [u8; 5] = [COMPRESSED, 9, 11, PROTECTED, 20];
/// The last type of those that Rekor's library knows, all but [`UNKNOWN`] of those before it.
const LAST_KNOWN: u8 = 21;
const UNKNOWN: [u8; 4] = [0, 15, 16, 19];
/// Packet types from here on may be passed over by who does not know them.
pub(super) const FIRST_NON_CRITICAL: u8 = 40;

/// One packet: its type and its contents.
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    pub(super) body: Cow<'a, [u8]>,
}

/// The next packet and what follows it; none at the end.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(Packet<'_>, &[u8])>, Error> {
    let Some((first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    if first & 0x80 == 0 {
        return Err(Error::structure("tag byte does not have MSB set"));
    }
    let (tag, body, rest) = match first & 0x40 {
        0 => {
            let (body, rest) = old_body(first & 3, rest)?;
            ((first & 0x3f) >> 2, Cow::Borrowed(body), rest)
        }
        _ => {
            let (body, rest) = new_body(rest)?;
            (first & 0x3f, body, rest)
        }
    };
    if !is_known(tag) && tag < FIRST_NON_CRITICAL {
        return Err(Error::CriticalPacket(tag));
    }
    Ok(Some((Packet { tag, body }, rest)))
}

fn is_known(tag: u8) -> bool {
    tag <= LAST_KNOWN && !UNKNOWN.contains(&tag)
}

/// Section 4.2.2: a length of 1, 2 or 4 bytes, or everything that follows.
fn old_body(length_type: u8, rest: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    if length_type == 3 {
        return Ok((rest, &[]));
    }
    let (length, rest) = split(rest, 1 << length_type)?;
    split(
        rest,
        length
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte)),
    )
}

/// Section 4.2.1: one length, or the lengths of parts.
fn new_body(mut rest: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), Error> {
    let mut parts = Vec::new();
    loop {
        let (first, after) = split(rest, 1)?;
        if let part @ 224..=254 = first[0] {
            let (part, after) = split(after, 1 << (part & 0x1f))?;
            parts.extend_from_slice(part);
            rest = after;
            continue;
        }
        let (length, after) = match first[0] {
            first @ 192.. if first < 224 => {
                let (second, after) = split(after, 1)?;
                (
                    usize::from(first - 192) * 256 + usize::from(second[0]) + 192,
                    after,
                )
            }
            255 => {
                let (length, after) = split(after, 4)?;
                (
                    length
                        .iter()
                        .fold(0, |length, byte| length << 8 | usize::from(*byte)),
                    after,
                )
            }
            first => (usize::from(first), after),
        };
        let (body, after) = split(after, length)?;
        if parts.is_empty() {
            return Ok((Cow::Borrowed(body), after));
        }
        parts.extend_from_slice(body);
        return Ok((Cow::Owned(parts), after));
    }
}

/// Appends a packet in the new format, with one length of the fewest bytes.
pub(super) fn write(tag: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(0xc0 | tag);
    match body.len() {
        length @ ..192 => out.push(length as u8),
        length @ 192..8384 => {
            out.extend_from_slice(&((length - 192) as u16 + 0xc000).to_be_bytes())
        }
        length => {
            out.push(255);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
}

/// So many bytes, and the rest.
pub(super) fn split(bytes: &[u8], length: usize) -> Result<(&[u8], &[u8]), Error> {
    bytes.split_at_checked(length).ok_or(Error::End)
}

/// A multiprecision integer (RFC 9580 section 3.2): its bytes with their length before them, its
/// bytes, and the rest.
pub(super) fn split_integer(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let (bits, _) = split(bytes, 2)?;
    let length = usize::from(u16::from_be_bytes([bits[0], bits[1]])).div_ceil(8);
    split(bytes, 2 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(mut bytes: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, Error> {
        let mut bodies = Vec::new();
        while let Some((packet, rest)) = read(bytes)? {
            bodies.push((packet.tag, packet.body.into_owned()));
            bytes = rest;
        }
        Ok(bodies)
    }

    #[test]
    fn written_packets_are_read_back() {
        for length in [0, 1, 191, 192, 8383, 8384, 70_000] {
            let body = vec![7; length];
            let mut bytes = Vec::new();
            write(USER_ID, &body, &mut bytes);
            let header = bytes.len() - length;
            assert_eq!(
                header,
                [2, 3, 6][usize::from(length >= 192) + usize::from(length >= 8384)],
                "{length}"
            );
            write(TRUST, b"x", &mut bytes);
            assert_eq!(
                bodies(&bytes),
                Ok(vec![(USER_ID, body), (TRUST, b"x".to_vec())]),
                "{length}"
            );
        }
    }

    #[test]
    fn forms_of_lengths() {
        let forms: [&[u8]; 7] = [
            &[0xb4, 3, 1, 2, 3],
            &[0xb5, 0, 3, 1, 2, 3],
            &[0xb6, 0, 0, 0, 3, 1, 2, 3],
            &[0xb7, 1, 2, 3],
            &[0xcd, 255, 0, 0, 0, 3, 1, 2, 3],
            &[0xcd, 225, 1, 2, 1, 3],
            &[0xcd, 224, 1, 224, 2, 1, 3],
        ];
        for form in forms {
            assert_eq!(
                bodies(form),
                Ok(vec![(USER_ID, vec![1, 2, 3])]),
                "{form:x?}"
            );
        }
        let broken: [&[u8]; 7] = [
            &[0xb4],
            &[0xb4, 2, 1],
            &[0xcd],
            &[0xcd, 192],
            &[0xcd, 255, 255, 255, 255, 255],
            &[0xcd, 254],
            &[0xcd, 224, 1],
        ];
        for bytes in broken {
            assert_eq!(bodies(bytes), Err(Error::End), "{bytes:x?}");
        }
        assert_eq!(bodies(&[0xcf, 0]), Err(Error::CriticalPacket(15)));
        assert_eq!(bodies(&[0xe8, 0]), Ok(vec![(40, vec![])]));
        assert!(matches!(bodies(b"text"), Err(Error::Structure(_))));
    }

    #[test]
    fn integers() {
        assert_eq!(
            split_integer(&[0, 9, 1, 2, 3]),
            Ok((&[0, 9, 1, 2][..], &[3][..]))
        );
        assert_eq!(split_integer(&[0, 0, 3]), Ok((&[0, 0][..], &[3][..])));
        assert_eq!(split_integer(&[0xff, 0xff, 3]), Err(Error::End));
    }
}
