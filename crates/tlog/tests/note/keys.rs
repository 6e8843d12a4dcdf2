//! Throw-away keys.

use ring::rand::SystemRandom;
use tlog::{NoteKey, SigningKey};

pub(crate) const ED25519_SEED: [u8; 32] = [7; 32];

pub(crate) fn rng() -> SystemRandom {
    SystemRandom::new()
}

pub(crate) fn p256() -> SigningKey {
    let pkcs8 = SigningKey::generate_p256_pkcs8(&rng()).expect("randomness");
    SigningKey::from_pkcs8(&pkcs8, &rng()).expect("own key")
}

pub(crate) fn ed25519() -> SigningKey {
    SigningKey::from_pkcs8(&ed25519_pkcs8(), &rng()).expect("RFC 8410 key")
}

/// As OpenSSL writes it (RFC 8410 section 7): version 1, no public key.
pub(crate) fn ed25519_pkcs8() -> Vec<u8> {
    [
        &[
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ],
        ED25519_SEED.as_slice(),
    ]
    .concat()
}

pub(crate) fn note_key(name: &str, key: &SigningKey) -> NoteKey {
    NoteKey::new(name, key.verifying_key().clone()).expect("key name")
}
