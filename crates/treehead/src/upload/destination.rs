//! The log to which entries are sent.

use client::upload::Uploader;
use client::{Http, LogKey};
use ledger::Clock as _;
use pki::UnixSeconds;

use super::flags::LogToFlags;
use crate::check::log::{Log, trust};
use crate::failure::{Failure, FailureKind, Outcome};

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
