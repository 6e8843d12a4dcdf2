//! In what an answer differs. The differences of the newest recordings stand in `docs/API.md`, each
//! under its reason.

use std::collections::BTreeSet;

/// A part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aspect {
    ContentType,
    LogIndex,
    Body,
    /// The text of an error with the same code.
    Message,
}

impl Aspect {
    /// Its name in docs/API.md.
    fn name(self) -> &'static str {
        match self {
            Self::ContentType | Self::LogIndex => "headers",
            Self::Body => "body",
            Self::Message => "text",
        }
    }
}

/// Older recordings whose newest one has another answer, which is ours.
const SUPERSEDED: &[&str] = &[
    "v2/mismatch-p256details-rsa2048key",
    "v2/mismatch-pssdetails-pkcs1sig",
    "v2/mismatch-rsa2048details-rsa4096key",
    "v2.2.1/mismatch-p256details-rsa2048key",
    "v2.2.1/mismatch-pssdetails-pkcs1sig",
    "v2.2.1/mismatch-rsa2048details-rsa4096key",
];

/// Reads of tiles, which only the older recordings have, by another web server before the files.
const READS: &[(&str, &str)] = &[
    ("v2/read-root", "403 → 200"),
    ("v2/read-checkpoint-post", "405 → 501"),
    ("v2/read-checkpoint-range", "206 → 200"),
    ("v2/read-tile-garbage-collected-partial", "404 → 200"),
    ("v2.2.1/read-checkpoint-post", "405 → 501"),
    ("v2.2.1/read-checkpoint-range", "206 → 200"),
];

/// Whether the newest recording of this case decides.
pub(crate) fn is_superseded(id: &str) -> bool {
    SUPERSEDED.contains(&id)
}

/// How a read differs.
pub(crate) fn read(id: &str) -> Option<&'static str> {
    READS
        .iter()
        .find(|(case, _)| *case == id)
        .map(|(_, how)| *how)
}

/// How docs/API.md names a difference: by the statuses, or by what else differs. None if nothing
/// does.
pub(crate) fn difference(expected: u16, found: u16, aspects: &BTreeSet<Aspect>) -> Option<String> {
    if expected != found {
        return Some(format!("{expected} → {found}"));
    }
    let names: Vec<&str> = aspects.iter().map(|aspect| aspect.name()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
