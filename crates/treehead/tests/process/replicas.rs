//! Three servers on one Postgres while they are restarted one after the other, killed, put to sleep
//! and forgotten by the others: one history, no entry that is ever absent, and nothing for a person
//! to do.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use crate::auditor::Auditor;
use crate::entries::{self, Acknowledged, Author};
use crate::followers::{self, Follower};
use crate::http;
use crate::postgres::Storage;
use crate::program::Server;
use crate::rotate_waits;
use crate::writer::{self, Servers, Writer};

const WRITERS: usize = 8;
/// Readers of events.
const FOLLOWERS: u64 = 4;
/// Entries that are acknowledged between two steps.
const BETWEEN: usize = 40;
/// More than the hour after which the others forget a server, in milliseconds.
const FORGOTTEN: u64 = 3_700_000;
/// Rounds of an ordinary run; `TREEHEAD_REPLICA_ROUNDS` asks for more.
const ROUNDS: usize = 1;

/// A server that is restarted.
struct Replica {
    data: PathBuf,
    volume: Volume,
    /// Taken while it is down.
    server: Option<Server>,
}

/// Whether the data folder outlives the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Volume {
    Kept,
    /// A pod without a volume: the keys come from elsewhere, the folder is new at each start.
    None,
}

/// Everything that goes on.
struct Trial<'a> {
    storage: &'a Storage,
    servers: &'a Servers,
    ticks: Receiver<()>,
    replicas: Vec<Replica>,
}

#[test]
fn three_servers_write_one_history_whatever_happens_to_them() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let rounds =
        std::env::var("TREEHEAD_REPLICA_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let servers = Servers::default();
    let (sender, ticks) = channel();
    let mut trial = Trial::start(&storage, &servers, ticks);
    let mut auditor = Auditor::new(servers.next());
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut followers: Vec<Follower> = (0..FOLLOWERS).map(Follower::new).collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in &mut writers {
            let (servers, done, sender) = (&servers, &done, sender.clone());
            scope.spawn(move || writer.write_among(servers, done, &sender));
        }
        drop(sender);
        for follower in &mut followers {
            let (servers, done) = (&servers, &done);
            scope.spawn(move || follower.follow_among(servers, done));
        }
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // A server that is stopped meanwhile ends the connection.
                servers
                    .all()
                    .into_iter()
                    .for_each(|server| drop(auditor.glance(server)));
            }
        });
        let _done = Done(&done);
        for round in 0..rounds {
            trial.round(round);
        }
    });
    followers::assert_each_saw_all(&followers, servers.next());
    trial.finish(&writers, &mut auditor, rounds);
}

