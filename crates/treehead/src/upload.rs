//! `treehead upload`: logs files in any Rekor log, and keeps what could not be sent.

use std::path::PathBuf;

use client::upload::Uploader;
use client::{Http, LogKey};
use ledger::Clock as _;
use pki::UnixSeconds;

use crate::check::{Log, trust};
use crate::failure::{Failure, FailureKind, Outcome};
use crate::runtime;

pub(crate) use files::{digest_of, read};
pub(crate) use flags::{LogToFlags, SigningFlags, UploadFlags};
pub(crate) use item::{Form, Output, Upload};
pub(crate) use prepare::{absolute, checked, private_key};
pub(crate) use time_stamps::add_time_stamps;

mod deliver;
mod files;
mod flags;
mod item;
mod prepare;
mod queue;
mod report;
mod time_stamps;

/// Logs the files that the flags name, and what the queue holds.
pub(crate) fn run(flags: &UploadFlags) -> Outcome<()> {
    runtime()?.block_on(async {
        let destination = Destination::open(&flags.to).await?;
        let mut uploads = prepare::uploads(flags, &destination)?;
        add_time_stamps(&flags.signing, &mut uploads).await?;
        send(&flags.to, &destination, uploads).await
    })
}

/// A log to which entries are sent.
pub(crate) struct Destination {
    pub(crate) url: String,
    pub(crate) api: client::upload::Api,
    pub(crate) uploader: Uploader<Http>,
    pub(crate) now: UnixSeconds,
}

impl Destination {
    /// Finds out the API of the log unless the flags say it.
    pub(crate) async fn open(flags: &LogToFlags) -> Outcome<Self> {
        let keys: Vec<LogKey> = trust(&flags.log.trust)?;
        let log = match (&flags.log.api, Log::open(&flags.log).await) {
            (_, Ok(log)) => log,
            (None, Err(failure)) if flags.queue.is_some() => {
                let why = format_args!(
                    "{failure}. So it is not known by which API it takes entries: name it with --api, \
                     and they wait in the queue"
                );
                return Err(Failure::new(FailureKind::LogUnavailable, why));
            }
            (_, Err(failure)) => return Err(failure),
        };
        let api = match log {
            Log::V1(_) => client::upload::Api::V1,
            Log::V2(_) => client::upload::Api::V2,
        };
        let url = flags.log.url.trim_end_matches('/').to_owned();
        Ok(Self {
            uploader: Uploader::new(&url, keys, Http::new()),
            url,
            api,
            now: UnixSeconds(ledger::SystemClock.unix_millis() / 1_000),
        })
    }
}

/// Sends entries, beside them what the queue holds, and prints what became of them.
///
/// With a queue, every entry is on disk before it is sent, and leaves it when it is in the log and
/// its bundle is written. If we die anywhere, the next call sends what is left.
pub(crate) async fn send(
    flags: &LogToFlags,
    destination: &Destination,
    mut uploads: Vec<Upload>,
) -> Outcome<()> {
    let mut elsewhere = 0;
    if let Some(folder) = &flags.queue {
        for upload in &mut uploads {
            queue::keep(folder, &destination.url, upload)?;
        }
        let held = queue::held(folder, destination, &uploads)?;
        elsewhere = held.elsewhere;
        uploads.extend(held.uploads);
    }
    let results = deliver::deliver(destination, uploads, flags.queue.is_some()).await?;
    report::report(flags, destination, &results, elsewhere)
}

/// Refuses uploads of which two would write the same file.
pub(crate) fn refuse_shared_outputs(uploads: &[Upload]) -> Outcome<()> {
    let mut paths: Vec<&PathBuf> = Vec::new();
    for upload in uploads {
        paths.extend(upload.outputs.iter().map(|output| &output.path));
    }
    paths.sort();
    let twice = paths.windows(2).find(|pair| pair[0] == pair[1]);
    match twice {
        None => Ok(()),
        Some(pair) => {
            let why = format_args!("two files would write {}", pair[0].display());
            Err(Failure::new(FailureKind::Usage, why))
        }
    }
}
