//! What the lock files of Python have in common.

use super::artefact::{Item, Locked, Origin};
use super::digest::Digest;

/// A wheel or a source distribution of a package.
pub(super) struct File<'a> {
    /// Its name.
    pub(super) name: String,
    /// `sha256:<hex>`.
    pub(super) hash: Option<&'a str>,
}

/// Returns a file of a package as an artefact.
pub(super) fn file(package: &str, version: &str, origin: Origin, file: File<'_>) -> Item {
    let locked = match (file.hash, file.hash.and_then(Digest::of_hex)) {
        (_, Some(digest)) => Locked::Digests(vec![digest]),
        (Some(_), None) => Locked::Nothing("locked by a digest that logs do not index"),
        (None, None) => Locked::Nothing("locked without a digest"),
    };
    Item {
        anchor: file.hash.unwrap_or(package).to_owned(),
        name: normal(package),
        version: version.to_owned(),
        file: Some(file.name),
        origin,
        locked,
    }
}

/// Returns a package that has no file with a digest.
pub(super) fn nothing(package: &str, version: &str, why: &'static str) -> Item {
    Item {
        anchor: package.to_owned(),
        name: normal(package),
        version: version.to_owned(),
        file: None,
        origin: Origin::Elsewhere,
        locked: Locked::Nothing(why),
    }
}

/// Returns the normal form of the name of a package: lower case, with a hyphen for each run of
/// hyphens, underscores and dots.
fn normal(name: &str) -> String {
    let lower = name.to_lowercase();
    let parts = lower.split(['-', '_', '.']);
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_have_one_form() {
        for name in [
            "Friendly-Bard",
            "FRIENDLY-BARD",
            "friendly.bard",
            "friendly--._bard",
        ] {
            assert_eq!(super::normal(name), "friendly-bard");
        }
    }
}
