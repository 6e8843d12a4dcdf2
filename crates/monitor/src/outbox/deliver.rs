//! Delivers notices through one channel, in order and one at a time.

use std::sync::Arc;
use std::time::Duration;

use super::error::OutboxError;
use super::progress::Progress;
use super::{Backoff, Shared};
use crate::channels::{Channel, SendError};

/// Failed attempts after which the next one is mentioned again: the first, then every tenth.
const MENTION_EVERY: u32 = 10;
/// Refusals of one notice after which it is set aside: it is not refused by accident.
const MAX_REFUSALS: u32 = 5;

/// Why a channel ends.
enum End {
    /// The outbox is closed.
    Closed,
    /// The receiver wants no more.
    Off,
    /// Its files cannot be read or written.
    Failed(OutboxError),
}

impl From<OutboxError> for End {
    fn from(error: OutboxError) -> Self {
        Self::Failed(error)
    }
}

/// Delivers until the outbox is closed, or the receiver wants no more.
pub(super) async fn run(shared: Arc<Shared>, channel: Channel) {
    let name = channel.name.clone();
    let progress = shared.queue.borrow().progress(&name);
    let file = shared.files.progress_path(&name);
    if let Some(reason) = &progress.off {
        tracing::warn!(
            "channel {name:?} is switched off: {reason}. To try again, remove {} and start anew",
            file.display()
        );
        return;
    }
    loop {
        match one(&shared, &channel).await {
            Ok(()) => {}
            Err(End::Closed | End::Off) => return,
            Err(End::Failed(OutboxError::Stopping)) => return,
            Err(End::Failed(error)) => {
                // A full disk, perhaps: nothing is lost, and the outbox fills up meanwhile.
                tracing::error!("channel {name:?}: {error}");
                shared.metrics.failed(&name);
                if pause(&shared, shared.surroundings.backoff.longest)
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
    }
}

/// Waits for the next notice and delivers it, or sets it aside if the receiver refuses it.
async fn one(shared: &Shared, channel: &Channel) -> Result<(), End> {
    let name = &channel.name;
    let number = next(shared, name).await?;
    let progress = shared.queue.borrow().progress(name);
    let has_begun = progress == Progress::beginning(number);
    if !has_begun {
        // Dies here: the notice before may be sent once more, as a repeated one.
        advance(shared, name, Progress::beginning(number)).await?;
    }
    let mut notice = shared.files.notice(number).await?;
    notice.repeated |= has_begun;
    let (mut attempts, mut refusals) = (0, 0);
    loop {
        let reason = match channel.send(&notice, shared.now()).await {
            Ok(()) => {
                shared.metrics.delivered(name);
                break;
            }
            Err(SendError::Gone(reason)) => {
                tracing::error!("channel {name:?} is switched off: {reason}");
                let off = Progress::at(number).switched_off(reason);
                advance(shared, name, off).await?;
                return Err(End::Off);
            }
            Err(SendError::Refused(reason)) => {
                refusals += 1;
                reason
            }
            Err(SendError::Failed(reason)) => reason,
        };
        shared.metrics.failed(name);
        let id = &notice.id;
        if refusals == MAX_REFUSALS {
            // Dies here: the notice is sent, and most likely refused, once more.
            let file = shared.files.keep_refused(name, notice.clone()).await?;
            tracing::error!(
                "channel {name:?}, notice {id}: {reason}; it is not tried again, and is kept in {}",
                file.display()
            );
            break;
        }
        if attempts % MENTION_EVERY == 0 {
            tracing::warn!("channel {name:?}, notice {id}: {reason}; it is tried again");
        }
        let longest = shared.surroundings.backoff.pause(attempts);
        let factor = 0.5 + (shared.surroundings.jitter)();
        pause(shared, longest.mul_f64(factor)).await?;
        attempts += 1;
        notice.repeated = true;
    }
    let after = Progress::at(number + 1);
    let has_next = shared.queue.borrow().has_after(&after);
    if has_next {
        // The file of the channel says so together with the beginning of the next one.
        forget_delivered(shared, name, after);
        return Ok(());
    }
    // Dies here: the notice is sent once more, as a repeated one.
    advance(shared, name, after).await?;
    Ok(())
}

/// Waits for the number of the next notice.
async fn next(shared: &Shared, channel: &str) -> Result<u64, End> {
    let mut queue = shared.queue.subscribe();
    let mut closed = shared.is_closed.subscribe();
    loop {
        if *closed.borrow_and_update() {
            return Err(End::Closed);
        }
        if let Some(number) = queue.borrow_and_update().next_for(channel) {
            return Ok(number);
        }
        tokio::select! {
            changed = queue.changed() => changed.map_err(|_| End::Closed)?,
            changed = closed.changed() => changed.map_err(|_| End::Closed)?,
        }
    }
}

/// Keeps how far the channel is, and removes the notices that no channel needs any more.
async fn advance(shared: &Shared, channel: &str, progress: Progress) -> Result<(), OutboxError> {
    shared.files.keep(channel, progress.clone()).await?;
    forget_delivered(shared, channel, progress);
    Ok(())
}

fn forget_delivered(shared: &Shared, channel: &str, progress: Progress) {
    let mut delivered = Vec::new();
    shared
        .queue
        .send_modify(|queue| delivered = queue.advance(channel, progress));
    shared.files.remove(&delivered);
    shared.show();
}

/// Waits, unless the outbox is closed meanwhile.
async fn pause(shared: &Shared, length: Duration) -> Result<(), End> {
    let mut closed = shared.is_closed.subscribe();
    tokio::select! {
        () = tokio::time::sleep(length) => Ok(()),
        _ = closed.wait_for(|closed| *closed) => Err(End::Closed),
    }
}

impl Backoff {
    /// The pause after so many failed attempts before, without jitter.
    fn pause(self, attempts: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempts).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}
