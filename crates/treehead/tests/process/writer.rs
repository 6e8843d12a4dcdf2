//! A client that writes to one log, and keeps all that was acknowledged, whatever happens to the
//! server or its database meanwhile.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::auditor::Auditor;
use crate::entries::{self, Acknowledged, Author, Proposal};
use crate::http::{self, Answer};
use crate::program::Server;

/// A client that was refused waits for this long before it sends its entry again.
const PAUSE: Duration = Duration::from_millis(20);

/// The log that a writer writes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    V1,
    V2,
}

/// One client.
pub(crate) struct Writer {
    author: Author,
    log: Log,
    written: usize,
    acknowledged: Vec<Acknowledged>,
    acknowledged_by_v2: Vec<Value>,
    /// The entry that it had sent when the server died.
    unanswered: Option<Proposal>,
}

/// Servers of one ledger that clients are sent to in turn, as by a load balancer.
#[derive(Default)]
pub(crate) struct Servers {
    addresses: Mutex<Vec<SocketAddr>>,
    turn: AtomicUsize,
}

impl Servers {
    pub(crate) fn add(&self, server: SocketAddr) {
        self.addresses.lock().unwrap().push(server);
    }

    pub(crate) fn remove(&self, server: SocketAddr) {
        self.addresses
            .lock()
            .unwrap()
            .retain(|other| *other != server);
    }

    pub(crate) fn next(&self) -> SocketAddr {
        let addresses = self.addresses.lock().unwrap();
        addresses[self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len()]
    }

    pub(crate) fn all(&self) -> Vec<SocketAddr> {
        self.addresses.lock().unwrap().clone()
    }
}

/// Runs all clients at once.
pub(crate) fn each(writers: &mut [Writer], act: impl Fn(&mut Writer) + Sync) {
    let act = &act;
    thread::scope(|scope| {
        writers
            .iter_mut()
            .for_each(|writer| drop(scope.spawn(move || act(writer))))
    });
}

/// No index was given to two entries of all these clients.
pub(crate) fn assert_indexes_are_distinct(writers: &[Writer]) {
    let of_v1 = writers.iter().flat_map(|writer| &writer.acknowledged);
    let of_v1 = of_v1.map(|entry| ("v1", entry.log_index));
    let of_v2 = writers.iter().flat_map(|writer| &writer.acknowledged_by_v2);
    let of_v2 = of_v2.map(|entry| ("v2", index_v2(entry)));
    let mut indexes: Vec<(&str, u64)> = of_v1.chain(of_v2).collect();
    let all = indexes.len();
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes.len(), all, "an index was given twice");
}

/// protobuf leaves out the index 0.
fn index_v2(entry: &Value) -> u64 {
    entry["logIndex"].as_str().unwrap_or("0").parse().unwrap()
}

impl Writer {
    /// Clients with even numbers write to v1, the others to v2.
    pub(crate) fn new(number: usize) -> Self {
        let log = if number.is_multiple_of(2) {
            Log::V1
        } else {
            Log::V2
        };
        Self {
            author: Author::new(&format!("writer {number}")),
            log,
            written: 0,
            acknowledged: Vec::new(),
            acknowledged_by_v2: Vec::new(),
            unanswered: None,
        }
    }

    /// Writes until the server is gone.
    pub(crate) fn write_until_gone(&mut self, server: SocketAddr, ticks: &Sender<()>) {
        loop {
            let proposal = self.next();
            match self.post(server, &proposal) {
                Ok(answer) => {
                    assert_eq!(answer.status, 201, "{answer:?}");
                    self.keep(&answer, &proposal);
                    // Nobody counts any more once the kill is on its way.
                    let _ = ticks.send(());
                }
                Err(_) => {
                    self.unanswered = Some(proposal);
                    return;
                }
            }
        }
    }

    /// Writes until that is done. A server whose database is gone says so, and the entry is sent
    /// again.
    pub(crate) fn write_until(
        &mut self,
        server: SocketAddr,
        done: &AtomicBool,
        ticks: &Sender<()>,
    ) {
        while !done.load(Ordering::Relaxed) {
            let proposal = self.next();
            while !self.is_taken(server, &proposal).unwrap() {
                thread::sleep(PAUSE);
            }
            let _ = ticks.send(());
        }
    }

