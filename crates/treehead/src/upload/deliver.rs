//! Sends entries until each is in the log or refused, or the log was asked often enough.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use client::upload::{Logged, Sent};
use client::{FetchError, ReadError};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use super::destination::Destination;
use super::item::Upload;
use super::queue;
use crate::failure::{Explain, FailureKind, Outcome};

/// Entries of one request: enough to fill the log's rounds, few enough for a bar that moves.
const BATCH: usize = 100;
/// Bytes of the entries of one request. A larger entry is sent alone.
const BATCH_BYTES: usize = 4 << 20;
/// Entries that are sent at once where the log takes no batch.
const AT_ONCE: usize = 8;
/// Attempts of an entry. With a queue there are fewer, because nothing is lost.
const ATTEMPTS: u32 = 6;
const ATTEMPTS_WITH_QUEUE: u32 = 3;
/// The pause after the first attempt, which doubles.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause, whatever the log asks for.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// What became of an entry.
pub(super) enum Became {
    Logged(Box<Logged>),
    /// Not in the log, as far as is known.
    Pending(String),
    Refused(String),
    Unverified(ReadError),
}

/// An entry with what became of it.
pub(super) struct Delivered {
    pub(super) upload: Arc<Upload>,
    pub(super) became: Became,
}

struct Delivery<'a> {
    to: &'a Destination,
    uploads: Vec<Arc<Upload>>,
    became: Vec<Option<Became>>,
    /// Whether the log is known to take no batch.
    is_single: bool,
    /// The longest wait that the log asked for in this round, in seconds.
    asked: u64,
    bar: ProgressBar,
}

/// Sends all entries. Returns what became of each, in their order.
///
/// An entry counts as logged when its answer was verified and its files are durable.
pub(super) async fn deliver(
    to: &Destination,
    uploads: Vec<Upload>,
    has_queue: bool,
) -> Outcome<Vec<Delivered>> {
    let mut delivery = Delivery {
        to,
        became: uploads.iter().map(|_| None).collect(),
        bar: bar(uploads.len()),
        uploads: uploads.into_iter().map(Arc::new).collect(),
        is_single: false,
        asked: 0,
    };
    let attempts = match has_queue {
        true => ATTEMPTS_WITH_QUEUE,
        false => ATTEMPTS,
    };
    for attempt in 0..attempts {
        if attempt > 0 {
            let asked = Duration::from_secs(delivery.asked);
            let pause = asked.max(PAUSE * 2_u32.pow(attempt - 1)).min(MAX_PAUSE);
            tokio::time::sleep(pause).await;
        }
        delivery.round().await?;
        if delivery.waiting().is_empty() {
            break;
        }
    }
    delivery.bar.finish_and_clear();
    let unknown = || Became::Pending("it was not sent".to_owned());
    let became = delivery.became.into_iter();
    let delivered = delivery.uploads.into_iter().zip(became);
    Ok(delivered
        .map(|(upload, became)| Delivered {
            upload,
            became: became.unwrap_or_else(unknown),
        })
        .collect())
}

