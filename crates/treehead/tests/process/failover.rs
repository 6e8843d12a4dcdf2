//! A server on a primary with a synchronous standby: nothing is acknowledged or shown that the
//! standby lacks, and the server follows the failover by itself.

use std::net::SocketAddr;
use std::thread;

use crate::entries::{self, Author, Proposal};
use crate::http::{self, Answer};
use crate::program::{self, Server};
use crate::standby::{self as cluster, Cluster};

/// Whether a round waits for the standby.
const ROUND_WAITS: &str = "SELECT count(*) > 0 FROM pg_stat_activity
    WHERE wait_event = 'SyncRep' AND query LIKE 'WITH guard%'";
/// Whether a confirmation waits for the standby.
const CONFIRMATION_WAITS: &str = "SELECT count(*) > 0 FROM pg_stat_activity
    WHERE wait_event = 'SyncRep' AND query LIKE '%pg_logical_emit_message%'";
const WRITE: &str = "/api/v1/log/entries";

/// A primary, its synchronous standby, and a server that knows both.
struct Setup {
    primary: Cluster,
    standby: Cluster,
    server: Server,
    _data: tempfile::TempDir,
}

impl Setup {
    fn new() -> Option<Self> {
        let primary = Cluster::primary()?;
        let standby = primary.standby();
        primary.set("synchronous_standby_names", "*");
        let data = tempfile::tempdir().unwrap();
        let url = cluster::url(&[primary.folder(), standby.folder()]);
        let url = format!("{url}?target_session_attrs=read-write");
        let mut serve = program::serve(data.path());
        let server = Server::start(serve.args(["--database", &url]));
        Some(Self {
            primary,
            standby,
            server,
            _data: data,
        })
    }

    fn promote(&self) {
        self.primary.crash();
        self.standby.promote();
    }

    /// The size of the log in its metrics, for which no database is asked.
    fn published(&self) -> u64 {
        let metrics = http::get(self.server.metrics, "/metrics").body;
        let size = metrics
            .lines()
            .find_map(|line| line.strip_prefix("treehead_tree_size{log=\"v1\"} "));
        size.unwrap().parse().unwrap()
    }
}

/// Sends an entry until it is accepted, or known to be there.
fn write_patiently(server: SocketAddr, proposal: &Proposal) -> Answer {
    loop {
        let answer = http::post(server, WRITE, &proposal.json);
        match answer.status {
            201 | 409 => return answer,
            503 => {}
            _ => panic!("{answer:?}"),
        }
    }
}

/// The session of a commit that waits for the standby is ended: the entry can be read, and is not
/// acknowledged before the standby has it.
#[test]
fn an_entry_is_acknowledged_once_the_standby_has_it() {
    let Some(setup) = Setup::new() else { return };
    let author = Author::new("failover");
    let api = setup.server.api;
    let mut acknowledged = vec![entries::log(api, &author.sign("one"))];
    setup.standby.crash();
    let waits = author.sign("two");
    thread::scope(|scope| {
        let answer = scope.spawn(|| http::post(api, WRITE, &waits.json));
        setup.primary.wait_for(ROUND_WAITS, "t");
        let ended = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        setup.primary.sql(ended);
        setup.primary.wait_for("SELECT max(size) FROM head", "2");
        // The confirmation waits.
        setup.primary.wait_for(CONFIRMATION_WAITS, "t");
        assert!(!answer.is_finished());
        assert_eq!(setup.published(), 1);
        setup.standby.start();
        let mut answer = answer.join().unwrap();
        if answer.status == 503 {
            // The standby took longer to start than a confirmation waits. The entry is stored.
            let duplicate = write_patiently(api, &waits);
            answer = http::get(api, duplicate.header("location").unwrap());
        }
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        acknowledged.push(entries::acknowledged(&answer, &waits));
    });

    setup.promote();
    let after = author.sign("three");
    let answer = write_patiently(api, &after);
    assert_eq!(answer.status, 201, "{answer:?}");
    acknowledged.push(entries::acknowledged(&answer, &after));
    entries::assert_all_logged(api, &author, &acknowledged);
    assert_eq!(setup.published(), 3);
    assert_eq!(http::get(api, "/readyz").status, 200);
}

/// The primary restarts alone with a commit that waited, and is then lost: the server showed nothing
/// of it, and goes on where the standby is.
#[test]
fn what_only_a_lost_primary_had_is_neither_shown_nor_missed() {
    let Some(setup) = Setup::new() else { return };
    let author = Author::new("lost primary");
    let api = setup.server.api;
    let first = entries::log(api, &author.sign("one"));
    setup.standby.crash();
    let lost = author.sign("two");
    thread::scope(|scope| {
        let answer = scope.spawn(|| http::post(api, WRITE, &lost.json));
        setup.primary.wait_for(ROUND_WAITS, "t");
        setup.primary.crash();
        setup.primary.start();
        assert_eq!(setup.primary.sql("SELECT max(size) FROM head"), "2");
        // The confirmation waits.
        setup.primary.wait_for(CONFIRMATION_WAITS, "t");
        assert_eq!(setup.published(), 1);
        setup.primary.crash();
        setup.standby.start();
        setup.standby.promote();
        assert_eq!(answer.join().unwrap().status, 503);
    });
    let answer = write_patiently(api, &author.sign("three"));
    assert_eq!(answer.status, 201, "{answer:?}");
    let again = write_patiently(api, &lost);
    assert_eq!(again.status, 201, "{again:?}");
    entries::assert_logged(api, &author, &first);
    assert_eq!(setup.published(), 3);
    assert_eq!(http::get(api, "/readyz").status, 200);
}