/// Ends the other threads also if something failed.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<'a> Trial<'a> {
    /// Starts the servers one after the other; the first one makes the ledger.
    fn start(storage: &'a Storage, servers: &'a Servers, ticks: Receiver<()>) -> Self {
        let volumes = [Volume::Kept, Volume::Kept, Volume::None];
        let replicas = volumes
            .into_iter()
            .enumerate()
            .map(|(number, volume)| Replica {
                data: storage.folder().join(format!("replica-{number}")),
                volume,
                server: None,
            });
        let mut trial = Self {
            storage,
            servers,
            ticks,
            replicas: replicas.collect(),
        };
        trial.start_replica(0);
        rotate_waits::copy_keys(&trial.replicas[0].data, &trial.replicas[1].data);
        trial.start_replica(1);
        trial.start_replica(2);
        trial
    }

    fn round(&mut self, round: usize) {
        // A rolling restart.
        for number in 0..self.replicas.len() {
            self.stop(number);
            self.wait();
            self.start_replica(number);
            self.wait();
        }
        // One is killed, and a server without a volume as well.
        for number in [0, 2] {
            let server = self.replicas[number].server.take();
            self.servers.remove(server.as_ref().unwrap().api);
            server.unwrap().kill();
            self.wait();
            self.start_replica(number);
            self.wait();
        }
        self.sleep(1, round);
        self.sleep(2, round);
        // The clock of the database leaps: nobody seems to live.
        self.forget("true");
        self.wait();
    }

    /// Stops a server for what the others take for more than an hour, while they write.
    fn sleep(&self, number: usize, round: usize) {
        let server = self.replicas[number].server.as_ref().unwrap();
        self.servers.remove(server.api);
        server.signal("STOP");
        self.forget(&format!("place LIKE '%process {},%'", server.id()));
        self.wait();
        // Clients that still came to it get their answers when it wakes. All of these entries were
        // acknowledged before they asked.
        let author = Author::new(&format!("while process {} is asleep", server.id()));
        let logged: Vec<Acknowledged> = (0..4)
            .map(|entry| author.sign(&format!("entry {entry} of {round}")))
            .map(|proposal| entries::log(self.servers.next(), &proposal))
            .collect();
        let asked = logged.iter().map(|entry| {
            let mut stream = http::connect(server.api).unwrap();
            let path = format!("/api/v1/log/entries/{}", entry.uuid);
            let request = http::head("GET", &path, 0);
            stream.write_all(request.as_bytes()).unwrap();
            stream
        });
        let asked: Vec<_> = asked.collect();
        server.signal("CONT");
        for stream in asked {
            let answer = http::answer(stream).unwrap();
            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        }
        self.servers.add(server.api);
        self.wait();
    }

    /// Servers seem not to have shown themselves for longer than the others remember.
    fn forget(&self, which: &str) {
        let forget = format!("UPDATE server SET seen = seen - {FORGOTTEN} WHERE {which}");
        self.storage.execute(&forget);
    }

    fn serve(&self, number: usize) -> Command {
        let replica = &self.replicas[number];
        let mut command = self.storage.serve_with(&replica.data);
        if replica.volume == Volume::None {
            let _ = fs::remove_dir_all(&replica.data);
            let keys = &self.replicas[0].data;
            for (flag, key) in [
                ("--v1-key", "v1-log.pem"),
                ("--v1-checkpoint-key", "v1-checkpoint.pem"),
                ("--v2-key", "v2-log.pem"),
            ] {
                command.arg(flag).arg(keys.join(key));
            }
        }
        command
    }

    fn start_replica(&mut self, number: usize) {
        let server = Server::start(&mut self.serve(number));
        let ready = http::get(server.api, "/readyz");
        assert_eq!(ready.status, 200, "{ready:?}");
        self.servers.add(server.api);
        self.replicas[number].server = Some(server);
    }

    fn stop(&mut self, number: usize) {
        let server = self.replicas[number].server.take().unwrap();
        self.servers.remove(server.api);
        server.stop();
    }

    /// Waits until more entries were acknowledged and found.
    fn wait(&self) {
        for _ in 0..BETWEEN {
            match self.ticks.recv_timeout(http::PATIENCE) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => panic!("nothing is acknowledged any more"),
                Err(RecvTimeoutError::Disconnected) => panic!("all writers ended"),
            }
        }
        // Those that came meanwhile do not count for the next step.
        while self.ticks.try_recv().is_ok() {}
    }

    /// Every server has everything, and all that was ever signed is one history.
    fn finish(&mut self, writers: &[Writer], auditor: &mut Auditor, rounds: usize) {
        for writer in writers {
            writer.report(auditor, 0);
        }
        writer::assert_indexes_are_distinct(writers);
        for replica in &self.replicas {
            let server = replica.server.as_ref().unwrap();
            auditor.look(server.api);
            for writer in writers {
                writer.assert_logged(server, 0);
            }
        }
        auditor.recompute(self.servers.next());
        let logged: usize = writers.iter().map(Writer::count).sum();
        let heads = auditor.heads();
        println!(
            "{rounds} rounds of three servers, {logged} acknowledged entries, all there, {heads} heads of one history"
        );
        for replica in &mut self.replicas {
            replica.server.take().unwrap().stop();
        }
        self.storage.assert_in_order();
    }
}
