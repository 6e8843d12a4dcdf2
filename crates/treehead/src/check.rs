//! `treehead log`, `get`, `proof` and `verify`: anyone reads a log, this ledger's or another one, and
//! believes nothing that does not verify with the log's key.

use std::fs;

use client::{Http, ReadError, RekorLog, TiledLog, Trust};
use ledger::{Api, V1, V2};

use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::runtime;
use flags::{LogFlags, TrustFlags};

pub(crate) use flags::{GetFlags, HeadFlags, ProofFlags, VerifyFlags};

mod describe;
mod flags;
mod get;
mod head;
mod proof;
mod seen;
mod show;
mod verify;

/// Prints the newest head of a log, and checks that it continues the one seen before.
pub(crate) fn head(flags: &HeadFlags) -> Outcome<()> {
    runtime()?.block_on(head::run(flags))
}

/// Prints entries of a log.
pub(crate) fn get(flags: &GetFlags) -> Outcome<()> {
    runtime()?.block_on(get::run(flags))
}

/// Prints a proof.
pub(crate) fn proof(flags: &ProofFlags) -> Outcome<()> {
    runtime()?.block_on(proof::run(flags))
}

/// Verifies what somebody kept of a log, without a network.
pub(crate) fn verify(flags: &VerifyFlags) -> Outcome<()> {
    verify::run(flags)
}

/// A log, read by its API.
enum Log {
    V1(RekorLog<Http>),
    V2(TiledLog<Http>),
}

impl Log {
    /// Finds out the API of the log unless the flags say it.
    async fn open(flags: &LogFlags) -> Outcome<Self> {
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

    fn api(&self) -> &'static Api {
        match self {
            Self::V1(_) => &V1,
            Self::V2(_) => &V2,
        }
    }
}

/// Reads the keys in the files that the flags name.
fn trust(flags: &TrustFlags) -> Outcome<Vec<client::LogKey>> {
    let mut keys = Vec::new();
    for path in &flags.trust {
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
fn failure(error: ReadError) -> Failure {
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
