//! Clear-signed text (RFC 9580 section 7), as Rekor's library reads it.

use super::{Key, SIGNATURE, Signature, armor};
use crate::format;
use crate::work::Work;

const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &[u8] = b"\n-----END PGP SIGNATURE-----";
/// Names that the header `Hash` may have. Nothing follows from them.
const HASHES: [&str; 9] = [
    "MD5",
    "SHA1",
    "RIPEMD160",
    "SHA224",
    "SHA256",
    "SHA384",
    "SHA512",
    "SHA3-256",
    "SHA3-512",
];

/// A text and its signature, which is not verified.
pub struct ClearSigned {
    text: Vec<u8>,
    signed: Vec<u8>,
    signature: Signature,
}

impl ClearSigned {
    /// Parses the first clear-signed message in `document`. None if the document has no whole one.
    /// Errors if its signature cannot be read.
    pub fn parse(document: &[u8]) -> Result<Option<Self>, crate::Error> {
        let Some((text, signed, block)) = split(document) else {
            return Ok(None);
        };
        let Some(armor::Block {
            label,
            bytes: Some(packets),
        }) = armor::decode(block)
        else {
            return Ok(None);
        };
        if label != SIGNATURE.as_bytes() {
            return Ok(None);
        }
        Ok(Some(Self {
            text,
            signed,
            signature: Signature::from_packets(&packets)?,
        }))
    }

    /// The text as it was before it was signed: dashes not escaped, no blanks at line ends, LF, no
    /// final line break.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns the signature over the text.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Checks that a key of this ring signed the text.
    pub fn verify(&self, key: &Key, work: &mut Work) -> Result<(), crate::Error> {
        format::Signature::verify(&self.signature, &self.signed, key, work)
    }
}

/// The text, the text as it is signed (with CR LF), and the armored signature.
fn split(document: &[u8]) -> Option<(Vec<u8>, Vec<u8>, &[u8])> {
    let mut rest = after_headers(&document[beginning(document)?..])?;
    let (mut text, mut signed) = (Vec::new(), Vec::new());
    let mut is_first = true;
    loop {
        let (line, after) = line(rest);
        if line == BEGIN_SIGNATURE {
            break;
        }
        if line.is_empty() && after.is_empty() {
            return None;
        }
        if !is_first {
            signed.extend_from_slice(b"\r\n");
            text.push(b'\n');
        }
        is_first = false;
        let line = line.strip_prefix(b"- ").unwrap_or(line);
        let blanks = line
            .iter()
            .rev()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        let line = &line[..line.len() - blanks];
        signed.extend_from_slice(line);
        text.extend_from_slice(line);
        rest = after;
    }
    let end = find(rest, END_SIGNATURE)? + END_SIGNATURE.len();
    Some((text, signed, &rest[..end]))
}

/// Where the line with the beginning ends, but for its line break.
fn beginning(document: &[u8]) -> Option<usize> {
    if document.starts_with(BEGIN) {
        return Some(BEGIN.len());
    }
    find(document, &[b"\n", BEGIN].concat()).map(|at| at + 1 + BEGIN.len())
}

/// Returns the text after the headers. The only header that may be there is `Hash`.
fn after_headers(rest: &[u8]) -> Option<&[u8]> {
    let (suffix, mut rest) = line(rest);
    if !suffix.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (header, after) = line(rest);
        rest = after;
        if header.trim_ascii().is_empty() {
            return Some(rest);
        }
        let (name, hashes) = std::str::from_utf8(header).ok()?.split_once(':')?;
        let is_hash = |hash: &str| HASHES.contains(&hash.trim().to_ascii_uppercase().as_str());
        if name.trim() != "Hash" || !hashes.split(',').all(is_hash) {
            return None;
        }
    }
    None
}

/// The first line without its line break, and what follows that.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (
            bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]),
            &bytes[at + 1..],
        ),
        None => (bytes, &[]),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_it_was() {
        let document = "before\n-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: sha512, SHA256\r\n\r\n- -a \t\r\n\r\nb\n-----BEGIN PGP SIGNATURE-----\n\nAA==\n-----END PGP SIGNATURE-----\nafter";
        let (text, signed, block) = split(document.as_bytes()).unwrap();
        assert_eq!(
            (&text[..], &signed[..]),
            (&b"-a\n\nb"[..], &b"-a\r\n\r\nb"[..])
        );
        assert_eq!(
            block,
            &b"-----BEGIN PGP SIGNATURE-----\n\nAA==\n-----END PGP SIGNATURE-----"[..]
        );
    }

    /// Made by gpg.
    #[test]
    fn a_signed_text_is_verified() {
        let document = include_bytes!("../../../entry/tests/entry/pki/pgp/ed25519.clear");
        let key = format::Key::parse(
            include_bytes!("../../../entry/tests/entry/pki/pgp/ed25519.key"),
            &mut Work::of_request(0),
        )
        .unwrap();
        let message = ClearSigned::parse(document).unwrap().unwrap();
        assert_eq!(message.text(), b"signed by example");
        assert_eq!(message.verify(&key, &mut Work::of_request(0)), Ok(()));
        assert!(
            format::Signature::canonical(message.signature())
                .starts_with(b"-----BEGIN PGP SIGNATURE-----\n\n")
        );
        let other = String::from_utf8(document.to_vec())
            .unwrap()
            .replacen("example", "examplf", 1);
        let refusal = ClearSigned::parse(other.as_bytes())
            .unwrap()
            .unwrap()
            .verify(&key, &mut Work::of_request(0))
            .unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "openpgp: invalid signature: EdDSA verification failure"
        );
    }

    #[test]
    fn incomplete_messages_are_not_found() {
        let end = "-----BEGIN PGP SIGNATURE-----\n\nAA==\n-----END PGP SIGNATURE-----";
        for document in [
            "".to_owned(),
            "text".to_owned(),
            format!("x{}\n\na\n{end}", "-----BEGIN PGP SIGNED MESSAGE-----"),
            format!("-----BEGIN PGP SIGNED MESSAGE-----x\n\na\n{end}"),
            format!("-----BEGIN PGP SIGNED MESSAGE-----\nComment: x\n\na\n{end}"),
            format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA999\n\na\n{end}"),
            "-----BEGIN PGP SIGNED MESSAGE-----\n\na\n".to_owned(),
            "-----BEGIN PGP SIGNED MESSAGE-----\n\na\n-----BEGIN PGP SIGNATURE-----\n\nAA==\n"
                .to_owned(),
        ] {
            assert!(split(document.as_bytes()).is_none(), "{document}");
        }
    }
}
