//! The signer in a Rekor v2 request or leaf: a key or one certificate, and the algorithm that it is
//! used with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sigstore_protobuf_specs::dev::sigstore::common::v1::PublicKeyDetails;
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::{Verifier, verifier};

use crate::algorithms::Algorithms;
use crate::refusal::Refusal;
use crate::search;
use pki::digest::HashAlgorithm;
use pki::public_key::{Curve, KeyKind, PublicKey};
use pki::x509::Key;

/// The input of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// A digest. Ed25519 is then Ed25519ph.
    Digest(HashAlgorithm),
    /// The message itself: pure Ed25519.
    Message,
}

/// The algorithms with their keys. Rekor v2 has more names and admits none of the others.
#[expect(
    deprecated,
    reason = "an operator may admit P-384 and P-521 with SHA-256, as on the v1 API"
)]
const ALGORITHMS: [(PublicKeyDetails, KeyKind, Scheme); 10] = {
    use HashAlgorithm::{Sha256, Sha384, Sha512};
    [
        (
            PublicKeyDetails::PkixEcdsaP256Sha256,
            KeyKind::Ecdsa(Curve::P256),
            Scheme::Digest(Sha256),
        ),
        (
            PublicKeyDetails::PkixEcdsaP384Sha384,
            KeyKind::Ecdsa(Curve::P384),
            Scheme::Digest(Sha384),
        ),
        (
            PublicKeyDetails::PkixEcdsaP521Sha512,
            KeyKind::Ecdsa(Curve::P521),
            Scheme::Digest(Sha512),
        ),
        (
            PublicKeyDetails::PkixEcdsaP384Sha256,
            KeyKind::Ecdsa(Curve::P384),
            Scheme::Digest(Sha256),
        ),
        (
            PublicKeyDetails::PkixEcdsaP521Sha256,
            KeyKind::Ecdsa(Curve::P521),
            Scheme::Digest(Sha256),
        ),
        (
            PublicKeyDetails::PkixRsaPkcs1v152048Sha256,
            KeyKind::Rsa { bytes: 256 },
            Scheme::Digest(Sha256),
        ),
        (
            PublicKeyDetails::PkixRsaPkcs1v153072Sha256,
            KeyKind::Rsa { bytes: 384 },
            Scheme::Digest(Sha256),
        ),
        (
            PublicKeyDetails::PkixRsaPkcs1v154096Sha256,
            KeyKind::Rsa { bytes: 512 },
            Scheme::Digest(Sha256),
        ),
        (
            PublicKeyDetails::PkixEd25519Ph,
            KeyKind::Ed25519,
            Scheme::Digest(Sha512),
        ),
        (
            PublicKeyDetails::PkixEd25519,
            KeyKind::Ed25519,
            Scheme::Message,
        ),
    ]
};

/// A verifier that parsed, whose algorithm is one for its key.
pub(crate) struct Signer {
    key: Key,
    details: PublicKeyDetails,
    scheme: Scheme,
    given: verifier::Verifier,
}

impl Signer {
    /// Parses a verifier. `keyDetails` MUST be those of the key: Rekor takes any with the same
    /// hash, and then no client can verify the entry.
    pub(crate) fn new(verifier: Option<Verifier>) -> Result<Self, Refusal> {
        let verifier = verifier.ok_or_else(|| missing("a verifier"))?;
        let given = verifier
            .verifier
            .ok_or_else(|| missing("a public key or a certificate"))?;
        let key = match &given {
            verifier::Verifier::PublicKey(key) if key.raw_bytes.is_empty() => {
                return Err(missing("the public key"));
            }
            verifier::Verifier::PublicKey(key) => Key::from_spki_der(&key.raw_bytes)?,
            verifier::Verifier::X509Certificate(certificate)
                if certificate.raw_bytes.is_empty() =>
            {
                return Err(missing("the certificate"));
            }
            verifier::Verifier::X509Certificate(certificate) => {
                Key::from_certificate_der(&certificate.raw_bytes)?
            }
        };
        let details = PublicKeyDetails::try_from(verifier.key_details);
        let details =
            details.map_err(|_| Refusal::Invalid("keyDetails is no known algorithm".to_owned()))?;
        let algorithm = ALGORITHMS
            .iter()
            .find(|(named, kind, _)| *named == details && *kind == key.public_key().kind());
        match algorithm {
            Some(&(_, _, scheme)) => Ok(Self {
                key,
                details,
                scheme,
                given,
            }),
            None => Err(Refusal::Invalid(format!(
                "{} is no algorithm for this key",
                details.as_str_name()
            ))),
        }
    }

    pub(crate) fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether its algorithm is one of these.
    pub(crate) fn is_admitted(&self, algorithms: &Algorithms) -> bool {
        match self.scheme {
            Scheme::Digest(hash) => algorithms.admits(self.public_key().kind(), hash),
            Scheme::Message => algorithms.admits_ed25519(),
        }
    }

    /// Returns the search keys: the hash of the key, and the certificate's names.
    pub(crate) fn index_keys(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(search::key_hash(&self.key)).chain(search::key_names(&self.key))
    }

    /// Writes the verifier as leaf bytes have it.
    pub(crate) fn write(&self, leaf: &mut String) {
        *leaf += r#"{"keyDetails":""#;
        *leaf += self.details.as_str_name();
        let (field, bytes) = match &self.given {
            verifier::Verifier::PublicKey(key) => ("publicKey", &key.raw_bytes),
            verifier::Verifier::X509Certificate(certificate) => {
                ("x509Certificate", &certificate.raw_bytes)
            }
        };
        *leaf += r#"",""#;
        *leaf += field;
        *leaf += r#"":{"rawBytes":""#;
        STANDARD.encode_string(bytes, leaf);
        *leaf += r#""}}"#;
    }

    /// Returns about how many bytes [`Signer::write`] writes.
    pub(crate) fn written_len(&self) -> usize {
        // PEM is base64 as well.
        100 + self.key.canonical().len()
    }
}

/// The refusal of a request without this part.
pub(crate) fn missing(what: &str) -> Refusal {
    Refusal::Invalid(format!("{what} is missing"))
}
