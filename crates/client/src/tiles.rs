//! The hashes in C2SP tiles and entry bundles.

use std::ops::Range;

use tlog::{Hash, TILE_WIDTH};

use crate::error::{Result, VerifyError};

/// Returns the hashes of a tile.
///
/// # Errors
///
/// The length is not a multiple of 32 bytes.
pub fn hashes(tile: &[u8]) -> Result<Vec<Hash>> {
    tile.chunks(32)
        .map(|hash| Ok(Hash::try_from(hash)?))
        .collect()
}

/// Returns the leaf bytes of the entries in a bundle. Each entry has its length in two bytes before
/// it.
///
/// # Errors
///
/// The bundle ends within an entry or within a length.
pub fn bundle_entries(bundle: &[u8]) -> Result<Vec<&[u8]>> {
    let places = bundle_places(bundle);
    let end = places.last().map_or(0, |place| place.end);
    if end < bundle.len() {
        return Err(VerifyError::Mismatch(
            "the bundle ends within an entry".into(),
        ));
    }
    let entries = places.into_iter().filter_map(|place| bundle.get(place));
    Ok(entries.collect())
}

/// Returns the places of the entries in a bundle, up to where it ends within an entry or within a
/// length.
pub(crate) fn bundle_places(bundle: &[u8]) -> Vec<Range<usize>> {
    let mut places = Vec::with_capacity(TILE_WIDTH);
    let mut start = 0;
    while let Some((length, rest)) = bundle.get(start..).unwrap_or_default().split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        if rest.len() < length {
            break;
        }
        start += size_of::<u16>() + length;
        places.push(start - length..start);
    }
    places
}

/// Returns the leaf hashes of the entries in a bundle.
///
/// # Errors
///
/// As [`bundle_entries`].
///
/// # Example
///
/// ```
/// let hashes = client::tiles::bundle_hashes(b"\x00\x05first\x00\x06second")?;
/// assert_eq!(hashes, [tlog::leaf_hash(b"first"), tlog::leaf_hash(b"second")]);
/// # Ok::<(), client::VerifyError>(())
/// ```
pub fn bundle_hashes(bundle: &[u8]) -> Result<Vec<Hash>> {
    let entries = bundle_entries(bundle)?;
    Ok(entries.into_iter().map(tlog::leaf_hash).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn bundles_are_taken_apart() {
        let hashes = super::bundle_hashes(b"\x00\x03abc\x00\x00\x00\x01d").unwrap();
        assert_eq!(
            hashes,
            [
                tlog::leaf_hash(b"abc"),
                tlog::leaf_hash(b""),
                tlog::leaf_hash(b"d")
            ]
        );
        for bad in [&b"\x00"[..], b"\x00\x02a", b"\x00\x00\x01"] {
            assert!(super::bundle_hashes(bad).is_err());
        }
        assert!(super::hashes(&[0; 33]).is_err());
    }
}
