//! A ledger that people watched while it grew, and what it may say once its database has gone back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::auditor::Auditor;
use crate::entries::{self, Acknowledged, Author, Proposal};
use crate::http::{self, Answer};
use crate::postgres::Storage;
use crate::program::Server;

/// A ledger, and everything that it acknowledged and signed.
pub(crate) struct Past {
    pub storage: Storage,
    /// A place of the guard beside the data folder.
    pub guard: Option<PathBuf>,
    author: Author,
    auditor: Auditor,
    v1: Vec<(Proposal, Acknowledged)>,
    v2: Vec<(Proposal, Value)>,
}

/// Size and root of the newest head of each log, by its API.
pub(crate) type Newest = BTreeMap<&'static str, (u64, String)>;

/// A log of which the database has an older head than was shown.
#[derive(Clone)]
pub(crate) struct Back {
    pub log: &'static str,
    /// Roots of the head that was shown and of the one that the database has.
    pub roots: Vec<String>,
    /// As many entries, from the first on, must be proved all the same.
    pub proved: u64,
}

impl Back {
    /// The logs that went back from the newer heads to the older ones. Their trees are small: the
    /// guard has the hashes that the database lacks.
    pub(crate) fn of(older: &Newest, newer: &Newest, logs: &[&'static str]) -> Vec<Self> {
        let back = |log: &&'static str| Self {
            log,
            roots: vec![newer[log].1.clone(), older[log].1.clone()],
            proved: older[log].0,
        };
        logs.iter().map(back).collect()
    }

    /// Whether a text names both heads.
    fn is_named_in(&self, text: &str) -> bool {
        self.roots.iter().all(|root| text.contains(root))
    }
}

impl Past {
    /// Makes a ledger, which runs.
    pub(crate) fn new(storage: Storage, guard: Option<PathBuf>) -> (Self, Server) {
        let server = Server::start(&mut serve(&storage, guard.as_ref()));
        let past = Self {
            auditor: Auditor::new(server.api),
            author: Author::new("put back"),
            v1: Vec::new(),
            v2: Vec::new(),
            storage,
            guard,
        };
        (past, server)
    }

    /// `serve` of this ledger.
    pub(crate) fn serve(&self) -> Command {
        serve(&self.storage, self.guard.as_ref())
    }

    /// Writes as many entries to each log, and looks at all heads.
    pub(crate) fn write(&mut self, server: SocketAddr, count: usize) -> Newest {
        self.write_to(server, "v1", count);
        self.write_to(server, "v2", count);
        self.auditor.look(server);
        let active = http::get(server, "/api/v1/log").json();
        let v1 = self.auditor.newest(active["treeID"].as_str().unwrap());
        // A tree of v2 is known by its origin.
        let v2 = self.auditor.newest("localhost");
        BTreeMap::from([("v1", v1), ("v2", v2)])
    }

    /// Writes as many entries to one log.
    pub(crate) fn write_to(&mut self, server: SocketAddr, log: &str, count: usize) {
        for _ in 0..count {
            let number = self.v1.len() + self.v2.len();
            let proposal = self.author.sign(&format!("entry {number}"));
            if log == "v1" {
                let logged = entries::log(server, &proposal);
                self.auditor.keep(&logged);
                self.v1.push((proposal, logged));
            } else {
                let logged = entries::log_v2(server, &proposal);
                self.auditor.keep_v2(&logged);
                self.v2.push((proposal, logged));
            }
        }
    }

    /// A write to a log is refused.
    pub(crate) fn assert_refused(&self, server: SocketAddr, log: &str) -> Answer {
        let proposal = self.author.sign("refused");
        let answer = match log {
            "v1" => http::post(server, "/api/v1/log/entries", &proposal.json),
            _ => http::post(server, "/api/v2/log/entries", &proposal.v2),
        };
        assert_eq!(answer.status, 503, "{answer:?}");
        answer
    }

    /// Knows the trees that came with a rotation.
    pub(crate) fn trust(&mut self, server: &Server) {
        self.auditor.trust(server.api);
    }

    /// These logs are read-only because they went back, and it says so wherever anybody looks. What
    /// people were told still holds.
    pub(crate) fn assert_halted(&mut self, server: &Server, back: &[Back]) {
        let api = server.api;
        for listener in [api, server.metrics] {
            let ready = http::get(listener, "/readyz");
            assert_eq!(ready.status, 503, "{ready:?}");
            assert!(
                back.iter().any(|back| back.is_named_in(&ready.body)),
                "{ready:?}"
            );
        }
        for root in back.iter().flat_map(|back| &back.roots) {
            server.wait_for_log(root);
        }
        assert_eq!(http::get(api, "/healthz").status, 200);
        let metrics = http::get(server.metrics, "/metrics").body;
        for log in ["v1", "v2"] {
            let halted = u8::from(back.iter().any(|back| back.log == log));
            let wanted = format!("treehead_read_only{{log=\"{log}\"}} {halted}\n");
            assert!(metrics.contains(&wanted), "{wanted}: {metrics}");
        }
        assert!(metrics.contains("treehead_ready 0\n"), "{metrics}");
        for back in back {
            self.assert_refuses(api, back);
        }
        self.assert_nothing_is_absent(api, back);
        self.auditor.glance(api).unwrap();
    }

