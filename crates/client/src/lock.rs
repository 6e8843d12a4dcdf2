//! Lock files of package managers: the artefacts that they fix, and what a log says about each.
//!
//! [`Lock::read`] reads a file. [`Artefact::keys`] are the search keys to ask a log for. [`judge`]
//! compares the entries that it has with what is locked. Nothing here reads a log.

mod cargo;
mod digest;
mod go;
mod judge;
mod lines;
mod npm;
mod pnpm;
mod poetry;
mod python;
mod uv;

use std::collections::HashSet;

use entry::Attribute;

pub use digest::Digest;
pub use judge::{Judgement, Verdict, judge};

use lines::Lines;

/// Most artefacts of one file: some ten times the largest lock files in public repositories.
pub const MAX_ARTEFACTS: usize = 200_000;

/// The format of a lock file, which its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockFormat {
    /// `package-lock.json` or `npm-shrinkwrap.json`.
    Npm,
    /// `pnpm-lock.yaml`.
    Pnpm,
    /// `Cargo.lock`.
    Cargo,
    /// `uv.lock`.
    Uv,
    /// `poetry.lock`.
    Poetry,
    /// `go.sum`.
    Go,
}

/// Why a lock file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The name says no format.
    #[error(
        "the name of a lock file is package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml, Cargo.lock, uv.lock, poetry.lock or go.sum"
    )]
    Name,
    /// The file is not in the format that its name says.
    #[error("it is not a {format}, or it is cut short: {reason}")]
    Content {
        /// The usual name of such a file.
        format: &'static str,
        /// The reason, from the parser.
        reason: String,
    },
    /// The file has more artefacts than are read.
    #[error("it has more than {MAX_ARTEFACTS} artefacts, the limit")]
    TooMany,
}

/// The artefacts that a lock file fixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The format of the file.
    pub format: LockFormat,
    /// Each artefact once, in the order of its line.
    pub artefacts: Vec<Artefact>,
}

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

impl LockFormat {
    /// Returns the format that the name of a file says.
    ///
    /// # Errors
    ///
    /// The name is not one of a lock file.
    pub fn of_name(name: &str) -> Result<Self, LockError> {
        Ok(match name {
            "package-lock.json" | "npm-shrinkwrap.json" => Self::Npm,
            "pnpm-lock.yaml" => Self::Pnpm,
            "Cargo.lock" => Self::Cargo,
            "uv.lock" => Self::Uv,
            "poetry.lock" => Self::Poetry,
            "go.sum" => Self::Go,
            _ => return Err(LockError::Name),
        })
    }

    /// Returns the usual name of such a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Npm => "package-lock.json",
            Self::Pnpm => "pnpm-lock.yaml",
            Self::Cargo => "Cargo.lock",
            Self::Uv => "uv.lock",
            Self::Poetry => "poetry.lock",
            Self::Go => "go.sum",
        }
    }

    /// Returns the package URL of a version of a package.
    fn purl(self, name: &str, version: &str) -> String {
        let kind = match self {
            Self::Npm | Self::Pnpm => "npm",
            Self::Cargo => "cargo",
            Self::Uv | Self::Poetry => "pypi",
            Self::Go => "golang",
        };
        format!("pkg:{kind}/{name}@{version}")
    }
}

/// An artefact as a parser finds it.
struct Item {
    name: String,
    version: String,
    file: Option<String>,
    origin: Origin,
    locked: Locked,
    /// A text of the lock file that stands on its line.
    anchor: String,
}

/// Where a package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A registry, whose packages have a package URL.
    Registry,
    /// A repository, a URL, a folder.
    Elsewhere,
}

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    ///
    /// The text has another format, or too many artefacts.
    pub fn read(format: LockFormat, text: &str) -> Result<Self, LockError> {
        let items = match format {
            LockFormat::Npm => npm::items(text),
            LockFormat::Pnpm => pnpm::items(text),
            LockFormat::Cargo => cargo::items(text),
            LockFormat::Uv => uv::items(text),
            LockFormat::Poetry => poetry::items(text),
            LockFormat::Go => go::items(text),
        };
        let items = items.map_err(|reason| LockError::Content {
            format: format.name(),
            reason,
        })?;
        if items.len() > MAX_ARTEFACTS {
            return Err(LockError::TooMany);
        }
        let lines = Lines::of(text);
        // npm lists a package once for each folder that has it.
        let mut seen = HashSet::new();
        let mut artefacts = Vec::with_capacity(items.len());
        for item in items {
            let artefact = item.artefact(format, &lines);
            let same = (artefact.name.clone(), artefact.version.clone());
            if seen.insert((same, artefact.file.clone(), artefact.locked.clone())) {
                artefacts.push(artefact);
            }
        }
        artefacts.sort_by_key(|artefact| artefact.line);
        Ok(Self { format, artefacts })
    }
}

impl Item {
    fn artefact(self, format: LockFormat, lines: &Lines<'_>) -> Artefact {
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
    fn purl_key(&self) -> Option<String> {
        let keys = Attribute::Purl.key_texts(self.purl.as_ref()?);
        keys.ok()?.into_iter().next()
    }

    /// Returns the search key of the name of its file.
    fn file_key(&self) -> Option<String> {
        Some(format!("subject={}", self.file.as_ref()?))
    }

    /// Returns all search keys to ask a log for.
    pub fn keys(&self) -> Vec<String> {
        [self.digest_keys(), self.name_keys()].concat()
    }
}

#[cfg(test)]
mod tests;
