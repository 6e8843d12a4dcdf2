//! Log lines on their way to stderr. A thread of their own writes them; all other threads only put
//! their lines into a bounded buffer.
//!
//! So no log line can block or end the server, whatever stderr is: a full disk, a pipe that nobody
//! reads or whose reader is gone, a closed terminal. A line is dropped and counted if the buffer is
//! full or stderr refuses it.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use prometheus::{IntCounter, Registry};
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Target of the access log.
const ACCESS: &str = "access";

/// Target of the line that says how many lines were dropped.
const DROPPED: &str = module_path!();

/// How long a line of the access log waits for further lines. A server that answers 30,000 requests
/// per second would otherwise spend a tenth of its time on writing single lines.
const LINGER: Duration = Duration::from_millis(10);

/// Bytes of lines that wait for the thread, some 5,000 lines. As much again may be on its way to
/// stderr.
const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// The part of [`MAX_WAITING_BYTES`] that the access log leaves to all other lines, some 600 lines.
/// So errors are still logged when requests come faster than the reader of stderr reads.
const KEPT_FROM_ACCESS_BYTES: usize = MAX_WAITING_BYTES / 8;

/// How long the end of the process waits for its last lines. A live reader reads a full buffer in
/// far less time, and an absent one delays the end by no more than this.
const FAREWELL: Duration = Duration::from_secs(1);

static LINES: Lines = Lines::new();

/// Creates the writers of log lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLines;

/// Writes a line that is not an event of the log, such as the reason of a failure.
pub(crate) fn line(text: impl Display) {
    LINES.add(format!("{text}\n").as_bytes(), Urgency::AtOnce);
}

/// Waits for a moment until all lines are written. MUST be called before the process ends.
pub(crate) fn finish() {
    LINES.finish(FAREWELL);
}

/// Registers the number of dropped lines in `registry`. Lines that were dropped earlier count as
/// well.
///
/// # Errors
///
/// The registry has such a metric already.
pub(crate) fn register(registry: &Registry) -> prometheus::Result<()> {
    let help = "Log lines that were dropped because nobody read stderr, or because it could not \
                be written.";
    let counter = IntCounter::new("treehead_log_lines_dropped_total", help)?;
    registry.register(Box::new(counter.clone()))?;
    let mut waiting = LINES.lock();
    counter.inc_by(waiting.dropped);
    waiting.counter = Some(counter);
    Ok(())
}

impl MakeWriter<'_> for LogLines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line {
            urgency: Urgency::AtOnce,
        }
    }

    fn make_writer_for(&self, metadata: &Metadata<'_>) -> Line {
        Line {
            urgency: urgency(metadata.target()),
        }
    }
}

fn urgency(target: &str) -> Urgency {
    match target {
        ACCESS => Urgency::Soon,
        DROPPED => Urgency::InAnyCase,
        _ => Urgency::AtOnce,
    }
}

/// Accepts one whole line. Never fails and never waits.
pub(crate) struct Line {
    urgency: Urgency,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// Together with lines that come within [`LINGER`].
    Soon,
    AtOnce,
    /// Even if the buffer is full. For the report of dropped lines, which the thread adds at most
    /// once a batch.
    InAnyCase,
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LINES.add(line, self.urgency);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Lines {
    waiting: Mutex<Waiting>,
    some_wait: Condvar,
    all_written: Condvar,
}

struct Waiting {
    bytes: Vec<u8>,
    /// The highest urgency of the waiting lines.
    urgency: Urgency,
    writer: Writer,
    dropped: u64,
    /// The part of [`Self::dropped`] that no log line has reported.
    unreported: u64,
    counter: Option<IntCounter>,
}

/// State of the writing thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    Absent,
    Idle,
    Writing,
}

impl Waiting {
    fn drop_lines(&mut self, lines: u64) {
        self.dropped += lines;
        self.unreported += lines;
        if let Some(counter) = &self.counter {
            counter.inc_by(lines);
        }
    }

    fn is_being_written(&self) -> bool {
        match self.writer {
            Writer::Absent => false,
            Writer::Idle => !self.bytes.is_empty(),
            Writer::Writing => true,
        }
    }
}

impl Lines {
    const fn new() -> Self {
        let waiting = Waiting {
            bytes: Vec::new(),
            urgency: Urgency::Soon,
            writer: Writer::Absent,
            dropped: 0,
            unreported: 0,
            counter: None,
        };
        Self {
            waiting: Mutex::new(waiting),
            some_wait: Condvar::new(),
            all_written: Condvar::new(),
        }
    }

