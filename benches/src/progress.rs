//! Says how far long preparations are, on standard error and only where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the bar is drawn: steps themselves only count, since there are some 50,000 a second.
const REDRAW: Duration = Duration::from_millis(200);

/// Goes away when it is dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar for `count` steps.
    pub(crate) fn new(what: &'static str, count: usize) -> Self {
        let bar = ProgressBar::new(count as u64).with_message(what);
        // A template that does not parse would fail every test here; the default bar does as well.
        if let Ok(style) =
            ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len}, {eta} left")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(REDRAW);
        Self(bar)
    }

    /// One step is done.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
