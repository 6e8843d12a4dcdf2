//! `kill -9` in the middle of concurrent writers to both logs: what was acknowledged is there
//! afterwards, and nothing else is amiss.

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use serde_json::Value;

use crate::entries::{self, Acknowledged, Author, Proposal};
use crate::http;
use crate::postgres::Storage;
use crate::program::Server;

const WRITERS: usize = 16;
/// Rounds of an ordinary run; `TREEHEAD_KILL_ROUNDS` asks for more.
const ROUNDS: usize = 3;
/// Entries before the first kill; a prime more for each later one, so that the kill meets ever
/// other moments.
const FIRST_KILL: usize = 48;

/// The log that a writer writes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    V1,
    V2,
}

/// One writer over all rounds.
struct Writer {
    author: Author,
    log: Log,
    written: usize,
    acknowledged: Vec<Acknowledged>,
    acknowledged_by_v2: Vec<Value>,
    /// What it had sent when the server died.
    unanswered: Option<Proposal>,
}

#[test]
fn nothing_acknowledged_is_lost_on_sqlite() {
    kill_rounds(&Storage::sqlite());
}

#[test]
fn nothing_acknowledged_is_lost_on_postgres() {
    if let Some(storage) = Storage::postgres() {
        kill_rounds(&storage);
    }
}

fn kill_rounds(storage: &Storage) {
    let rounds =
        std::env::var("TREEHEAD_KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut checked = vec![0; WRITERS];
    for round in 0..rounds {
        let mut server = Server::start(&mut storage.serve());
        each(&mut writers, |writer| writer.ask_again(server.api));
        write_until_killed(&mut writers, &mut server, FIRST_KILL + round * 7);

        let server = Server::start(&mut storage.serve());
        for (writer, checked) in writers.iter().zip(&mut checked) {
            writer.assert_logged(&server, *checked);
            *checked = writer.count();
        }
        storage.assert_in_order();
        assert_indexes_are_distinct(&writers);
        // Killed once more, while idle.
    }
    let server = Server::start(&mut storage.serve());
    for writer in &writers {
        writer.assert_logged(&server, 0);
    }
    let logged: usize = writers.iter().map(Writer::count).sum();
    println!("{rounds} kills, {logged} acknowledged entries, all there");
    server.stop();
    storage.assert_in_order();
}

/// Kills the server once that many entries were acknowledged, while all writers write.
fn write_until_killed(writers: &mut [Writer], server: &mut Server, kill_after: usize) {
    let (sender, ticks) = channel();
    thread::scope(|scope| {
        for writer in writers {
            let (sender, api) = (sender.clone(), server.api);
            scope.spawn(move || writer.write(api, &sender));
        }
        drop(sender);
        assert_eq!(
            ticks.iter().take(kill_after).count(),
            kill_after,
            "all writers ended before the kill"
        );
        server.kill();
    });
}

fn each(writers: &mut [Writer], act: impl Fn(&mut Writer) + Sync) {
    let act = &act;
    thread::scope(|scope| {
        writers
            .iter_mut()
            .for_each(|writer| drop(scope.spawn(move || act(writer))))
    });
}

fn assert_indexes_are_distinct(writers: &[Writer]) {
    let of_v1 = writers.iter().flat_map(|writer| &writer.acknowledged);
    let of_v1 = of_v1.map(|entry| ("v1", entry.log_index.to_string()));
    let of_v2 = writers.iter().flat_map(|writer| &writer.acknowledged_by_v2);
    // protobuf leaves out the index 0.
    let of_v2 = of_v2.map(|entry| ("v2", entry["logIndex"].as_str().unwrap_or("0").to_owned()));
    let mut indexes: Vec<(&str, String)> = of_v1.chain(of_v2).collect();
    let all = indexes.len();
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes.len(), all, "an index was given twice");
}

impl Writer {
    fn new(number: usize) -> Self {
        let author = Author::new(&format!("writer {number}"));
        Self {
            author,
            log: if number.is_multiple_of(2) {
                Log::V1
            } else {
                Log::V2
            },
            written: 0,
            acknowledged: Vec::new(),
            acknowledged_by_v2: Vec::new(),
            unanswered: None,
        }
    }

    /// Writes until the server is gone.
    fn write(&mut self, server: SocketAddr, ticks: &Sender<()>) {
        loop {
            let proposal = self.author.sign(&format!("entry {}", self.written));
            self.written += 1;
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

    /// What got no answer is either new now, or a duplicate of what is in the log; either way it is
    /// there afterwards.
    fn ask_again(&mut self, server: SocketAddr) {
        let Some(proposal) = self.unanswered.take() else {
            return;
        };
        let answer = self.post(server, &proposal).unwrap();
        match answer.status {
            201 => self.keep(&answer, &proposal),
            409 => {
                let path = answer.header("location").unwrap();
                let found = http::get(server, path);
                assert_eq!(found.status, 200, "{found:?}");
                self.keep(&found, &proposal);
            }
            _ => panic!("{answer:?}"),
        }
    }

    fn post(&self, server: SocketAddr, proposal: &Proposal) -> std::io::Result<http::Answer> {
        match self.log {
            Log::V1 => http::try_post(server, "/api/v1/log/entries", &proposal.json),
            Log::V2 => http::try_post(server, "/api/v2/log/entries", &proposal.v2),
        }
    }

    /// Keeps what was acknowledged.
    fn keep(&mut self, answer: &http::Answer, proposal: &Proposal) {
        match self.log {
            Log::V1 => {
                let entry = entries::acknowledged(answer, proposal);
                self.acknowledged.push(entry);
            }
            Log::V2 => self.acknowledged_by_v2.push(answer.json()),
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.len() + self.acknowledged_by_v2.len()
    }

    /// What was acknowledged is there, from the `first` on.
    fn assert_logged(&self, server: &Server, first: usize) {
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
