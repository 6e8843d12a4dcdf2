//! The values of a claim, packed into the one value in which they are stored.

use super::claims::ClaimValues;
use super::error::{StoreError, StoreResult};
use super::packed_keys::{push_length, split_length};

/// Packs values into bytes: for each, in the order of their aspects, the aspect in two bytes, the
/// length of the value (LEB128), and the value. No values give no bytes.
pub(crate) fn pack_values(values: &ClaimValues) -> Vec<u8> {
    let mut packed = Vec::new();
    for (aspect, value) in values {
        packed.extend_from_slice(&aspect.to_be_bytes());
        push_length(&mut packed, value.len());
        packed.extend_from_slice(value);
    }
    packed
}

/// Unpacks stored values. `leaf_index` is named in the error.
///
/// # Errors
///
/// [`StoreError::Damaged`] if they are not packed as [`pack_values`] does it.
pub(crate) fn unpack_values(packed: &[u8], leaf_index: u64) -> StoreResult<ClaimValues> {
    split_values(packed)
        .filter(|values| pack_values(values) == packed)
        .ok_or_else(|| {
            let what = format!("claim.packed_values of leaf index {leaf_index}");
            StoreError::Damaged(what)
        })
}

fn split_values(mut packed: &[u8]) -> Option<ClaimValues> {
    let mut values = ClaimValues::new();
    while let Some((aspect, rest)) = packed.split_first_chunk() {
        let (length, rest) = split_length(rest)?;
        let (value, rest) = rest.split_at_checked(length)?;
        values.insert(i16::from_be_bytes(*aspect), value.to_vec());
        packed = rest;
    }
    packed.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        for values in [
            vec![],
            vec![(1, vec![])],
            vec![(1, vec![7; 32]), (2, vec![8; 64]), (300, vec![9; 200])],
        ] {
            let values = ClaimValues::from_iter(values);
            let packed = pack_values(&values);
            assert_eq!(packed.is_empty(), values.is_empty());
            assert_eq!(unpack_values(&packed, 0).unwrap(), values);
        }
    }

    #[test]
    fn no_other_bytes_are_values() {
        for packed in [
            &[0][..],
            &[0, 1],
            &[0, 1, 1],
            &[0, 1, 0, 0],
            // Twice, in another order, and a length in more bytes than it needs.
            &[0, 1, 0, 0, 1, 0],
            &[0, 2, 0, 0, 1, 0],
            &[0, 1, 0x80, 0],
            &[0, 1, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ] {
            let error = unpack_values(packed, 5).unwrap_err();
            assert!(matches!(error, StoreError::Damaged(_)), "{packed:?}");
        }
    }
}
