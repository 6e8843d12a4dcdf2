//! An artefact that a lock file fixes, as its parser finds it and as it is looked up.

use entry::Attribute;

use super::digest::Digest;
use super::format::LockFormat;
use super::lines::Lines;

/// One file of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// The name of the package.
    pub name: String,
    /// Its version; empty where the lock file has none.
    pub version: String,
    /// The package URL, decoded and without qualifiers. `None` if the package does not come from the
    /// ecosystem's registry.
    pub purl: Option<String>,
    /// The name of the file, where a version has several.
    pub file: Option<String>,
    /// The line of the lock file, from 1.
    pub line: u32,
    /// What is locked.
    pub locked: Locked,
}

/// What a lock file says about the bytes of an artefact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Locked {
    /// They have one of these digests.
    Digests(Vec<Digest>),
    /// Nothing that a log could be asked for. The text says why.
    Nothing(&'static str),
}

/// An artefact as a parser finds it.
pub(super) struct Item {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) file: Option<String>,
    pub(super) origin: Origin,
    pub(super) locked: Locked,
    /// A text of the lock file that stands on its line.
    pub(super) anchor: String,
}

/// Where a package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A registry, whose packages have a package URL.
    Registry,
    /// A repository, a URL, a folder.
    Elsewhere,
}

impl Item {
    pub(super) fn artefact(self, format: LockFormat, lines: &Lines<'_>) -> Artefact {
        let has_purl = self.origin == Origin::Registry && !self.version.is_empty();
        Artefact {
            purl: has_purl.then(|| format.purl(&self.name, &self.version)),
            line: lines.line(&self.anchor),
            name: self.name,
            version: self.version,
            file: self.file,
            locked: self.locked,
        }
    }
}

impl Artefact {
    /// Returns the search keys of its digests.
    pub fn digest_keys(&self) -> Vec<String> {
        match &self.locked {
            Locked::Digests(digests) => digests.iter().flat_map(Digest::keys).collect(),
            Locked::Nothing(_) => Vec::new(),
        }
    }

    /// Returns the search keys of its names, under which entries with other digests may be.
    pub fn name_keys(&self) -> Vec<String> {
        if matches!(self.locked, Locked::Nothing(_)) {
            return Vec::new();
        }
        self.purl_key().into_iter().chain(self.file_key()).collect()
    }

    /// Returns the search key of its package URL.
    pub(super) fn purl_key(&self) -> Option<String> {
        let keys = Attribute::Purl.key_texts(self.purl.as_ref()?);
        keys.ok()?.into_iter().next()
    }

    /// Returns the search key of the name of its file.
    pub(super) fn file_key(&self) -> Option<String> {
        Some(format!("subject={}", self.file.as_ref()?))
    }

    /// Returns all search keys to ask a log for.
    pub fn keys(&self) -> Vec<String> {
        [self.digest_keys(), self.name_keys()].concat()
    }
}
