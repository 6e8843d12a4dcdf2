//! Packages that an in-toto statement names: package URLs, and names of subjects that say as much.
//!
//! A name that is not a package URL is read as one only where the statement leaves no doubt:
//!
//! | name | read as | in a statement |
//! |---|---|---|
//! | of a source distribution or wheel | the file of a PyPI package | of PyPI's publish attestation |
//! | of a wheel | the same | of SLSA provenance; wheels have names of their own |
//! | `name@1.0.0`, `@scope/name@1.0.0` | the npm package | of npm's publish attestation |
//! | of an image in a known registry, without a tag | the OCI package with this digest | any, with a SHA-256 |

mod claims;
mod image;
mod purl;
mod pypi;
mod types;

pub(crate) use claims::bounded_claims;
pub use claims::{PackageClaim, PackageClaims, named_packages};
pub(crate) use purl::Purl;

/// The use that a statement has for the names of its subjects, by the type of its predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Files that are uploaded to PyPI.
    PypiFiles,
    /// Files of a build.
    BuiltFiles,
    /// npm packages.
    NpmPackages,
    /// Anything.
    Free,
}

impl Naming {
    /// Returns the use of names with a predicate of this type.
    pub(crate) fn of(predicate_type: &str) -> Self {
        match predicate_type {
            "https://docs.pypi.org/attestations/publish/v1" => Self::PypiFiles,
            "https://slsa.dev/provenance/v0.2" | "https://slsa.dev/provenance/v1" => {
                Self::BuiltFiles
            }
            "https://github.com/npm/attestation/tree/main/specs/publish/v0.1" => Self::NpmPackages,
            _ => Self::Free,
        }
    }

    /// Returns the package that the name of a subject stands for. `sha256` is its digest.
    pub(crate) fn package_of(self, name: &str, sha256: Option<&str>) -> Option<Purl> {
        if let Some(purl) = Purl::parse(name) {
            return Some(purl);
        }
        let file = match self {
            Self::PypiFiles => pypi::File::parse(name).and_then(pypi::File::purl),
            Self::BuiltFiles => pypi::File::wheel(name).and_then(pypi::File::purl),
            Self::NpmPackages => npm_package(name),
            Self::Free => None,
        };
        file.or_else(|| image::package(name, sha256?))
    }
}

/// Returns the package of `name@1.0.0` or `@scope/name@1.0.0`.
fn npm_package(text: &str) -> Option<Purl> {
    let (name, version) = text.rsplit_once('@')?;
    let is_word = |word: &str| {
        let is_of_word = |letter: u8| letter.is_ascii_alphanumeric() || b"._-~".contains(&letter);
        !word.is_empty() && word.bytes().all(is_of_word)
    };
    let is_name = match name.strip_prefix('@') {
        Some(scoped) => scoped
            .split_once('/')
            .is_some_and(|(scope, name)| is_word(scope) && is_word(name)),
        None => is_word(name),
    };
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = core.split('.').count() == 3
        && core.split('.').all(is_number)
        && version
            .bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || b".-+".contains(&letter));
    (is_name && is_version).then(|| Purl::new("npm", name, Some(version), &[]))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_only_where_the_statement_is_clear() {
        use Naming::{BuiltFiles, Free, NpmPackages, PypiFiles};
        let digest = "0f".repeat(32);
        let image = format!("pkg:oci/app@sha256:{digest}");
        let wheel = "pkg:pypi/a@1.0?file_name=a-1.0-py3-none-any.whl";
        for (naming, name, expected) in [
            (Free, "pkg:npm/a@1.0.0", Some("pkg:npm/a@1.0.0")),
            (
                PypiFiles,
                "a-1.0.tar.gz",
                Some("pkg:pypi/a@1.0?file_name=a-1.0.tar.gz"),
            ),
            (PypiFiles, "a-1.0-py3-none-any.whl", Some(wheel)),
            (BuiltFiles, "a-1.0-py3-none-any.whl", Some(wheel)),
            (BuiltFiles, "a-1.0.tar.gz", None),
            (Free, "a-1.0-py3-none-any.whl", None),
            (
                NpmPackages,
                "@scope/a@1.0.0-rc.1",
                Some("pkg:npm/@scope/a@1.0.0-rc.1"),
            ),
            (NpmPackages, "a@1.0.0", Some("pkg:npm/a@1.0.0")),
            (NpmPackages, "a@latest", None),
            (NpmPackages, "scope/a@1.0.0", None),
            (Free, "a@1.0.0", None),
            (Free, "ghcr.io/org/app", Some(&image)),
            (Free, "github.com/org/app", None),
            (Free, "", None),
        ] {
            let found = naming
                .package_of(name, Some(&digest))
                .map(|purl| purl.exact());
            assert_eq!(found.as_deref(), expected, "{naming:?} {name}");
        }
        assert_eq!(Free.package_of("ghcr.io/org/app", None), None);
    }
}
