//! What a log must never do, or what somebody should look at.

use std::fmt;

use client::{BulkError, Evidence, Fault, HistoryError, SignedHead, VerifyError};
use tlog::{CheckpointError, NoteError};

/// An alarm about a log.
#[derive(Clone, Debug)]
pub(crate) struct Alarm {
    pub kind: AlarmKind,
    /// What it is about: the same text as long as it has the same reason, so that it is raised once.
    pub about: String,
    /// What happened, in words.
    pub message: String,
    pub evidence: Option<Evidence>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmKind {
    /// The log showed two heads of one tree, and neither continues the other.
    Fork,
    /// The log showed another observer a head that does not fit those that it shows here.
    SplitView,
    /// The log shows a smaller tree, and proves nothing up to the larger one.
    RolledBack,
    /// The log no longer lists a tree.
    LostTree,
    /// The log shows no newer head, or cannot be read.
    Stale,
    /// A head that no trusted key signed.
    BadSignature,
    /// An entry whose proof does not lead to a signed head.
    BadProof,
    /// An entry that its tile contradicts, or that is left out.
    BadEntry,
    /// A tile that does not lead to the head.
    BadTile,
}

impl AlarmKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Fork,
        Self::SplitView,
        Self::RolledBack,
        Self::LostTree,
        Self::Stale,
        Self::BadSignature,
        Self::BadProof,
        Self::BadEntry,
        Self::BadTile,
    ];

    /// Returns the name in notices and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::SplitView => "split-view",
            Self::RolledBack => "rolled-back",
            Self::LostTree => "lost-tree",
            Self::Stale => "stale",
            Self::BadSignature => "bad-signature",
            Self::BadProof => "bad-proof",
            Self::BadEntry => "bad-entry",
            Self::BadTile => "bad-tile",
        }
    }
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Alarm {
    /// Returns the alarm about two heads of which neither continues the other. `shown_by` is the URL
    /// of the observer that was shown `seen`, if it was another one.
    pub(crate) fn of_history(
        log: &str,
        now: i64,
        seen: &SignedHead,
        shown: &SignedHead,
        error: &HistoryError,
        shown_by: Option<&str>,
    ) -> Self {
        let kind = match (&error.fault, shown_by) {
            (Fault::WentBack, _) => AlarmKind::RolledBack,
            (_, Some(_)) => AlarmKind::SplitView,
            (_, None) => AlarmKind::Fork,
        };
        let (about, message) = match shown_by {
            // Its head grows, and the fork stays the same.
            Some(url) => (
                format!("{} {url}", seen.origin()),
                format!("{error}. The first of them was shown by {url}"),
            ),
            None => {
                let about = format!("{} {}", seen.origin(), seen.size());
                (about, error.to_string())
            }
        };
        Self {
            kind,
            about,
            message,
            evidence: Some(Evidence::of_history(log, now, seen, shown, error, shown_by)),
        }
    }

    /// Returns the alarm about a part of a tree that could not be read, or `None` if the log is
    /// merely away.
    pub(crate) fn of_bulk(log: &str, now: i64, error: &BulkError) -> Option<Self> {
        let (kind, about, evidence) = match error {
            BulkError::Read(_) => return None,
            BulkError::Tile(bad) => {
                let about = bad.head.origin().to_owned();
                (AlarmKind::BadTile, about, Evidence::of_tile(log, now, bad))
            }
            BulkError::Entry(bad) => {
                let proof = &bad.inclusion;
                let about = format!("{} {}", proof.head.origin(), proof.leaf_index);
                (
                    AlarmKind::BadEntry,
                    about,
                    Evidence::of_entry(log, now, bad),
                )
            }
        };
        Some(Self {
            kind,
            about,
            message: error.to_string(),
            evidence: Some(evidence),
        })
    }

    /// Returns the text that names the alarm as long as it has the same reason.
    pub(crate) fn key(&self) -> String {
        format!("{} {}", self.kind, self.about)
    }

    /// Returns the ID of the notice of an alarm that was raised at a time.
    pub(crate) fn id(&self, log: &str, since: i64) -> String {
        let about = format!("alarm\0{log}\0{}\0{since}", self.key());
        let hash = tlog::sha256(about.as_bytes()).to_string();
        hash.chars().take(32).collect()
    }
}

/// Returns whether an answer has the right form and is not what the log's key signed. An answer of
/// another form, such as the page of a proxy, says only that the log is away.
pub(crate) fn is_fault_of_log(error: &VerifyError) -> bool {
    match error {
        VerifyError::In { source, .. } => is_fault_of_log(source),
        VerifyError::Checkpoint(CheckpointError::Note(NoteError::BadSignature))
        | VerifyError::Name(NoteError::BadSignature)
        | VerifyError::Signature(_)
        | VerifyError::Proof(_)
        | VerifyError::UntrustedKey { .. }
        | VerifyError::Mismatch(_) => true,
        _ => false,
    }
}
