//! Lock files of package managers: the artefacts that they fix, and what a log says about each.
//!
//! [`Lock::read`] reads a file. [`Artefact::keys`] are the search keys to ask a log for. [`judge`]
//! compares the entries that it has with what is locked. Nothing here reads a log.

mod artefact;
mod cargo;
mod digest;
mod format;
mod go;
mod judge;
mod lines;
mod npm;
mod pnpm;
mod poetry;
mod python;
mod uv;

use std::collections::HashSet;

pub use artefact::{Artefact, Locked};
pub use digest::Digest;
pub use format::{LockError, LockFormat, MAX_ARTEFACTS};
pub use judge::{Judgement, Verdict, judge};

use lines::Lines;

/// The artefacts that a lock file fixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The format of the file.
    pub format: LockFormat,
    /// Each artefact once, in the order of its line.
    pub artefacts: Vec<Artefact>,
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

#[cfg(test)]
mod tests;
