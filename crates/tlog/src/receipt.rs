//! COSE receipts of inclusion (RFC 9942): the inclusion proof of an entry as CBOR, with a signature
//! of the log over the root that the proof leads to.
//!
//! The root is not in the receipt, so whoever verifies has to derive it from the entry.

use coset::cbor::value::Value;
use coset::iana::Algorithm;
use coset::{
    CborSerializable as _, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label,
    TaggedCborSerializable as _,
};

use crate::{
    Hash, KeyAlgorithm, LeafIndex, MAX_INCLUSION_PROOF, ProofError, TreeSize, VerifyingKey,
    root_of_inclusion,
};

/// The media type of a receipt (RFC 9052 section 12).
pub const RECEIPT_MEDIA_TYPE: &str = r#"application/cose; cose-type="cose-sign1""#;

/// Header parameter `vds`, the kind of tree (RFC 9942).
const VERIFIABLE_DATA_STRUCTURE: i64 = 395;
/// Header parameter `vdp`, the proofs (RFC 9942).
const VERIFIABLE_DATA_PROOFS: i64 = 396;
/// `RFC9162_SHA256`, the kind of these trees (RFC 9942).
const RFC9162_SHA256: i64 = 1;
/// The label of inclusion proofs among the proofs (RFC 9942).
const INCLUSION: i64 = -1;
/// Header parameter for CWT claims (RFC 9597).
const CWT_CLAIMS: i64 = 15;
/// The claim `iss` (RFC 8392).
const ISSUER: i64 = 1;
/// Largest receipt that is read: 63 hashes of 34 bytes, two headers, a signature, and as much again.
const MAX_RECEIPT_BYTES: usize = 8 * 1024;

/// A receipt that was read or is to be written. Nothing in it is checked before
/// [`Receipt::verify`].
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// The index of the entry in its tree.
    pub index: LeafIndex,
    /// The size of the tree whose root is signed.
    pub size: TreeSize,
    /// The inclusion proof, leaf to root.
    pub hashes: Vec<Hash>,
    header: Header,
    /// The protected header as it was read, which is what the signature covers.
    protected: Vec<u8>,
    signature: Vec<u8>,
}

/// The reason why a receipt cannot be read or does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not a receipt of inclusion, with the fault.
    #[error("not a COSE receipt of inclusion: {0}")]
    Form(&'static str),
    /// The inclusion proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The signature.
    #[error("the signature of the receipt does not verify with the key of the log")]
    Signature,
}

/// The part of a receipt that the log signs and that all entries of one head share.
///
/// The protected header has `alg` (ES256 or EdDSA), `kid`, `vds`, and the CWT claim `iss`.
pub struct SignedRoot<'a> {
    /// The log key.
    pub key: &'a VerifyingKey,
    /// Identifies the key: the log ID, as trust material states it.
    pub key_id: &'a Hash,
    /// The origin of the tree's checkpoint, which becomes the issuer.
    pub origin: &'a str,
    /// The root.
    pub root: Hash,
}

impl SignedRoot<'_> {
    /// Returns the bytes to sign: the `Sig_structure` of RFC 9052 section 4.4. They begin with a
    /// CBOR array, so no checkpoint and no signed entry timestamp can be taken for them.
    pub fn message(&self) -> Vec<u8> {
        let sign1 = CoseSign1Builder::new().protected(self.header()).build();
        sign1.tbs_detached_data(self.root.as_ref(), &[])
    }

    /// Verifies a signature over [`SignedRoot::message`], as [`crate::SigningKey::sign_fixed`]
    /// makes it.
    pub fn is_signed_by(&self, signature: &[u8]) -> bool {
        self.key.verify_fixed(&self.message(), signature).is_ok()
    }

    /// Returns the receipt of an entry. `signature` MUST be over [`SignedRoot::message`].
    pub fn receipt(
        &self,
        index: LeafIndex,
        size: TreeSize,
        hashes: &[Hash],
        signature: Vec<u8>,
    ) -> Vec<u8> {
        let path = hashes.iter().map(|hash| bytes(hash.as_ref())).collect();
        let proof = [
            Value::from(size.0),
            Value::from(index.0),
            Value::Array(path),
        ];
        let proof = encoded(&Value::Array(proof.to_vec()));
        let proofs = (Value::from(INCLUSION), Value::Array(vec![bytes(&proof)]));
        let unprotected = HeaderBuilder::new()
            .value(VERIFIABLE_DATA_PROOFS, Value::Map(vec![proofs]))
            .build();
        let sign1 = CoseSign1Builder::new()
            .protected(self.header())
            .unprotected(unprotected)
            .signature(signature)
            .build();
        // Unwrap safety: writing into memory does not fail, and no label is there twice.
        sign1.to_tagged_vec().unwrap_or_default()
    }

    fn header(&self) -> Header {
        let claims = (Value::from(ISSUER), Value::from(self.origin));
        HeaderBuilder::new()
            .algorithm(algorithm(self.key))
            .key_id(self.key_id.as_ref().to_vec())
            .value(CWT_CLAIMS, Value::Map(vec![claims]))
            .value(VERIFIABLE_DATA_STRUCTURE, Value::from(RFC9162_SHA256))
            .build()
    }
}

