//! A log that is read: its API, the keys that are trusted, and why reading failed.

use std::fs;
use std::path::PathBuf;

use client::{Http, ReadError, RekorLog, TiledLog, Trust};
use ledger::{Api, V1, V2};

use super::flags::{LogFlags, TrustFlags};
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// A log, read by its API.
pub(crate) enum Log {
    V1(RekorLog<Http>),
    V2(TiledLog<Http>),
}

impl Log {
    /// Finds out the API of the log unless the flags say it.
    pub(crate) async fn open(flags: &LogFlags) -> Outcome<Self> {
        let keys = trust(&flags.trust)?;
        let http = Http::new();
        let v1 = RekorLog::new(&flags.url, keys.clone(), http.clone());
        let is_v1 = match flags.api {
            Some(api) => api == &V1,
            None => v1.is_there().await.map_err(failure)?,
        };
        Ok(match is_v1 {
            true => Self::V1(v1),
            false => Self::V2(TiledLog::new(&flags.url, keys, http)),
        })
    }

    pub(crate) fn api(&self) -> &'static Api {
        match self {
            Self::V1(_) => &V1,
            Self::V2(_) => &V2,
        }
    }
}

/// Reads the keys in the files that the flags name.
pub(crate) fn trust(flags: &TrustFlags) -> Outcome<Vec<client::LogKey>> {
    keys(&flags.trust)
}

/// Reads the keys in files.
pub(crate) fn keys(files: &[PathBuf]) -> Outcome<Vec<client::LogKey>> {
    let mut keys = Vec::new();
    for path in files {
        let text = fs::read_to_string(path).explain(FailureKind::Usage, path.display())?;
        let trust = Trust::read(&text).explain(FailureKind::Usage, path.display())?;
        if trust.keys.is_empty() {
            let logs = trust.unsupported.join(", ");
            let why = format_args!(
                "{}: the keys of {logs} are neither ECDSA P-256 nor Ed25519",
                path.display()
            );
            return Err(Failure::new(FailureKind::Usage, why));
        }
        keys.extend(trust.keys);
    }
    Ok(keys)
}

/// Returns why a log could not be read, with its exit code.
pub(crate) fn failure(error: ReadError) -> Failure {
    let kind = match &error {
        ReadError::Fetch(client::FetchError::Url(_)) => FailureKind::Usage,
        ReadError::Fetch(_) | ReadError::Refused { .. } => FailureKind::LogUnavailable,
        ReadError::Absent(_) => FailureKind::Absent,
        ReadError::Unsupported(_) => FailureKind::Usage,
        ReadError::Answer { .. } => FailureKind::NotVerified,
        ReadError::History(_) => FailureKind::Forked,
    };
    Failure::new(kind, error)
}
