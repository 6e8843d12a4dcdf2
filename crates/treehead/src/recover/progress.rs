//! How far a recovery is.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};
use ledger::Api;
use ledger::recover::Progress;

use crate::log_lines;

/// A bar on a terminal, otherwise a line at every tenth of the way.
pub(super) struct Shown {
    bar: ProgressBar,
    log: String,
    next_tenth: u64,
}

impl Shown {
    pub(super) fn new(name: &str, api: &Api) -> Self {
        let bar = match io::stderr().is_terminal() {
            true => ProgressBar::new(0),
            false => ProgressBar::hidden(),
        };
        let template = "{prefix} {wide_bar} {human_pos}/{human_len} entries {msg}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let log = format!("{name} ({api} log)");
        bar.set_prefix(log.clone());
        Self {
            bar,
            log,
            next_tenth: 1,
        }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        let (done, total, verb) = match progress {
            Progress::Verified(done, total) => (done, total, "verified"),
            Progress::Copied(done, total) => (done, total, "copied"),
        };
        self.bar.set_message(verb);
        self.bar.set_length(total);
        self.bar.set_position(done);
        // In 128 bits: ten times a tree size may not fit into 64.
        let tenths = u128::from(done) * 10 / u128::from(total.max(1));
        let tenths = u64::try_from(tenths).unwrap_or(u64::MAX);
        if self.bar.is_hidden() && tenths >= self.next_tenth {
            self.next_tenth = tenths + 1;
            let log = &self.log;
            log_lines::line(format_args!("{log}: {done} of {total} entries {verb}"));
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
