//! Signatures on secp256k1 as the crate `k256` takes them.

use pgp::types::{Mpi, SignatureBytes};

/// The order of secp256k1.
const SECP256K1_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// The signature with the smaller of the two numbers s that verify alike. The crate `k256` takes no
/// other, as Bitcoin has it; OpenPGP knows no such rule.
pub(super) fn with_low_s(numbers: &SignatureBytes) -> SignatureBytes {
    let SignatureBytes::Mpis(integers) = numbers else {
        return numbers.clone();
    };
    let [r, s] = &integers[..] else {
        return numbers.clone();
    };
    let mut padded = [0; 32];
    let Some(place) = 32_usize
        .checked_sub(s.len())
        .map(|from| &mut padded[from..])
    else {
        return numbers.clone();
    };
    place.copy_from_slice(s.as_ref());
    // The order less s, digit by digit; s is below the order, or nothing verifies.
    let mut other = [0; 32];
    let mut borrow = false;
    for at in (0..32).rev() {
        let (digit, first) = SECP256K1_ORDER[at].overflowing_sub(padded[at]);
        let (digit, second) = digit.overflowing_sub(u8::from(borrow));
        (other[at], borrow) = (digit, first || second);
    }
    match borrow {
        true => numbers.clone(),
        false => SignatureBytes::Mpis(vec![r.clone(), Mpi::from_slice(&padded.min(other))]),
    }
}
