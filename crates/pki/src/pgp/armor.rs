//! ASCII armor (RFC 9580 section 6) as the Go library of Rekor v1.5.4 reads and writes it: of text
//! around a block it takes no notice, nor of the checksum when it reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::base64::BASE64;

/// Columns of base64 in a line that is written.
const LINE_WIDTH: usize = 64;
/// Bytes of a line of a block, without white space around it: Go's limit.
const MAX_LINE: usize = 96;
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// An armored block: its label and its bytes. The bytes are None if they are not base64.
pub(super) struct Block<'a> {
    pub(super) label: &'a [u8],
    pub(super) bytes: Option<Vec<u8>>,
}

/// The first block of `text`. What begins like one and then has a line that is neither a header nor
/// empty is none.
pub(super) fn decode(text: &[u8]) -> Option<Block<'_>> {
    let mut lines = text
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii);
    loop {
        let label = lines.by_ref().find_map(|line| {
            (line.len() > BEGIN.len() + DASHES.len())
                .then(|| line.strip_prefix(BEGIN))
                .flatten()
        })?;
        let label = &label[..label.len() - DASHES.len()];
        if lines
            .by_ref()
            .find(|line| !line.contains(&b':'))?
            .is_empty()
        {
            return Some(Block {
                label,
                bytes: decode_body(lines),
            });
        }
    }
}

fn decode_body<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut digits = Vec::new();
    for line in lines.take_while(|line| !line.starts_with(END) && !is_checksum(line)) {
        if line.len() > MAX_LINE {
            return None;
        }
        digits.extend_from_slice(line);
    }
    BASE64.decode(digits).ok()
}

fn is_checksum(line: &[u8]) -> bool {
    line.len() == 5 && line[0] == b'='
}

/// A block without headers: 64 columns, a checksum, no final line break.
pub(super) fn encode(label: &str, bytes: &[u8]) -> Vec<u8> {
    let encoded = STANDARD.encode(bytes);
    let mut text =
        Vec::with_capacity(encoded.len() / LINE_WIDTH * (LINE_WIDTH + 1) + 2 * label.len() + 110);
    for part in [BEGIN, label.as_bytes(), b"-----\n\n"] {
        text.extend_from_slice(part);
    }
    for line in encoded.as_bytes().chunks(LINE_WIDTH) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.push(b'=');
    text.extend_from_slice(
        STANDARD
            .encode(&checksum(bytes).to_be_bytes()[1..])
            .as_bytes(),
    );
    for part in [b"\n", END, label.as_bytes(), DASHES] {
        text.extend_from_slice(part);
    }
    text
}

/// CRC-24 (RFC 9580 section 6.1.1).
fn checksum(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x0186_4cfb;
    let mut crc = 0x00b7_04ce;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= POLYNOMIAL;
            }
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<(&str, Option<Vec<u8>>)> {
        decode(text.as_bytes())
            .map(|block| (std::str::from_utf8(block.label).unwrap(), block.bytes))
    }

    #[test]
    fn forms_that_hold_the_same() {
        let expected = Some(("PGP X", Some(vec![0, 1, 2])));
        for text in [
            "-----BEGIN PGP X-----\n\nAAEC\n=AAAA\n-----END PGP X-----\n",
            "-----BEGIN PGP X-----\r\nVersion: 1\r\nComment:\r\n\r\nAAEC\r\n-----END PGP X-----",
            "text\n\n  -----BEGIN PGP X-----  \n \t\nAA\n EC \n",
            "-----BEGIN PGP Y-----\nno header\n-----BEGIN PGP X-----\n\nAAEC\n=AAAA\nmore\n",
        ] {
            assert_eq!(one(text), expected, "{text:?}");
        }
        // A checksum of another length, or in one line with the data, does not count.
        for body in ["A?EC\n", "AAEC\n=AAA\n", "AAEC=AAAA\n-----END PGP X-----\n"] {
            assert_eq!(
                one(&format!("-----BEGIN PGP X-----\n\n{body}")),
                Some(("PGP X", None)),
                "{body}"
            );
        }
        assert_eq!(
            one(&format!("-----BEGIN PGP X-----\n\n{}\n", "A".repeat(100))),
            Some(("PGP X", None))
        );
        for text in [
            "",
            "text",
            "-----BEGIN PGP X-----",
            "-----BEGIN PGP X-----\na: b\n",
            "-----BEGIN -----\n\nAA==\n",
        ] {
            assert_eq!(one(text), None, "{text:?}");
        }
    }

    #[test]
    fn encoding_is_read_back() {
        for length in [0, 1, 47, 48, 49, 96, 1000] {
            let bytes = vec![7; length];
            let text = encode("PGP X", &bytes);
            assert_eq!(
                one(std::str::from_utf8(&text).unwrap()),
                Some(("PGP X", Some(bytes))),
                "{length}"
            );
        }
        let text = encode("PGP SIGNATURE", b"a");
        assert_eq!(
            text,
            b"-----BEGIN PGP SIGNATURE-----\n\nYQ==\n=8lcT\n-----END PGP SIGNATURE-----"
        );
    }
}
