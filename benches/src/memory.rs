//! The most memory that processes hold while a run lasts.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::Process;

/// How often it is read: that costs some 30 ms of CPU time for a Postgres.
const INTERVAL: Duration = Duration::from_secs(5);

/// Reads on a thread beside the run.
pub(crate) struct MemoryWatch {
    stop: mpsc::Sender<()>,
    thread: thread::JoinHandle<Result<Vec<u64>>>,
}

impl MemoryWatch {
    /// Begins.
    pub(crate) fn start(processes: Vec<Process>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut peaks = vec![0; processes.len()];
            loop {
                let is_last = stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Disconnected);
                for (peak, process) in peaks.iter_mut().zip(&processes) {
                    *peak = process.peak_kib()?.max(*peak);
                }
                if is_last {
                    return Ok(peaks);
                }
            }
        });
        Self { stop, thread }
    }

    /// Ends, after one more look. KiB for each process.
    pub(crate) fn finish(self) -> Result<Vec<u64>> {
        drop(self.stop);
        self.thread.join().ok().context("reading memory panicked")?
    }
}
