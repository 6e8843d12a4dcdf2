//! `kill -9` in the middle of concurrent writers to both logs, of the server and of Postgres:
//! everything that was acknowledged is there afterwards, and nothing else is amiss. The guard and
//! the database agree after each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::auditor::Auditor;
use crate::cluster::Cluster;
use crate::guarded;
use crate::postgres::Storage;
use crate::program::Server;
use crate::writer::{self, Writer};

const WRITERS: usize = 16;
/// Kills of an ordinary run. `TREEHEAD_KILL_ROUNDS` asks for more of servers,
/// `TREEHEAD_KILL_POSTGRES_ROUNDS` of Postgres.
const ROUNDS: usize = 3;
/// `fsck` reads the whole log, so it runs after each of the first kills and then after one in as
/// many.
const FSCK_EVERY: usize = 25;

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

/// How many kills a variable asks for.
fn rounds(variable: &str) -> usize {
    std::env::var(variable).map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// Entries that are acknowledged before a kill, so that it meets ever other moments.
fn entries_before(round: usize) -> usize {
    24 + round * 7 % 53
}

/// Everything that is known of the log.
struct Trial<'a> {
    storage: &'a Storage,
    writers: Vec<Writer>,
    /// How many entries of each writer were found after a kill.
    found: Vec<usize>,
    auditor: Auditor,
}

impl<'a> Trial<'a> {
    fn new(storage: &'a Storage, server: &Server) -> Self {
        Self {
            storage,
            writers: (0..WRITERS).map(Writer::new).collect(),
            found: vec![0; WRITERS],
            auditor: Auditor::new(server.api),
        }
    }

    /// Everything that was acknowledged since the last call is there, under an index of its own.
    fn assert_found(&mut self, server: &Server) {
        for (writer, found) in self.writers.iter().zip(&mut self.found) {
            writer.assert_logged(server, *found);
            writer.report(&mut self.auditor, *found);
            *found = writer.count();
        }
        writer::assert_indexes_are_distinct(&self.writers);
        self.auditor.look(server.api);
    }

    /// All of it is there, and every head that was ever seen is one of it.
    fn finish(&mut self, server: Server, what: &str) {
        for writer in &self.writers {
            writer.assert_logged(&server, 0);
        }
        self.auditor.recompute(server.api);
        server.stop();
        guarded::assert_agrees(self.storage, &self.writers);
        self.storage.assert_in_order();
        let logged: usize = self.writers.iter().map(Writer::count).sum();
        let heads = self.auditor.heads();
        println!("{what}, {logged} acknowledged entries, all there, {heads} heads of one history");
    }
}

fn kill_rounds(storage: &Storage) {
    let rounds = rounds("TREEHEAD_KILL_ROUNDS");
    let mut server = Server::start(&mut storage.serve());
    let mut trial = Trial::new(storage, &server);
    for round in 0..rounds {
        write_until_killed(&mut trial.writers, &mut server, entries_before(round));
        guarded::assert_agrees(storage, &trial.writers);

        server = Server::start(&mut storage.serve());
        trial.assert_found(&server);
        writer::each(&mut trial.writers, |writer| writer.ask_again(server.api));
        if round < ROUNDS || round % FSCK_EVERY == 0 {
            storage.assert_in_order();
            // Once more, while it has nothing to do.
            server.kill();
            server = Server::start(&mut storage.serve());
        }
    }
    trial.assert_found(&server);
    let backend = match storage.database() {
        Some(_) => "postgres",
        None => "sqlite",
    };
    trial.finish(
        server,
        &format!("{rounds} kills of the server on {backend}"),
    );
}

/// Kills the server once that many entries were acknowledged, while all writers write.
fn write_until_killed(writers: &mut [Writer], server: &mut Server, kill_after: usize) {
    let (sender, ticks) = channel();
    thread::scope(|scope| {
        for writer in writers {
            let (sender, api) = (sender.clone(), server.api);
            scope.spawn(move || writer.write_until_gone(api, &sender));
        }
        drop(sender);
        wait_for(&ticks, kill_after);
        server.kill();
    });
}

/// Waits until that many entries more were acknowledged.
fn wait_for(ticks: &Receiver<()>, entries: usize) {
    let count = ticks.iter().take(entries).count();
    assert_eq!(count, entries, "all writers ended");
}

#[test]
fn nothing_acknowledged_is_lost_if_postgres_is_killed() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let storage = Storage::on(cluster.url());
    let rounds = rounds("TREEHEAD_KILL_POSTGRES_ROUNDS");
    let mut server = Server::start(&mut storage.serve());
    let mut trial = Trial::new(&storage, &server);
    // Each part has the writers at work through several kills.
    for first in (0..rounds).step_by(ROUNDS) {
        let kills = first..rounds.min(first + ROUNDS);
        kill_among_writers(&mut trial, &mut cluster, &server, kills);
        server.stop();
        guarded::assert_agrees(&storage, &trial.writers);
        server = Server::start(&mut storage.serve());
        trial.assert_found(&server);
        if first % FSCK_EVERY < ROUNDS {
            storage.assert_in_order();
        }
    }
    trial.finish(server, &format!("{rounds} kills of Postgres"));
}

/// Kills Postgres again and again while all writers write, and sees each time that the server goes
/// on by itself.
fn kill_among_writers(
    trial: &mut Trial,
    cluster: &mut Cluster,
    server: &Server,
    kills: std::ops::Range<usize>,
) {
    let (sender, ticks) = channel();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in &mut trial.writers {
            let (sender, api, done) = (sender.clone(), server.api, &done);
            scope.spawn(move || writer.write_until(api, done, &sender));
        }
        drop(sender);
        for kill in kills {
            wait_for(&ticks, entries_before(kill));
            cluster.kill();
            cluster.start_again();
            // What was on its way when it died may still be counted.
            wait_for(&ticks, 2 * WRITERS);
            trial.auditor.glance(server.api).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}