    /// Writes to one server after the other until that is done. Each entry is there at once,
    /// whichever server is asked.
    pub(crate) fn write_among(&mut self, servers: &Servers, done: &AtomicBool, ticks: &Sender<()>) {
        while !done.load(Ordering::Relaxed) {
            let proposal = self.next();
            // A server that stops has ended the connection.
            while !self.is_taken(servers.next(), &proposal).unwrap_or(false) {
                thread::sleep(PAUSE);
            }
            while !self.shows_newest(servers.next()).unwrap_or(false) {
                thread::sleep(PAUSE);
            }
            let _ = ticks.send(());
        }
    }

    /// Asks a server for the newest acknowledged entry. False if the server cannot tell now.
    pub(crate) fn shows_newest(&self, server: SocketAddr) -> io::Result<bool> {
        let path = match self.log {
            Log::V1 => format!(
                "/api/v1/log/entries/{}",
                self.acknowledged.last().unwrap().uuid
            ),
            Log::V2 => {
                let body = &self.acknowledged_by_v2.last().unwrap()["canonicalizedBody"];
                let leaf = BASE64_STANDARD.decode(body.as_str().unwrap()).unwrap();
                format!("/api/v2/log/entries?leafHash={}", tlog::leaf_hash(&leaf))
            }
        };
        let answer = http::try_get(server, &path)?;
        assert!(matches!(answer.status, 200 | 503), "{path}: {answer:?}");
        Ok(answer.status == 200)
    }

    /// Sends the entry that got no answer again. It is either new now, or a duplicate of what is in
    /// the log; either way it is there afterwards.
    pub(crate) fn ask_again(&mut self, server: SocketAddr) {
        if let Some(proposal) = self.unanswered.take() {
            let is_taken = self.is_taken(server, &proposal).unwrap();
            assert!(is_taken, "a write is refused");
        }
    }

    fn next(&mut self) -> Proposal {
        self.written += 1;
        self.author.sign(&format!("entry {}", self.written))
    }

    /// Sends the entry once. False if the server cannot tell now.
    fn is_taken(&mut self, server: SocketAddr, proposal: &Proposal) -> io::Result<bool> {
        let answer = self.post(server, proposal)?;
        match answer.status {
            201 => self.keep(&answer, proposal),
            409 => {
                let path = answer.header("location").unwrap();
                let found = http::try_get(server, path)?;
                if found.status == 503 {
                    return Ok(false);
                }
                assert_eq!(found.status, 200, "{found:?}");
                self.keep(&found, proposal);
            }
            503 => return Ok(false),
            _ => panic!("{answer:?}"),
        }
        Ok(true)
    }

    fn post(&self, server: SocketAddr, proposal: &Proposal) -> io::Result<Answer> {
        match self.log {
            Log::V1 => http::try_post(server, "/api/v1/log/entries", &proposal.json),
            Log::V2 => http::try_post(server, "/api/v2/log/entries", &proposal.v2),
        }
    }

    /// Keeps what was acknowledged.
    fn keep(&mut self, answer: &Answer, proposal: &Proposal) {
        match self.log {
            Log::V1 => {
                let entry = entries::acknowledged(answer, proposal);
                self.acknowledged.push(entry);
            }
            Log::V2 => self.acknowledged_by_v2.push(answer.json()),
        }
    }

    /// How many entries were acknowledged.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.len() + self.acknowledged_by_v2.len()
    }

    /// The name of the log, and the largest index in it that was acknowledged.
    pub(crate) fn largest_index(&self) -> (&'static str, Option<u64>) {
        match self.log {
            Log::V1 => ("v1", self.acknowledged.iter().map(|e| e.log_index).max()),
            Log::V2 => ("v2", self.acknowledged_by_v2.iter().map(index_v2).max()),
        }
    }

    /// Gives the auditor everything that was acknowledged, from the `first` on.
    pub(crate) fn report(&self, auditor: &mut Auditor, first: usize) {
        let of_v1 = self.acknowledged.iter().skip(first);
        of_v1.for_each(|entry| auditor.keep(entry));
        let of_v2 = self.acknowledged_by_v2.iter().skip(first);
        of_v2.for_each(|entry| auditor.keep_v2(entry));
    }

    /// Everything that was acknowledged is there, from the `first` on.
    pub(crate) fn assert_logged(&self, server: &Server, first: usize) {
        match self.log {
            Log::V1 => {
                entries::assert_all_logged(server.api, &self.author, &self.acknowledged[first..]);
            }
            Log::V2 => {
                let wanted = &self.acknowledged_by_v2[first..];
                entries::assert_logged_v2(server.api, server.tree("v2"), wanted);
            }
        }
    }
}
