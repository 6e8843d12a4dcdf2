//! The signatures in a stream of packets, and what is passed over on the way to them.

use super::error::Error;
use super::key_packet::KeyPacket;
use super::packet::{self, Packet, split};
use super::signature_packet::{self, SignaturePacket};

const MARKER_TEXT: &[u8] = b"PGP";
/// Ciphers that Rekor's library knows (RFC 9580 section 9.3).
const CIPHERS: [u8; 5] = [2, 3, 7, 8, 9];
/// The last compression algorithm (section 9.4).
const LAST_COMPRESSION: u8 = 3;

/// Signature packets, read from the front of a stream.
///
/// As in Rekor v1.6.1, packets of unknown types, versions or algorithms are passed over, signatures
/// among them, and so are markers and trust packets. Any other packet is an error.
pub(super) struct Signatures<'a> {
    rest: &'a [u8],
    passed_over: Option<Error>,
}

impl<'a> Signatures<'a> {
    pub(super) fn of(packets: &'a [u8]) -> Self {
        Self {
            rest: packets,
            passed_over: None,
        }
    }

    /// The next signature; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<SignaturePacket>, Error> {
        while let Some((packet, rest)) = packet::read(self.rest)? {
            self.rest = rest;
            match signature(&packet) {
                Ok(None) => {}
                Err(error @ Error::Unsupported(_)) => self.passed_over = Some(error),
                found => return found,
            }
        }
        Ok(None)
    }

    /// Why the last packet was passed over that has something unknown about it.
    pub(super) fn passed_over(&self) -> Option<&Error> {
        self.passed_over.as_ref()
    }
}

/// The signature in a packet; none in one that means nothing.
fn signature(packet: &Packet<'_>) -> Result<Option<SignaturePacket>, Error> {
    let body = &packet.body;
    match packet.tag {
        packet::SIGNATURE => return SignaturePacket::of_message(body).map(Some),
        packet::MARKER if split(body, MARKER_TEXT.len())?.0 == MARKER_TEXT => return Ok(None),
        packet::MARKER => return Err(Error::structure("invalid marker packet")),
        packet::TRUST | packet::FIRST_NON_CRITICAL.. => return Ok(None),
        tag => check_known(tag, body)?,
    }
    Err(Error::structure("non signature packet found"))
}

/// Checks that a packet of another type has a version and algorithms that are known.
fn check_known(tag: u8, body: &[u8]) -> Result<(), Error> {
    let byte = |at: usize| body.get(at).copied().ok_or(Error::End);
    let is_known = match tag {
        packet::PUBLIC_KEY | packet::PUBLIC_SUBKEY | packet::SECRET_KEY | packet::SECRET_SUBKEY => {
            return KeyPacket::parse(tag, body).map(|_| ());
        }
        packet::ENCRYPTED_SESSION_KEY => matches!(byte(0)?, 3 | 6),
        packet::PASSWORD_SESSION_KEY => match byte(0)? {
            4 => CIPHERS.contains(&byte(1)?),
            6 => CIPHERS.contains(&byte(2)?),
            _ => false,
        },
        packet::ONE_PASS_SIGNATURE => {
            matches!(byte(0)?, 3 | 6) && signature_packet::hash_algorithm(byte(2)?).is_ok()
        }
        packet::COMPRESSED => byte(0)? <= LAST_COMPRESSION,
        packet::PROTECTED => matches!(byte(0)?, 1 | 2),
        _ => true,
    };
    match is_known {
        true => Ok(()),
        false => Err(Error::unsupported(format!(
            "version or algorithm of a packet of type {tag}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(tag: u8, body: &[u8]) -> Result<bool, Error> {
        let mut packets = Vec::new();
        packet::write(tag, body, &mut packets);
        Signatures::of(&packets)
            .next()
            .map(|signature| signature.is_some())
    }

    #[test]
    fn unknown_things_are_passed_over() {
        let passed_over: [(u8, &[u8]); 14] = [
            (packet::MARKER, b"PGP"),
            (packet::TRUST, b""),
            (40, b""),
            (63, b"x"),
            (packet::SIGNATURE, &[5, 0]),
            (packet::SIGNATURE, &[4, 0, 99, 8, 0, 0]),
            (packet::PUBLIC_KEY, &[3, 0, 0, 0, 0, 1]),
            (packet::SECRET_SUBKEY, &[5, 0, 0, 0, 0, 1]),
            (packet::ENCRYPTED_SESSION_KEY, &[2]),
            (packet::PASSWORD_SESSION_KEY, &[5, 9]),
            (packet::PASSWORD_SESSION_KEY, &[4, 1]),
            (packet::ONE_PASS_SIGNATURE, &[3, 0, 1]),
            (packet::COMPRESSED, &[4]),
            (packet::PROTECTED, &[3]),
        ];
        for (tag, body) in passed_over {
            assert_eq!(next(tag, body), Ok(false), "{tag} {body:x?}");
        }
    }

    #[test]
    fn other_packets_are_not_signatures() {
        let refused: [(u8, &[u8]); 9] = [
            (packet::MARKER, b"PGQ"),
            (packet::USER_ID, b"a"),
            (packet::ENCRYPTED_SESSION_KEY, &[3]),
            (packet::PASSWORD_SESSION_KEY, &[4, 9]),
            (packet::ONE_PASS_SIGNATURE, &[3, 0, 8]),
            (packet::COMPRESSED, &[3]),
            (packet::PROTECTED, &[1]),
            (11, b"b"),
            (21, b""),
        ];
        for (tag, body) in refused {
            assert!(
                matches!(next(tag, body), Err(Error::Structure(_))),
                "{tag} {body:x?}"
            );
        }
        assert_eq!(next(39, b""), Err(Error::CriticalPacket(39)));
        assert_eq!(next(packet::COMPRESSED, b""), Err(Error::End));
    }
}
