//! `treehead upload`: logs files in any Rekor log, and keeps what could not be sent.

use crate::failure::Outcome;
use crate::runtime;

pub(crate) use destination::Destination;
pub(crate) use files::{digest_of, read};
pub(crate) use flags::{LogToFlags, SigningFlags, UploadFlags};
pub(crate) use item::{Form, Output, Upload, refuse_shared_outputs};
pub(crate) use prepare::{absolute, checked, private_key};
pub(crate) use time_stamps::add_time_stamps;

mod deliver;
mod destination;
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