    fn add(&'static self, line: &[u8], urgency: Urgency) {
        let room = match urgency {
            Urgency::Soon => MAX_WAITING_BYTES - KEPT_FROM_ACCESS_BYTES,
            Urgency::AtOnce => MAX_WAITING_BYTES,
            Urgency::InAnyCase => usize::MAX,
        };
        let mut waiting = self.lock();
        self.have_writer(&mut waiting);
        if waiting.bytes.len() + line.len() > room {
            waiting.drop_lines(1);
            return;
        }
        let wakes = waiting.bytes.is_empty() || urgency > waiting.urgency;
        waiting.bytes.extend_from_slice(line);
        waiting.urgency = urgency.max(waiting.urgency);
        drop(waiting);
        if wakes {
            self.some_wait.notify_one();
        }
    }

    /// Starts the thread. If that fails, the lines wait until a later line can start it.
    fn have_writer(&'static self, waiting: &mut Waiting) {
        if waiting.writer == Writer::Absent {
            let started = thread::Builder::new()
                .name("log".to_owned())
                .spawn(|| self.write_on());
            waiting.writer = if started.is_ok() {
                Writer::Idle
            } else {
                Writer::Absent
            };
        }
    }

    fn write_on(&self) {
        let mut output = Output::new(io::stderr());
        let mut batch = Vec::new();
        loop {
            self.take(&mut batch);
            let lost = output.write(&batch);
            let unreported = self.finish_batch(lost);
            if unreported > 0 {
                tracing::warn!(target: DROPPED, lines = unreported, "log lines were dropped");
            }
        }
    }

    /// Waits for lines and moves them into `batch`, in their order.
    fn take(&self, batch: &mut Vec<u8>) {
        let waiting = self
            .some_wait
            .wait_while(self.lock(), |waiting| waiting.bytes.is_empty());
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .some_wait
            .wait_timeout_while(waiting, LINGER, |waiting| waiting.urgency == Urgency::Soon);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        batch.clear();
        std::mem::swap(batch, &mut waiting.bytes);
        waiting.urgency = Urgency::Soon;
        waiting.writer = Writer::Writing;
    }

    /// Notes that a batch was written except for `lost` lines. If stderr accepted all of it,
    /// returns how many lines were dropped earlier without a report.
    fn finish_batch(&self, lost: u64) -> u64 {
        let mut waiting = self.lock();
        waiting.writer = Writer::Idle;
        self.all_written.notify_all();
        if lost > 0 {
            waiting.drop_lines(lost);
            return 0;
        }
        std::mem::take(&mut waiting.unreported)
    }

    fn finish(&'static self, patience: Duration) {
        let mut waiting = self.lock();
        if waiting.writer == Writer::Absent {
            let lost = line_count(&std::mem::take(&mut waiting.bytes));
            waiting.drop_lines(lost);
        }
        waiting.urgency = Urgency::AtOnce;
        self.some_wait.notify_one();
        let is_busy = |waiting: &mut Waiting| waiting.is_being_written();
        drop(
            self.all_written
                .wait_timeout_while(waiting, patience, is_busy),
        );
    }

    /// The buffer holds whole lines between any two calls, so a panic elsewhere cannot damage it.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The destination of lines.
struct Output<W> {
    to: W,
    /// Whether the last line was cut off, so that the next one would continue it.
    is_mid_line: bool,
}

impl<W: Write> Output<W> {
    fn new(to: W) -> Self {
        Self {
            to,
            is_mid_line: false,
        }
    }

    /// Writes lines and returns how many were lost.
    fn write(&mut self, lines: &[u8]) -> u64 {
        if self.is_mid_line {
            self.is_mid_line = self.write_bytes(b"\n") > 0;
        }
        let unwritten = self.write_bytes(lines);
        let (written, lost) = lines.split_at(lines.len() - unwritten);
        self.is_mid_line = written
            .last()
            .map_or(self.is_mid_line, |&byte| byte != b'\n');
        line_count(lost)
    }

    /// Returns how many of the last bytes were not written.
    fn write_bytes(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.to.write(rest) {
                Ok(0) => break,
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Another process that shares the pipe or terminal made it non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(LINGER),
                Err(_) => break,
            }
        }
        rest.len()
    }
}

fn line_count(lines: &[u8]) -> u64 {
    lines.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests;
