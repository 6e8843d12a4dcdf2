//! Revocation lists (RFC 5280 section 5.1) beside certificates. Nobody is asked whether they revoke
//! anything; but they go into entries, which nobody reads with Go if one of them is malformed.

use crate::x509::der::{BOOLEAN, Elements, INTEGER, OCTET_STRING, SEQUENCE, constructed};
use crate::x509::{is_name, is_time};

use super::algorithm::Identifier;

/// Whether these are revocation lists, one after the other.
pub(super) fn are_lists(contents: &[u8]) -> bool {
    each(contents, |list| {
        let mut fields = list.inside(SEQUENCE)?;
        read_list(fields.inside(SEQUENCE)?)?;
        Identifier::read(&fields.any()?)?;
        fields.bit_string().map(drop)
    })
    .is_some()
}

/// `TBSCertList`. What follows its fields is not looked at.
fn read_list(mut fields: Elements<'_>) -> Option<()> {
    if fields.is_next(INTEGER) {
        fields.small_integer()?;
    }
    Identifier::read(&fields.any()?)?;
    is_name(fields.read(SEQUENCE)?).then_some(())?;
    is_time(&mut fields).then_some(())?;
    if !fields.is_empty() && !fields.is_next(SEQUENCE) && !fields.is_next(constructed(0)) {
        is_time(&mut fields).then_some(())?;
    }
    if let Some(revoked) = fields.optional(SEQUENCE)? {
        each(revoked, |certificate| {
            let mut fields = certificate.inside(SEQUENCE)?;
            fields.integer()?;
            is_time(&mut fields).then_some(())?;
            fields.optional(SEQUENCE)?.map_or(Some(()), read_extensions)
        })?;
    }
    match fields.optional(constructed(0))? {
        Some(extensions) => read_extensions(Elements(extensions).read(SEQUENCE)?),
        None => Some(()),
    }
}

fn read_extensions(contents: &[u8]) -> Option<()> {
    each(contents, |extension| {
        let mut fields = extension.inside(SEQUENCE)?;
        fields.object_identifier()?;
        if fields.is_next(BOOLEAN) {
            fields.boolean()?;
        }
        fields.read(OCTET_STRING).map(drop)
    })
}

/// Reads all elements. None if one of them cannot be read.
fn each<'a>(contents: &'a [u8], read: impl Fn(&mut Elements<'a>) -> Option<()>) -> Option<()> {
    let mut elements = Elements(contents);
    while !elements.is_empty() {
        read(&mut elements)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 2, sha256WithRSAEncryption, no name, two dates, one revoked certificate, no bit of a
    /// signature.
    const LIST: &[u8] = &[
        0x30, 82, 0x30, 64, 2, 1, 1, 0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11,
        0x30, 0, 0x17, 11, b'2', b'6', b'0', b'1', b'0', b'1', b'0', b'0', b'0', b'0', b'Z', 0x17,
        11, b'2', b'7', b'0', b'1', b'0', b'1', b'0', b'0', b'0', b'0', b'Z', 0x30, 18, 0x30, 16,
        2, 1, 7, 0x17, 11, b'2', b'6', b'0', b'1', b'0', b'1', b'0', b'0', b'0', b'0', b'Z', 0x30,
        11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 3, 1, 0,
    ];

    #[test]
    fn lists() {
        assert!(are_lists(LIST) && are_lists(&[LIST, LIST].concat()) && are_lists(&[]));
        for length in 1..LIST.len() {
            assert!(!are_lists(&LIST[..length]), "{length}");
        }
        for at in [4, 7, 20, 22, 35, 50, 52, 55, 68] {
            let mut changed = LIST.to_vec();
            changed[at] ^= 0x40;
            assert!(!are_lists(&changed), "{at}");
        }
    }
}
