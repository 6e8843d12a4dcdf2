//! One reader: a position, and a connection that ends at a random moment.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

/// Bytes that are read at once: two pieces of the server.
const BUFFER: usize = 128 << 10;
/// Pause after a refused connection.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// Refused connections of one reader in a row, after which it gives up.
const MAX_REFUSED: u64 = 100;

/// What readers saw.
#[derive(Default)]
pub(crate) struct Tally {
    /// Events.
    pub(crate) events: u64,
    /// Connections that were opened.
    pub(crate) connections: u64,
    /// Bytes that were received.
    pub(crate) bytes: u64,
    /// Streams that the server refused.
    pub(crate) refused: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.connections += other.connections;
        self.bytes += other.bytes;
        self.refused += other.refused;
    }
}

/// A reader that is connected.
pub(crate) struct Reader {
    address: String,
    stream: TcpStream,
    /// The position after the last event.
    last: String,
    random: u64,
    /// Longest time of a connection, in milliseconds.
    stay: u64,
    tally: Tally,
    /// For each tree that has been seen, the next index.
    trees: Vec<(String, u64)>,
}

impl Reader {
    /// Connects a reader that begins with the first entry. `number` decides its random choices.
    pub(crate) async fn open(address: &str, number: u64, stay: u64) -> Result<Self> {
        let last = "start".to_owned();
        Ok(Self {
            address: address.to_owned(),
            stream: connect(address, &last).await?,
            last,
            random: number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            stay,
            tally: Tally {
                connections: 1,
                ..Tally::default()
            },
            trees: Vec::new(),
        })
    }

    /// Connects, and reads nothing for as long as the result lives.
    pub(crate) async fn stall(address: &str) -> Result<TcpStream> {
        connect(address, "start").await
    }

    /// Reads until so many entries were seen.
    ///
    /// # Errors
    ///
    /// An event is not the next one of its tree.
    pub(crate) async fn follow(mut self, entries: u64) -> Result<Tally> {
        let mut refused = 0;
        loop {
            let before = self.tally.bytes;
            self.read_for_a_while(entries).await?;
            if self.tally.events >= entries {
                return Ok(self.tally);
            }
            if self.tally.bytes == before {
                refused += 1;
                self.tally.refused += 1;
                ensure!(refused < MAX_REFUSED, "the server is gone, or full");
                sleep(REFUSED_PAUSE).await;
            } else {
                refused = 0;
            }
            self.stream = connect(&self.address, &self.last).await?;
            self.tally.connections += 1;
        }
    }

    /// Reads from the connection until it ends, or its time is over, in the middle of whatever comes.
    async fn read_for_a_while(&mut self, entries: u64) -> Result<()> {
        let end = Instant::now() + Duration::from_millis(self.random_below(self.stay) + 1);
        let (mut buffer, mut filled) = (vec![0; BUFFER], 0);
        let mut id = None;
        let mut is_answered = false;
        while self.tally.events < entries {
            ensure!(filled < buffer.len(), "a line without an end");
            let read = match timeout_at(end, self.stream.read(&mut buffer[filled..])).await {
                Err(_) | Ok(Err(_)) | Ok(Ok(0)) => return Ok(()),
                Ok(Ok(read)) => read,
            };
            filled += read;
            let Some(whole) = buffer[..filled].iter().rposition(|byte| *byte == b'\n') else {
                continue;
            };
            let lines = std::str::from_utf8(&buffer[..whole]).context("not a text")?;
            if !is_answered {
                if lines.starts_with("HTTP/1.1 503 ") {
                    return Ok(());
                }
                ensure!(lines.starts_with("HTTP/1.1 200 "), "{lines}");
                is_answered = true;
            }
            self.tally.bytes += read as u64;
            for line in lines.split('\n') {
                self.take(line, &mut id)?;
            }
            buffer.copy_within(whole + 1..filled, 0);
            filled -= whole + 1;
        }
        Ok(())
    }

    /// Takes a line. A message counts when its empty line has come, as in a browser. Lines that end
    /// with a carriage return are HTTP's.
    fn take(&mut self, line: &str, message: &mut Option<Message>) -> Result<()> {
        if let Some(id) = line.strip_prefix("id: ") {
            let id = id.to_owned();
            *message = Some(Message { id, event: None });
        } else if let Some(data) = line.strip_prefix("data: ") {
            let message = message.as_mut().context("data without a position")?;
            message.event = Some(event(data)?);
        } else if line.is_empty()
            && let Some(message) = message.take()
        {
            self.last = message.id;
            if let Some((tree, index)) = message.event {
                self.count(tree, index)?;
            }
        } else if line.starts_with("event: ") {
            bail!("the reader is too far behind");
        }
        Ok(())
    }

    fn count(&mut self, tree: String, index: u64) -> Result<()> {
        self.tally.events += 1;
        match self.trees.iter_mut().find(|(seen, _)| *seen == tree) {
            Some((_, next)) => {
                ensure!(*next == index, "tree {tree}: {index} came, {next} is next");
                *next += 1;
            }
            None => {
                ensure!(index == 0, "tree {tree} begins with {index}");
                self.trees.push((tree, 1));
            }
        }
        Ok(())
    }

    /// Xorshift: any sequence that differs from reader to reader.
    fn random_below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }
}

/// A message that is not whole yet.
struct Message {
    id: String,
    event: Option<(String, u64)>,
}

/// Returns tree and index of an event. Its members have one order, so no JSON has to be read: the
/// readers would take more time for it than the server for the events.
fn event(data: &str) -> Result<(String, u64)> {
    let parsed = || {
        let (_, rest) = data.split_once("\"tree\":\"")?;
        let (tree, rest) = rest.split_once("\",\"index\":")?;
        let (index, _) = rest.split_once(',')?;
        Some((tree.to_owned(), index.parse().ok()?))
    };
    parsed().with_context(|| format!("not an event: {data}"))
}

async fn connect(address: &str, last: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await;
    let mut stream = stream.with_context(|| address.to_owned())?;
    let request = format!(
        "GET /api/v1/log/events HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\
         Last-Event-ID: {last}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}