impl Receipt {
    /// Reads a receipt of inclusion. It MUST have one proof, and no payload.
    ///
    /// # Errors
    ///
    /// The bytes are another thing, or have more than 8 KiB.
    pub fn from_bytes(receipt: &[u8]) -> Result<Self, ReceiptError> {
        let fault = ReceiptError::Form;
        if receipt.len() > MAX_RECEIPT_BYTES {
            return Err(fault("too large"));
        }
        let sign1 = CoseSign1::from_tagged_slice(receipt).map_err(|_| fault("no COSE_Sign1"))?;
        if sign1.payload.is_some() {
            return Err(fault("its payload is not detached"));
        }
        let header = sign1.protected.header;
        if integer(value(&header, VERIFIABLE_DATA_STRUCTURE)) != Some(RFC9162_SHA256) {
            return Err(fault("its tree is not RFC9162_SHA256"));
        }
        let (index, size, hashes) = inclusion(&sign1.unprotected).ok_or(fault("no proof"))?;
        Ok(Self {
            index,
            size,
            hashes,
            header,
            protected: sign1.protected.original_data.unwrap_or_default(),
            signature: sign1.signature,
        })
    }

    /// Returns the origin of the tree that the receipt names, if it names one.
    pub fn origin(&self) -> Option<&str> {
        let claims = value(&self.header, CWT_CLAIMS)?.as_map()?;
        let (_, issuer) = claims
            .iter()
            .find(|(label, _)| integer(Some(label)) == Some(ISSUER))?;
        issuer.as_text()
    }

    /// Verifies that the entry of `leaf_hash` is in a tree whose root the key signed. Returns the
    /// root.
    ///
    /// # Errors
    ///
    /// The proof is too long or too short, the key has another algorithm, or the signature is not
    /// over the root that the proof leads to.
    pub fn verify(&self, leaf_hash: &Hash, key: &VerifyingKey) -> Result<Hash, ReceiptError> {
        let root = root_of_inclusion(leaf_hash, self.index, self.size, &self.hashes)?;
        let is_of_key =
            self.header.alg == HeaderBuilder::new().algorithm(algorithm(key)).build().alg;
        let protected = coset::ProtectedHeader {
            original_data: Some(self.protected.clone()),
            header: self.header.clone(),
        };
        let sign1 = CoseSign1 {
            protected,
            ..CoseSign1::default()
        };
        let message = sign1.tbs_detached_data(root.as_ref(), &[]);
        let verified = key.verify_fixed(&message, &self.signature);
        match verified {
            Ok(()) if is_of_key => Ok(root),
            _ => Err(ReceiptError::Signature),
        }
    }
}

fn algorithm(key: &VerifyingKey) -> Algorithm {
    match key.algorithm() {
        KeyAlgorithm::EcdsaP256 => Algorithm::ES256,
        KeyAlgorithm::Ed25519 => Algorithm::EdDSA,
    }
}

/// Returns the one inclusion proof in an unprotected header.
fn inclusion(header: &Header) -> Option<(LeafIndex, TreeSize, Vec<Hash>)> {
    let proofs = value(header, VERIFIABLE_DATA_PROOFS)?.as_map()?;
    let (_, proofs) = proofs
        .iter()
        .find(|(label, _)| integer(Some(label)) == Some(INCLUSION))?;
    let [proof] = proofs.as_array()?.as_slice() else {
        return None;
    };
    let proof = Value::from_slice(proof.as_bytes()?).ok()?;
    let [size, index, path] = proof.as_array()?.as_slice() else {
        return None;
    };
    let path = path.as_array()?;
    if path.len() > MAX_INCLUSION_PROOF {
        return None;
    }
    let hash = |hash: &Value| Hash::try_from(hash.as_bytes()?.as_slice()).ok();
    let number = |number: &Value| u64::try_from(number.as_integer()?).ok();
    let hashes = path.iter().map(hash).collect::<Option<Vec<Hash>>>()?;
    Some((LeafIndex(number(index)?), TreeSize(number(size)?), hashes))
}

