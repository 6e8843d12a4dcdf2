//! The progress of `monitor --once`, on a terminal only.

use std::time::Duration;

use client::Http;
use indicatif::{ProgressBar, ProgressStyle};
use monitor::{Follower, Metrics};
use tokio::task::JoinHandle;

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(200);

/// A line with the number of entries that were read. It goes when this is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    task: JoinHandle<()>,
}

/// Shows the progress of all logs together.
pub(super) fn show(metrics: Metrics, followers: &[Follower<Http>]) -> Progress {
    // It draws only on a terminal.
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {pos} entries read, {per_sec}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    let names: Vec<String> = followers.iter().map(|log| log.name().to_owned()).collect();
    let shown = bar.clone();
    let task = tokio::spawn(async move {
        loop {
            let read = names.iter().map(|log| metrics.entries(log));
            shown.set_position(read.sum());
            tokio::time::sleep(EVERY).await;
        }
    });
    Progress { bar, task }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}