impl Delivery<'_> {
    /// Returns the numbers of the entries that are to be sent still.
    fn waiting(&self) -> Vec<usize> {
        let numbers = self.became.iter().enumerate();
        let is_open = |became: &Option<Became>| matches!(became, None | Some(Became::Pending(_)));
        numbers
            .filter(|(_, became)| is_open(became))
            .map(|(number, _)| number)
            .collect()
    }

    /// Sends everything that waits once. Ends early if the log takes nothing.
    async fn round(&mut self) -> Outcome<()> {
        self.asked = 0;
        let waiting = self.waiting();
        let mut left = waiting.as_slice();
        while !left.is_empty() {
            let (chunk, rest) = left.split_at(self.chunk(left));
            left = rest;
            let sent = self
                .send(chunk)
                .await
                .explain(FailureKind::Usage, "--url")?;
            let mut has_progress = false;
            for (number, sent) in sent {
                let sent = match self.uploads[number].queued {
                    Some(_) => patient(sent),
                    None => sent,
                };
                has_progress |= !matches!(sent, Sent::Later { .. });
                self.settle(number, sent)?;
            }
            if !has_progress {
                break;
            }
        }
        Ok(())
    }

    /// Returns how many of these entries one request takes.
    fn chunk(&self, numbers: &[usize]) -> usize {
        let mut bytes = 0;
        let fit = numbers.iter().take(BATCH).take_while(|number| {
            bytes += self.uploads[**number].proposal.request().len();
            bytes <= BATCH_BYTES
        });
        fit.count().max(1)
    }

    async fn send(&mut self, numbers: &[usize]) -> Result<Vec<(usize, Sent)>, FetchError> {
        if numbers.len() > 1 && !self.is_single {
            let proposals: Vec<_> = numbers
                .iter()
                .map(|number| &self.uploads[*number].proposal)
                .collect();
            match self.to.uploader.send_batch(&proposals).await? {
                Some(sent) => return Ok(numbers.iter().copied().zip(sent).collect()),
                None => self.is_single = true,
            }
        }
        let mut sent = Vec::new();
        let mut tasks = JoinSet::new();
        for number in numbers {
            let (number, upload) = (*number, Arc::clone(&self.uploads[*number]));
            let uploader = self.to.uploader.clone();
            tasks.spawn(async move { (number, uploader.send(&upload.proposal).await) });
            if tasks.len() == AT_ONCE {
                sent.extend(tasks.join_next().await.and_then(Result::ok));
            }
        }
        while let Some(done) = tasks.join_next().await {
            sent.extend(done.ok());
        }
        sent.into_iter()
            .map(|(number, sent)| Ok((number, sent?)))
            .collect()
    }

    /// Keeps what became of an entry. The files of one that is in the log are written first, and
    /// then it leaves the queue.
    fn settle(&mut self, number: usize, sent: Sent) -> Outcome<()> {
        let upload = Arc::clone(&self.uploads[number]);
        let became = match sent {
            Sent::Logged(logged) => {
                // The others of a batch are in the log as well, so this must not hide them.
                match write(&upload, &logged) {
                    Ok(()) => Became::Logged(logged),
                    Err(failure) => Became::Refused(format!(
                        "it is in the log at index {}, and its files could not be written: {failure}. \
                         Upload it again to write them",
                        logged.entry.log_index
                    )),
                }
            }
            Sent::Later { why, after } => {
                self.asked = self.asked.max(after.unwrap_or_default());
                Became::Pending(why)
            }
            Sent::Refused { status, message } => {
                let mut why = format!("{status}: {message}");
                if let Some(queued) = &upload.queued {
                    let aside = queue::set_aside(queued)?;
                    why = format!("{why}. It is set aside as {}", aside.display());
                }
                Became::Refused(why)
            }
            Sent::Unverified(error) => Became::Unverified(error),
        };
        if !matches!(became, Became::Pending(_)) {
            self.bar.inc(1);
        }
        self.became[number] = Some(became);
        Ok(())
    }
}

/// Writes the files of an entry that is in the log, and then takes it out of the queue.
fn write(upload: &Upload, logged: &client::upload::Logged) -> Outcome<()> {
    for output in &upload.outputs {
        output.write(logged)?;
    }
    upload.queued.as_deref().map_or(Ok(()), queue::remove)
}

/// Returns an outcome of a queued entry. Only an answer about the entry itself ends its wait: a
/// proxy that asks for a password or sends elsewhere says nothing about it.
fn patient(sent: Sent) -> Sent {
    match sent {
        Sent::Refused { status, message } if ![400, 409, 413, 415, 422].contains(&status) => {
            let why = format!("{status}: {message}");
            Sent::Later { why, after: None }
        }
        sent => sent,
    }
}

/// Returns a bar, on a terminal and for more than one entry.
fn bar(entries: usize) -> ProgressBar {
    let bar = match entries > 1 && io::stderr().is_terminal() {
        true => ProgressBar::new(entries as u64),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) =
        ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} entries, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}
