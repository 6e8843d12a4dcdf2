//! Statements about packages in the form that their ecosystem expects, and the documents beside
//! them.

mod archive;
mod documents;

use std::fmt;
use std::io::Read;

use packageurl::PackageUrl;
use pki::digest::{Digest, HashAlgorithm};
use serde_json::{Value, json};

pub use archive::{ArchiveError, Package};
pub use documents::{DocumentError, npm_attestations, pypi_attestation, pypi_provenance};

/// The type of the payload of signed statements.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The place where a package is published, which decides how its statement names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecosystem {
    /// Any file: its name and SHA-256.
    File,
    /// A tarball of npm.
    Npm,
    /// A distribution of Python.
    Pypi,
    /// A crate.
    Cargo,
    /// An image by its digest.
    Oci,
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The name.
    pub name: String,
    /// The digest of the artifact.
    pub digest: Digest,
}

/// Why there is no subject. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A name or version that the ecosystem does not have.
    #[error("{what} {text:?} is none of {ecosystem}")]
    Name {
        /// Name or version.
        what: &'static str,
        /// The text.
        text: String,
        /// The ecosystem.
        ecosystem: Ecosystem,
    },
    /// No distribution of Python.
    #[error(
        "{0:?} is the name of no wheel (name-version-python-abi-platform.whl) and of no source \
         distribution (name-version.tar.gz or .zip)"
    )]
    Distribution(String),
    /// No image.
    #[error("{0:?} names no image by its digest: NAME@sha256: and 64 hexadecimal digits")]
    Image(String),
}

impl Ecosystem {
    /// Returns the hash function of its digests.
    pub fn hash(self) -> HashAlgorithm {
        match self {
            Self::Npm => HashAlgorithm::Sha512,
            Self::File | Self::Pypi | Self::Cargo | Self::Oci => HashAlgorithm::Sha256,
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Cargo => "cargo",
            Self::Oci => "oci",
        })
    }
}

/// Returns the subject of a file with this name and digest, which MUST be by [`Ecosystem::hash`].
/// Archives of npm and cargo are read for the name of their package.
///
/// # Errors
///
/// The file is no package of the ecosystem.
pub fn subject(
    ecosystem: Ecosystem,
    file_name: &str,
    digest: Digest,
    content: impl Read,
) -> Result<Subject, SubjectError> {
    let name = match ecosystem {
        Ecosystem::File => file_name.to_owned(),
        Ecosystem::Npm => npm(&archive::npm(content)?)?,
        Ecosystem::Cargo => cargo(&archive::cargo(content)?)?,
        Ecosystem::Pypi if is_distribution(file_name) => file_name.to_owned(),
        Ecosystem::Pypi => return Err(SubjectError::Distribution(file_name.to_owned())),
        Ecosystem::Oci => return Err(SubjectError::Image(file_name.to_owned())),
    };
    Ok(Subject { name, digest })
}

/// Returns the subject of an image, `NAME@sha256:DIGEST`.
///
/// # Errors
///
/// The text has another form.
pub fn image(reference: &str) -> Result<Subject, SubjectError> {
    let fault = || SubjectError::Image(reference.to_owned());
    let (name, digits) = reference.split_once("@sha256:").ok_or_else(fault)?;
    let is_lower = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    let digest = Digest::from_hex(HashAlgorithm::Sha256, digits).map_err(|_| fault())?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "./:-_".contains(c);
    match !name.is_empty() && name.chars().all(is_name) && is_lower {
        true => Ok(Subject {
            name: name.to_owned(),
            digest,
        }),
        false => Err(fault()),
    }
}

/// Returns an in-toto statement of version 1 about one subject.
pub fn statement(subject: &Subject, predicate_type: &str, predicate: &Value) -> Vec<u8> {
    let algorithm = subject.digest.algorithm().name();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": subject.name,
            "digest": {algorithm: hex::encode(subject.digest.bytes())},
        }],
        "predicateType": predicate_type,
        "predicate": predicate,
    });
    statement.to_string().into_bytes()
}

/// Returns the package URL as npm itself writes it: nothing but the `@` of a scope is encoded.
fn npm(package: &Package) -> Result<String, SubjectError> {
    let Package { name, version } = package;
    let is_part = |part: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~!'()*".contains(c);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(is_plain)
    };
    let is_name = match name.strip_prefix('@').map(|scoped| scoped.split_once('/')) {
        Some(Some((scope, name))) => is_part(scope) && is_part(name),
        Some(None) => false,
        None => is_part(name),
    };
    check(is_name, "the name", name, Ecosystem::Npm)?;
    check(is_version(version), "the version", version, Ecosystem::Npm)?;
    Ok(format!(
        "pkg:npm/{}@{version}",
        name.replacen('@', "%40", 1)
    ))
}

fn cargo(package: &Package) -> Result<String, SubjectError> {
    let Package { name, version } = package;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_name = !name.is_empty() && name.chars().all(is_plain);
    check(is_name, "the name", name, Ecosystem::Cargo)?;
    check(
        is_version(version),
        "the version",
        version,
        Ecosystem::Cargo,
    )?;
    let refused = |what, text: &str| SubjectError::Name {
        what,
        text: text.to_owned(),
        ecosystem: Ecosystem::Cargo,
    };
    let mut url = PackageUrl::new("cargo", name.as_str()).map_err(|_| refused("the name", name))?;
    let url = url
        .with_version(version.as_str())
        .map_err(|_| refused("the version", version))?;
    Ok(url.to_string())
}

fn check(
    holds: bool,
    what: &'static str,
    text: &str,
    ecosystem: Ecosystem,
) -> Result<(), SubjectError> {
    match holds {
        true => Ok(()),
        false => Err(SubjectError::Name {
            what,
            text: text.chars().take(100).collect(),
            ecosystem,
        }),
    }
}

/// Returns whether a text may be a semantic version.
fn is_version(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(is_plain)
}

/// Returns whether a file name is one of a wheel or of a source distribution.
fn is_distribution(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+!".contains(c);
    if !name.chars().all(is_plain) {
        return false;
    }
    if let Some(wheel) = name.strip_suffix(".whl") {
        let parts: Vec<&str> = wheel.split('-').collect();
        return matches!(parts.len(), 5 | 6) && parts.iter().all(|part| !part.is_empty());
    }
    let source = name
        .strip_suffix(".tar.gz")
        .or_else(|| name.strip_suffix(".zip"));
    let parts = source.and_then(|source| source.rsplit_once('-'));
    parts.is_some_and(|(name, version)| {
        !name.is_empty() && version.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests;
