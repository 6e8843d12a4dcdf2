//! The two forms of an ECDSA signature.

use der::asn1::{IntRef, UintRef};
use der::{Decode, Encode, Header, Length, Reader, SliceReader, Tag};

/// Longest r ‖ s: two numbers of a P-521 signature, 66 bytes each. Rekor has the same limit for all
/// curves.
const MAX_RAW_PAIR: usize = 132;

/// Whether these bytes begin as `SEQUENCE { INTEGER, INTEGER, … }`, whatever follows: what Go's
/// `asn1.Unmarshal` takes. Such bytes are no r ‖ s, even where they are no valid signature because
/// of what follows.
pub(crate) fn is_asn1_pair(signature: &[u8]) -> bool {
    fn parse(signature: &[u8]) -> der::Result<()> {
        let mut reader = SliceReader::new(signature)?;
        let header = Header::decode(&mut reader)?;
        header.tag().assert_eq(Tag::Sequence)?;
        let mut numbers = SliceReader::new(reader.read_slice(header.length())?)?;
        IntRef::decode(&mut numbers)?;
        IntRef::decode(&mut numbers)?;
        Ok(())
    }
    parse(signature).is_ok()
}

/// The ASN.1 form of r ‖ s: the first half is one number, the second the other, of whatever size.
/// None where the length is 0, odd or above [`MAX_RAW_PAIR`].
pub(crate) fn asn1_of_raw_pair(signature: &[u8]) -> Option<Vec<u8>> {
    if signature.is_empty() || signature.len() > MAX_RAW_PAIR || !signature.len().is_multiple_of(2)
    {
        return None;
    }
    let (r, s) = signature.split_at(signature.len() / 2);
    asn1_of_pair(r, s)
}

/// `SEQUENCE { INTEGER, INTEGER }` of two big-endian numbers.
pub(crate) fn asn1_of_pair(first: &[u8], second: &[u8]) -> Option<Vec<u8>> {
    fn encode(first: &[u8], second: &[u8]) -> der::Result<Vec<u8>> {
        let (first, second) = (UintRef::new(first)?, UintRef::new(second)?);
        let length: Length = (first.encoded_len()? + second.encoded_len()?)?;
        let mut asn1 = Vec::with_capacity(2 * MAX_RAW_PAIR);
        Header::new(Tag::Sequence, length).encode_to_vec(&mut asn1)?;
        first.encode_to_vec(&mut asn1)?;
        second.encode_to_vec(&mut asn1)?;
        Ok(asn1)
    }
    encode(first, second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart_as_go_does() {
        let pair = [0x30, 6, 2, 1, 5, 2, 1, 7];
        let asn1: [&[u8]; 4] = [
            &pair,
            &[0x30, 6, 2, 1, 5, 2, 1, 7, 0xff], // trailing bytes
            &[0x30, 8, 2, 1, 5, 2, 1, 7, 5, 0], // a third member
            &[0x30, 6, 2, 1, 0x85, 2, 1, 7],    // negative
        ];
        for bytes in asn1 {
            assert!(is_asn1_pair(bytes), "{bytes:x?}");
        }
        let other: [&[u8]; 6] = [
            &[],
            &[0x30, 3, 2, 1, 5],                // one number
            &[0x30, 0x81, 6, 2, 1, 5, 2, 1, 7], // length not minimal
            &[0x30, 7, 2, 2, 0, 5, 2, 1, 7],    // number not minimal
            &[0x31, 6, 2, 1, 5, 2, 1, 7],       // a set
            &[0x30, 9, 2, 1, 5, 2, 1, 7],       // too short
        ];
        for bytes in other {
            assert!(!is_asn1_pair(bytes), "{bytes:x?}");
        }
    }

    #[test]
    fn raw_pair_becomes_asn1() {
        assert_eq!(
            asn1_of_raw_pair(&[0, 0x85, 0, 7]).unwrap(),
            [0x30, 7, 2, 2, 0, 0x85, 2, 1, 7]
        );
        assert_eq!(
            asn1_of_raw_pair(&[0, 0]).unwrap(),
            [0x30, 6, 2, 1, 0, 2, 1, 0]
        );
        assert_eq!(asn1_of_raw_pair(&[0xff; 132]).unwrap().len(), 3 + 2 * 69);
        for length in [0, 1, 131, 133, 134] {
            assert_eq!(asn1_of_raw_pair(&vec![1; length]), None, "{length}");
        }
    }
}
