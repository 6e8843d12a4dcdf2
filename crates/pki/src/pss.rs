//! RSASSA-PSS with SHA-256 and a salt of any length, as Go verifies it by default: aws-lc-rs takes
//! only a salt as long as the hash, and Go's signers make the longest that fits.

use rsa::BigUint;

use crate::digest::sha256;

/// A key: modulus and public exponent as big-endian numbers without leading zeros.
pub(crate) struct Numbers<'a> {
    pub(crate) modulus: &'a [u8],
    pub(crate) exponent: &'a [u8],
}

impl Numbers<'_> {
    /// RFC 8017 section 8.1.2, with the length of the salt taken from what was signed; some if the
    /// signature verifies.
    pub(crate) fn verify_pss(&self, digest: &[u8; 32], signature: &[u8]) -> Option<()> {
        let [modulus, exponent, number] =
            [self.modulus, self.exponent, signature].map(BigUint::from_bytes_be);
        if signature.len() != self.modulus.len() || number >= modulus {
            return None;
        }
        let bits = modulus.bits().checked_sub(1)?;
        let message = number.modpow(&exponent, &modulus).to_bytes_be();
        // Left out by to_bytes_be: the zeros at the front.
        let zeros = bits.div_ceil(8).checked_sub(message.len())?;
        verify_encoded(
            &[vec![0; zeros], message].concat(),
            8 * bits.div_ceil(8) - bits,
            digest,
        )
    }
}

/// Section 9.1.2, for an encoded message whose first `unused` bits are zero.
fn verify_encoded(encoded: &[u8], unused: usize, digest: &[u8; 32]) -> Option<()> {
    let (masked, rest) = encoded.split_at_checked(encoded.len().checked_sub(33)?)?;
    let (hash, trailer) = rest.split_at_checked(32)?;
    let used = 0xff_u8.checked_shr(u32::try_from(unused).ok()?)?;
    if trailer != [0xbc] || masked.first()? & !used != 0 {
        return None;
    }
    let mut block: Vec<u8> = masked
        .iter()
        .zip(mask(hash))
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    *block.first_mut()? &= used;
    let start = block
        .iter()
        .position(|byte| *byte != 0)
        .filter(|start| block[*start] == 0x01)?;
    let salted = sha256(&[&[0; 8], digest.as_slice(), &block[start + 1..]].concat());
    (salted == hash).then_some(())
}

/// MGF1 (appendix B.2.1).
fn mask(seed: &[u8]) -> impl Iterator<Item = u8> {
    (0_u32..).flat_map(move |counter| sha256(&[seed, &counter.to_be_bytes()].concat()))
}
