//! Where log lines go: to stderr. Those of the access log wait a moment, so that many are written at once; all others are written
//! at once, behind those that wait.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Target of the access log.
const ACCESS: &str = "access";

/// How long the first line waits for others. A server that answers 30,000 requests per second would otherwise spend a tenth of its
/// time on writing one line each.
const LINGER: Duration = Duration::from_millis(10);

/// What waits at most, some 5,000 lines; whoever logs more writes it. So a log that nobody reads holds the server up, as without
/// this, and no memory.
const MAX_WAITING_BYTES: usize = 1024 * 1024;

static LINES: Lines =
    Lines { waiting: Mutex::new(Waiting::new()), some_wait: Condvar::new(), out: Mutex::new(Vec::new()) };

/// Makes the writers of log lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLines;

/// Writes what waits. To be called before the process ends.
pub(crate) fn flush() {
    // Nobody is left to tell if stderr is closed.
    let _: io::Result<()> = LINES.flush();
}

impl MakeWriter<'_> for LogLines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line { urgency: Urgency::AtOnce }
    }

    fn make_writer_for(&self, metadata: &Metadata<'_>) -> Line {
        Line { urgency: if metadata.target() == ACCESS { Urgency::Soon } else { Urgency::AtOnce } }
    }
}

/// Takes one line, as a whole.
pub(crate) struct Line {
    urgency: Urgency,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Urgency {
    AtOnce,
    Soon,
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.urgency {
            Urgency::Soon => LINES.add_for_soon(line)?,
            Urgency::AtOnce => {
                LINES.lock().bytes.extend_from_slice(line);
                LINES.flush()?;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Lines {
    waiting: Mutex<Waiting>,
    some_wait: Condvar,
    /// Whoever holds it writes. Taken before `waiting`, so that lines stay in order.
    out: Mutex<Vec<u8>>,
}

struct Waiting {
    bytes: Vec<u8>,
    /// A thread writes what waits.
    has_thread: bool,
}

impl Waiting {
    const fn new() -> Self {
        Self { bytes: Vec::new(), has_thread: false }
    }
}

impl Lines {
    fn add_for_soon(&'static self, line: &[u8]) -> io::Result<()> {
        let mut waiting = self.lock();
        let is_first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        let is_full = waiting.bytes.len() >= MAX_WAITING_BYTES;
        if !waiting.has_thread {
            std::thread::Builder::new().name("log".to_owned()).spawn(|| self.write_on())?;
            waiting.has_thread = true;
        }
        drop(waiting);
        if is_first {
            self.some_wait.notify_one();
        }
        if is_full { self.flush() } else { Ok(()) }
    }

    fn write_on(&self) {
        loop {
            drop(self.some_wait.wait_while(self.lock(), |waiting| waiting.bytes.is_empty()));
            std::thread::sleep(LINGER);
            // A closed stderr is nobody's business: it is tried again with the next lines.
            let _: io::Result<()> = self.flush();
        }
    }

    /// Writes all that waits, in order.
    fn flush(&self) -> io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.clear();
        std::mem::swap(&mut *out, &mut self.lock().bytes);
        io::stderr().write_all(&out)
    }

    /// What waits is whole lines between any two calls, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_access_log_wait_and_a_flush_leaves_none() {
        Line { urgency: Urgency::Soon }.write_all(b"").unwrap();
        LINES.lock().bytes.clear();
        LINES.lock().bytes.extend_from_slice(b"a line of this test\n");
        flush();
        assert!(LINES.lock().bytes.is_empty());
        Line { urgency: Urgency::AtOnce }.write_all(b"a line of this test\n").unwrap();
        assert!(LINES.lock().bytes.is_empty());
    }
}
