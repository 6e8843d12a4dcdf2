//! What a log admits: signing algorithms and kinds (Rekor's `client-signing-algorithms` and
//! `enabled_entry_types`).

use crate::kinds::kind_names;
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

/// What this log admits, beyond what a kind itself checks.
#[derive(Clone, Debug)]
pub struct Policy {
    admitted: Vec<(KeyKind, HashAlgorithm)>,
    /// Of messages; over a digest an Ed25519 key signs as Ed25519ph.
    admits_ed25519: bool,
    /// Names.
    kinds: Vec<&'static str>,
}

/// A name that is not one of a kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a kind of entries; known are {known}", known = kind_names().join(", "))]
pub struct UnknownKind(String);

/// A name that is not one of Rekor's names of signing algorithms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a signing algorithm; known are ecdsa-sha2-256-nistp256, ecdsa-sha2-384-nistp384, \
         ecdsa-sha2-512-nistp521, ecdsa-sha2-256-nistp384, ecdsa-sha2-256-nistp521, rsa-sign-pkcs1-2048-sha256, \
         rsa-sign-pkcs1-3072-sha256, rsa-sign-pkcs1-4096-sha256, ed25519, ed25519-ph"
)]
pub struct UnknownAlgorithm(String);

impl Policy {
    /// Admits exactly the named algorithms, and every kind. Takes the names that Rekor's flag
    /// takes, but for `rsa-sign-pss-…`: Rekor verifies no PSS signature of a hashedrekord, and lets
    /// PKCS#1 v1.5 pass under those names.
    pub fn from_names<Name: AsRef<str>>(
        names: impl IntoIterator<Item = Name>,
    ) -> Result<Self, UnknownAlgorithm> {
        let mut policy = Self {
            admitted: Vec::new(),
            admits_ed25519: false,
            ..Self::default()
        };
        for name in names {
            match algorithm(name.as_ref())? {
                Some(pair) => policy.admitted.push(pair),
                None => policy.admits_ed25519 = true,
            }
        }
        Ok(policy)
    }

    /// Admits entries of exactly these kinds, in all versions. What is logged already stays, and
    /// can be looked up.
    pub fn with_kinds<Name: AsRef<str>>(
        self,
        names: impl IntoIterator<Item = Name>,
    ) -> Result<Self, UnknownKind> {
        let known = kind_names();
        let named = names.into_iter().map(|name| {
            let name = name.as_ref();
            known
                .iter()
                .copied()
                .find(|known| *known == name)
                .ok_or_else(|| UnknownKind(name.to_owned()))
        });
        Ok(Self {
            kinds: named.collect::<Result<_, _>>()?,
            ..self
        })
    }

    /// Whether entries of the kind with this name are admitted.
    pub(crate) fn admits_kind(&self, name: &str) -> bool {
        self.kinds.contains(&name)
    }

    /// Whether a signature by a key of `kind` over a digest of `hash` is admitted.
    pub(crate) fn admits(&self, kind: KeyKind, hash: HashAlgorithm) -> bool {
        self.admitted.contains(&(kind, hash))
    }

    /// Whether pure Ed25519 signatures are admitted.
    pub(crate) fn admits_ed25519(&self) -> bool {
        self.admits_ed25519
    }
}

impl Default for Policy {
    /// Admits [`DEFAULT_ALGORITHMS`] and every kind.
    fn default() -> Self {
        let admitted = DEFAULT_ALGORITHMS
            .iter()
            .filter_map(|name| algorithm(name).ok().flatten())
            .collect();
        Self {
            admitted,
            admits_ed25519: true,
            kinds: kind_names(),
        }
    }
}

/// What a name admits; nothing for an algorithm that signs messages only.
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
        let named = Policy::from_names(DEFAULT_ALGORITHMS).unwrap();
        assert_eq!(named.admitted, Policy::default().admitted);
        assert_eq!(named.admits_ed25519, Policy::default().admits_ed25519);
        assert_eq!(
            named.admitted.len(),
            7,
            "all but ed25519, which signs no digest"
        );
    }

    #[test]
    fn unknown_name_is_refused() {
        let error = Policy::from_names(["ed25519-ph", "rsa-sign-pss-2048-sha256"]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("\"rsa-sign-pss-2048-sha256\" is not a signing algorithm")
        );
    }

    #[test]
    fn kinds_are_admitted_by_name() {
        assert!(Policy::default().admits_kind("hashedrekord"));
        assert!(
            !Policy::default()
                .with_kinds([""; 0])
                .unwrap()
                .admits_kind("hashedrekord")
        );
        assert!(
            Policy::default()
                .with_kinds(["hashedrekord"])
                .unwrap()
                .admits_kind("hashedrekord")
        );
        let error = Policy::default()
            .with_kinds(["hashedrekord:0.0.1"])
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("\"hashedrekord:0.0.1\" is not a kind of entries; known are ")
        );
    }

    #[test]
    fn only_what_is_named_is_admitted() {
        let policy = Policy::from_names(["ecdsa-sha2-256-nistp384"]).unwrap();
        assert!(policy.admits(KeyKind::Ecdsa(Curve::P384), HashAlgorithm::Sha256));
        assert!(!policy.admits(KeyKind::Ecdsa(Curve::P384), HashAlgorithm::Sha384));
        assert!(!policy.admits(KeyKind::Ecdsa(Curve::P256), HashAlgorithm::Sha256));
    }
}
