//! How far the reading is.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(entries: u64) -> Self {
        let bar = match io::stderr().is_terminal() {
            true => ProgressBar::new(entries),
            false => ProgressBar::hidden(),
        };
        let template = "{wide_bar} {human_pos}/{human_len} entries, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(super) fn add(&mut self, entries: usize) {
        self.0.inc(entries as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
