//! The entries that a log admits: by kind (Rekor's `enabled_entry_types`) and by signing algorithm.

use crate::algorithms::{Algorithms, UnknownAlgorithm};
use crate::kinds::kind_names;

/// The entries that a log admits, beyond the checks of each kind.
#[derive(Clone, Debug)]
pub struct Policy {
    algorithms: Algorithms,
    /// The names of the kinds that are admitted.
    kinds: Vec<&'static str>,
}

/// A name that is not the name of a kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a kind of entries; known are {known}", known = kind_names().join(", "))]
pub struct UnknownKind(String);

impl Policy {
    /// Admits exactly the named algorithms, and every kind. Takes the names that Rekor's flag
    /// takes, but for `rsa-sign-pss-…`: Rekor verifies no PSS signature of a hashedrekord, and lets
    /// PKCS#1 v1.5 pass under those names.
    pub fn from_names<Name: AsRef<str>>(
        names: impl IntoIterator<Item = Name>,
    ) -> Result<Self, UnknownAlgorithm> {
        Ok(Self {
            algorithms: Algorithms::from_names(names)?,
            kinds: kind_names(),
        })
    }

    /// Admits entries of exactly these kinds, in all versions. Entries of other kinds that are in
    /// the log already stay there, and can be looked up.
    pub fn with_kinds<Name: AsRef<str>>(
        self,
        names: impl IntoIterator<Item = Name>,
    ) -> Result<Self, UnknownKind> {
        let known = kind_names();
        let mut kinds = Vec::new();
        for name in names {
            let name = name.as_ref();
            let kind = known.iter().find(|kind| **kind == name);
            kinds.push(*kind.ok_or_else(|| UnknownKind(name.to_owned()))?);
        }
        Ok(Self { kinds, ..self })
    }

    /// Whether entries of the kind with this name are admitted.
    pub(crate) fn admits_kind(&self, name: &str) -> bool {
        self.kinds.contains(&name)
    }

    /// The signing algorithms that are admitted.
    pub(crate) fn algorithms(&self) -> &Algorithms {
        &self.algorithms
    }
}

impl Default for Policy {
    /// Admits [`DEFAULT_ALGORITHMS`](crate::DEFAULT_ALGORITHMS) and every kind.
    fn default() -> Self {
        Self {
            algorithms: Algorithms::default(),
            kinds: kind_names(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_admitted_by_name() {
        assert!(Policy::default().admits_kind("hashedrekord"));
        let none = Policy::default().with_kinds([""; 0]).unwrap();
        assert!(!none.admits_kind("hashedrekord"));
        let one = Policy::default().with_kinds(["hashedrekord"]).unwrap();
        assert!(one.admits_kind("hashedrekord") && !one.admits_kind("dsse"));
        let error = Policy::default()
            .with_kinds(["hashedrekord:0.0.1"])
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("\"hashedrekord:0.0.1\" is not a kind of entries; known are ")
        );
    }
}
