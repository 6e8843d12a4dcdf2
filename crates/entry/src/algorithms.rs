//! The signing algorithms that a log admits (Rekor's `client-signing-algorithms`).

use pki::digest::HashAlgorithm;
use pki::public_key::{Curve, KeyKind};

/// The algorithms that Rekor v1.5.4 admits when its flag is not given. `ed25519` names no hash and
/// so admits no `hashedrekord`, here as there.
pub const DEFAULT_ALGORITHMS: [&str; 8] = [
    "ecdsa-sha2-256-nistp256",
    "ecdsa-sha2-384-nistp384",
    "ecdsa-sha2-512-nistp521",
    "rsa-sign-pkcs1-2048-sha256",
    "rsa-sign-pkcs1-3072-sha256",
    "rsa-sign-pkcs1-4096-sha256",
    "ed25519",
    "ed25519-ph",
];

/// Signing algorithms, each a kind of key with the hash that it is used with.
#[derive(Clone, Debug)]
pub(crate) struct Algorithms {
    over_digests: Vec<(KeyKind, HashAlgorithm)>,
    /// Over messages. Over a digest an Ed25519 key signs as Ed25519ph.
    has_ed25519: bool,
}

/// A name that is not one of Rekor's names of signing algorithms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a signing algorithm; known are ecdsa-sha2-256-nistp256, ecdsa-sha2-384-nistp384, \
         ecdsa-sha2-512-nistp521, ecdsa-sha2-256-nistp384, ecdsa-sha2-256-nistp521, rsa-sign-pkcs1-2048-sha256, \
         rsa-sign-pkcs1-3072-sha256, rsa-sign-pkcs1-4096-sha256, ed25519, ed25519-ph"
)]
pub struct UnknownAlgorithm(String);

impl Algorithms {
    /// The named algorithms. Takes the names that Rekor's flag takes, but for `rsa-sign-pss-…`:
    /// Rekor verifies no PSS signature of a hashedrekord, and lets PKCS#1 v1.5 pass under those
    /// names.
    pub(crate) fn from_names<Name: AsRef<str>>(
        names: impl IntoIterator<Item = Name>,
    ) -> Result<Self, UnknownAlgorithm> {
        let mut algorithms = Self {
            over_digests: Vec::new(),
            has_ed25519: false,
        };
        for name in names {
            match algorithm(name.as_ref())? {
                Some(pair) => algorithms.over_digests.push(pair),
                None => algorithms.has_ed25519 = true,
            }
        }
        Ok(algorithms)
    }

    /// Whether a signature by a key of `kind` over a digest of `hash` is admitted.
    pub(crate) fn admits(&self, kind: KeyKind, hash: HashAlgorithm) -> bool {
        self.over_digests.contains(&(kind, hash))
    }

    /// Whether pure Ed25519 signatures are admitted.
    pub(crate) fn admits_ed25519(&self) -> bool {
        self.has_ed25519
    }
}

impl Default for Algorithms {
    /// [`DEFAULT_ALGORITHMS`].
    fn default() -> Self {
        let over_digests = DEFAULT_ALGORITHMS
            .iter()
            .filter_map(|name| algorithm(name).ok().flatten())
            .collect();
        Self {
            over_digests,
            has_ed25519: true,
        }
    }
}

/// Returns the algorithm with this name, or None for the one that signs messages only.
fn algorithm(name: &str) -> Result<Option<(KeyKind, HashAlgorithm)>, UnknownAlgorithm> {
    use HashAlgorithm::{Sha256, Sha384, Sha512};
    Ok(match name {
        "ecdsa-sha2-256-nistp256" => Some((KeyKind::Ecdsa(Curve::P256), Sha256)),
        "ecdsa-sha2-384-nistp384" => Some((KeyKind::Ecdsa(Curve::P384), Sha384)),
        "ecdsa-sha2-512-nistp521" => Some((KeyKind::Ecdsa(Curve::P521), Sha512)),
        "ecdsa-sha2-256-nistp384" => Some((KeyKind::Ecdsa(Curve::P384), Sha256)),
        "ecdsa-sha2-256-nistp521" => Some((KeyKind::Ecdsa(Curve::P521), Sha256)),
        "rsa-sign-pkcs1-2048-sha256" => Some((KeyKind::Rsa { bytes: 256 }, Sha256)),
        "rsa-sign-pkcs1-3072-sha256" => Some((KeyKind::Rsa { bytes: 384 }, Sha256)),
        "rsa-sign-pkcs1-4096-sha256" => Some((KeyKind::Rsa { bytes: 512 }, Sha256)),
        "ed25519" => None,
        "ed25519-ph" => Some((KeyKind::Ed25519, Sha512)),
        _ => return Err(UnknownAlgorithm(name.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_names_are_all_known() {
        let named = Algorithms::from_names(DEFAULT_ALGORITHMS).unwrap();
        let default = Algorithms::default();
        assert_eq!(named.over_digests, default.over_digests);
        assert_eq!(named.has_ed25519, default.has_ed25519);
        assert_eq!(
            named.over_digests.len(),
            7,
            "all but ed25519, which signs no digest"
        );
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let error = Algorithms::from_names(["ed25519-ph", "rsa-sign-pss-2048-sha256"]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("\"rsa-sign-pss-2048-sha256\" is not a signing algorithm")
        );
    }

    #[test]
    fn only_the_named_algorithms_are_admitted() {
        let algorithms = Algorithms::from_names(["ecdsa-sha2-256-nistp384"]).unwrap();
        assert!(algorithms.admits(KeyKind::Ecdsa(Curve::P384), HashAlgorithm::Sha256));
        assert!(!algorithms.admits(KeyKind::Ecdsa(Curve::P384), HashAlgorithm::Sha384));
        assert!(!algorithms.admits(KeyKind::Ecdsa(Curve::P256), HashAlgorithm::Sha256));
    }
}