    /// A log that went back takes nothing: neither what is new, nor what it lost, nor what it has.
    fn assert_refuses(&self, server: SocketAddr, back: &Back) {
        let new = self.author.sign("another history");
        let lost = match back.log {
            "v1" => self.v1.last().map(|(proposal, _)| proposal),
            _ => self.v2.last().map(|(proposal, _)| proposal),
        };
        for proposal in [&new, lost.unwrap(), &new] {
            let answer = match back.log {
                "v1" => http::post(server, "/api/v1/log/entries", &proposal.json),
                _ => http::post(server, "/api/v2/log/entries", &proposal.v2),
            };
            assert_unavailable(&answer);
            assert!(back.is_named_in(&answer.body), "{answer:?}");
        }
        if back.log == "v1" {
            let entries: Value = serde_json::from_str(&new.json).unwrap();
            let batch = json!({"entries": [entries]}).to_string();
            let answer = http::post(server, "/api/v1/log/entries/batch", &batch);
            let result = &answer.json()["results"][0];
            assert_eq!(result["status"], 503, "{answer:?}");
        }
    }

    /// Nothing that was acknowledged is said to be absent, and everything that can be proved is
    /// shown.
    fn assert_nothing_is_absent(&self, server: SocketAddr, back: &[Back]) {
        let proved = |log: &str| {
            let back = back.iter().find(|back| back.log == log);
            back.map_or(u64::MAX, |back| back.proved)
        };
        let first = |index: usize, log| (index as u64) < proved(log);
        for (index, (proposal, logged)) in self.v1.iter().enumerate() {
            let (uuid, body) = (&logged.uuid, &logged.entry["body"]);
            for path in [
                format!("/api/v1/log/entries/{uuid}"),
                format!("/api/v1/log/entries/{}", &uuid[16..]),
                format!("/api/v1/log/entries?logIndex={}", logged.log_index),
            ] {
                let answer = http::get(server, &path);
                assert_shown(&path, &answer, first(index, "v1"));
                if answer.status == 200 {
                    assert_eq!(answer.json()[uuid]["body"], *body, "{path}");
                }
            }
            let retrieve = json!({"logIndexes": [logged.log_index], "entryUUIDs": [uuid]});
            let path = "/api/v1/log/entries/retrieve";
            let answer = http::post(server, path, &retrieve.to_string());
            assert_shown(path, &answer, false);
            if answer.status == 200 {
                assert_eq!(answer.json().as_array().unwrap().len(), 2, "{answer:?}");
            }
            let hash = json!({"hash": format!("sha256:{}", proposal.artifact_hash)});
            self.assert_found(server, &hash, &[uuid], back);
            let search = format!("/api/v1/index/search?sha256={}", proposal.artifact_hash);
            let answer = last_page(server, &search);
            assert_shown(&search, &answer, false);
            assert!(
                answer.status == 503 || answer.body.contains(uuid),
                "{answer:?}"
            );
        }
        let key = BASE64_STANDARD.encode(self.author.public_pem());
        let key = json!({"publicKey": {"format": "x509", "content": key}});
        let all: Vec<&String> = self.v1.iter().map(|(_, logged)| &logged.uuid).collect();
        self.assert_found(server, &key, &all, back);

        for (index, (_, logged)) in self.v2.iter().enumerate() {
            let body = logged["canonicalizedBody"].as_str().unwrap();
            let leaf = tlog::leaf_hash(&BASE64_STANDARD.decode(body).unwrap());
            for path in [
                format!("/api/v2/log/entries/{index}"),
                format!("/api/v2/log/entries?leafHash={leaf}"),
            ] {
                let answer = http::get(server, &path);
                assert_shown(&path, &answer, first(index, "v2"));
                if answer.status == 200 {
                    assert_eq!(answer.json()["canonicalizedBody"], body, "{path}");
                }
            }
        }
    }

    /// A search has all of these, unless it is refused because the log went back.
    fn assert_found(&self, server: SocketAddr, query: &Value, wanted: &[&String], back: &[Back]) {
        let path = "/api/v1/index/retrieve";
        let answer = http::post(server, path, &query.to_string());
        let is_back = back.iter().any(|back| back.log == "v1");
        assert_shown(path, &answer, !is_back);
        if answer.status == 200 {
            let found = answer.json();
            let has = |uuid: &&String| found.as_array().unwrap().contains(&json!(uuid));
            assert!(wanted.iter().all(has), "{query}: {found}");
        }
    }

    /// All logs take entries and have everything, and every head that was ever seen is one of one
    /// history.
    pub(crate) fn assert_whole(&mut self, server: &Server) {
        let ready = http::get(server.api, "/readyz");
        assert_eq!(ready.status, 200, "{ready:?}");
        self.write(server.api, 2);
        let v1: Vec<Acknowledged> = self.v1.iter().map(|(_, logged)| logged.clone()).collect();
        entries::assert_all_logged(server.api, &self.author, &v1);
        self.assert_nothing_is_absent(server.api, &[]);
        self.auditor.recompute(server.api);
    }
}

fn serve(storage: &Storage, guard: Option<&PathBuf>) -> Command {
    let mut command = storage.serve();
    guard.map(|guard| command.arg("--guard").arg(guard));
    command
}

/// Returns the first page of a search with an entry, or else the last page: a page is one piece of
/// work in one tree, so it may be empty and lead on.
fn last_page(server: SocketAddr, search: &str) -> Answer {
    let mut path = search.to_owned();
    loop {
        let answer = http::get(server, &path);
        if answer.status != 200 {
            return answer;
        }
        let page = answer.json();
        let is_empty = page["entries"].as_array().unwrap().is_empty();
        match page["cursor"].as_str().filter(|_| is_empty) {
            Some(cursor) => path = format!("{search}&cursor={cursor}"),
            None => return answer,
        }
    }
}

/// The answer is an entry, or says that there is none to be had now, which it may not say of one
/// that can be proved.
fn assert_shown(path: &str, answer: &Answer, can_be_proved: bool) {
    if answer.status == 503 && !can_be_proved {
        assert_unavailable(answer);
    } else {
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("read-only"), "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}
