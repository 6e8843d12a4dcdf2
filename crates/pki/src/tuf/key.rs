//! Keys of a TUF root.

use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::error::Error;
use crate::go_json::Value;
use crate::pem;
use crate::public_key::{KeyKind, PublicKey};
use crate::work::Work;

/// The bytes before the 65 bytes of a point on P-256 in a `SubjectPublicKeyInfo`.
const P256_SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The bytes before the 32 bytes of an Ed25519 key in it.
const ED25519_SPKI: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A key of a role, which signs with the one scheme that go-tuf has for its type.
pub(super) struct RoleKey(PublicKey);

impl RoleKey {
    /// Parses `{"keytype":…,"keyval":{"public":…}}`.
    pub(super) fn parse(key: &RawValue) -> Result<Self, Error> {
        if key.get() == "null" {
            return Err(invalid("tuf root contains nil key"));
        }
        let [key_type, value] = Value::of(key).members(["keytype", "keyval"])?;
        let key_type = key_type.text()?;
        let [public] = value
            .last()
            .map(Value::of)
            .unwrap_or_default()
            .members(["public"])?;
        let public = public.text()?;
        let key = match &*key_type {
            "ed25519" => {
                from_raw(ED25519_SPKI, 32, &public).filter(|key| key.kind() == KeyKind::Ed25519)
            }
            "rsa" => from_pem(&public).filter(|key| matches!(key.kind(), KeyKind::Rsa { .. })),
            // Early documents have the bare point.
            "ecdsa" | "ecdsa-sha2-nistp256" => from_pem(&public)
                .or_else(|| from_raw(P256_SPKI, 65, &public))
                .filter(|key| matches!(key.kind(), KeyKind::Ecdsa(_))),
            _ => return Err(invalid("invalid key")),
        };
        key.map(Self)
            .ok_or_else(|| invalid("tuf: error unmarshalling key: invalid public key"))
    }

    /// The bytes by which keys are told apart.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    pub(super) fn verifies(
        &self,
        message: &[u8],
        digest: &Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> bool {
        match self.0.kind() {
            KeyKind::Ed25519 => self.0.verify_message(message, signature, work).is_ok(),
            KeyKind::Ecdsa(_) => self.0.verify_ecdsa_asn1(digest, signature, work).is_ok(),
            KeyKind::Rsa { .. } => self.0.verify_pss(digest, signature, work).is_ok(),
        }
    }
}

fn from_pem(text: &str) -> Option<PublicKey> {
    let (block, _) = pem::decode(text.as_bytes())?;
    PublicKey::from_spki(
        Some(block)
            .filter(|block| block.label == b"PUBLIC KEY")?
            .bytes
            .as_slice(),
    )
    .ok()
}

/// From as many bytes in hexadecimal digits.
fn from_raw(prefix: &[u8], length: usize, digits: &str) -> Option<PublicKey> {
    let bytes = (digits.len() == 2 * length).then(|| hex::decode(digits).ok())??;
    PublicKey::from_spki(&[prefix, &bytes].concat()).ok()
}

fn invalid(reason: &str) -> Error {
    Error::Invalid(reason.to_owned())
}