fn value(header: &Header, label: i64) -> Option<&Value> {
    let (_, value) = header
        .rest
        .iter()
        .find(|(found, _)| *found == Label::Int(label))?;
    Some(value)
}

fn integer(value: Option<&Value>) -> Option<i64> {
    i64::try_from(value?.as_integer()?).ok()
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn encoded(value: &Value) -> Vec<u8> {
    // Unwrap safety: writing into memory does not fail.
    value.clone().to_vec().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;

    use super::*;
    use crate::{SigningKey, leaf_hash, node_hash};

    fn keys() -> [SigningKey; 2] {
        let rng = SystemRandom::new();
        let p256 = SigningKey::generate_p256_pkcs8(&rng).unwrap();
        let ed25519 = SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
        [p256, ed25519].map(|der| SigningKey::from_pkcs8(&der, &rng).unwrap())
    }

    fn receipt(key: &SigningKey) -> Vec<u8> {
        let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
        let signed = SignedRoot {
            key: key.verifying_key(),
            key_id: &key.verifying_key().log_id(),
            origin: "log.example/trees/7",
            root: node_hash(&a, &b),
        };
        let signature = key.sign_fixed(&signed.message(), &SystemRandom::new());
        signed.receipt(LeafIndex(1), TreeSize(2), &[a], signature.unwrap())
    }

    #[test]
    fn a_receipt_proves_its_entry_and_no_other() {
        for key in keys() {
            let bytes = receipt(&key);
            let receipt = Receipt::from_bytes(&bytes).unwrap();
            assert_eq!(receipt.origin(), Some("log.example/trees/7"));
            assert_eq!((receipt.index, receipt.size), (LeafIndex(1), TreeSize(2)));
            let public = key.verifying_key();
            let root = node_hash(&leaf_hash(b"a"), &leaf_hash(b"b"));
            assert_eq!(receipt.verify(&leaf_hash(b"b"), public), Ok(root));
            let other = receipt.verify(&leaf_hash(b"a"), public);
            assert_eq!(other, Err(ReceiptError::Signature));
            let [first, second] = keys();
            for other in [first, second] {
                let other = receipt.verify(&leaf_hash(b"b"), other.verifying_key());
                assert_eq!(other, Err(ReceiptError::Signature));
            }
        }
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        for key in keys() {
            let bytes = receipt(&key);
            // The absent payload: null and undefined are read alike.
            let payload = bytes.len() - 67;
            for at in (0..bytes.len()).filter(|at| *at != payload) {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                let outcome = Receipt::from_bytes(&changed)
                    .and_then(|receipt| receipt.verify(&leaf_hash(b"b"), key.verifying_key()));
                assert!(outcome.is_err(), "byte {at}");
            }
        }
    }

    /// One number in 256 has a zero byte in front, which DER leaves out.
    #[test]
    fn signatures_have_64_bytes() {
        let rng = SystemRandom::new();
        for key in keys() {
            for number in 0..2_000_u16 {
                let message = number.to_be_bytes();
                let signature = key.sign_fixed(&message, &rng).unwrap();
                assert_eq!(signature.len(), 64);
                key.verifying_key()
                    .verify_fixed(&message, &signature)
                    .unwrap();
            }
        }
    }

    /// The bytes of RFC 9942's form: tag 18, the protected header with its four labels in the order
    /// of deterministic encoding, no payload.
    #[test]
    fn the_form_is_that_of_the_rfc() {
        let [p256, _] = keys();
        let bytes = hex::encode(receipt(&p256));
        let id = hex::encode(p256.verifying_key().log_id());
        let origin = hex::encode("log.example/trees/7");
        let protected = format!("a40126045820{id}0fa10173{origin}19018b01");
        let length = protected.len() / 2;
        let path = format!("5826830201815820{}", hex::encode(leaf_hash(b"a")));
        let expected = format!("d28458{length:02x}{protected}a119018ca12081{path}f65840");
        assert_eq!(bytes[..expected.len()], expected);
        assert_eq!(bytes.len(), expected.len() + 128);
    }
}
