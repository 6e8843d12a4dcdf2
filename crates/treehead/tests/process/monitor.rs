//! `treehead monitor` against servers of this program and against hostile ones.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::entries::{self, Author};
use crate::hostile::{Answers, Hostile, Key};
use crate::program::{self, Server};

/// A monitor with its folder, its configuration and the notices that it wrote.
pub(crate) struct Monitor {
    folder: tempfile::TempDir,
}

impl Monitor {
    /// `logs` are the `[[log]]` sections, `more` whatever else the configuration has.
    pub(crate) fn new(more: &str, logs: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let monitor = Self { folder };
        monitor.configure(more, logs);
        monitor
    }

    pub(crate) fn configure(&self, more: &str, logs: &str) {
        let (state, notices) = (self.path("state"), self.path("notices"));
        let text = format!(
            "state = {state:?}\ninterval-seconds = 1\n{more}\n{logs}\n[[channel]]\ntype = \"json\"\nfile = {notices:?}\n"
        );
        program::file(self.folder.path(), "monitor.toml", &text);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = program::program();
        command
            .arg("monitor")
            .arg("--config")
            .arg(self.path("monitor.toml"));
        command
    }

    pub(crate) fn once(&self) -> Output {
        self.command().arg("--once").output().unwrap()
    }

    /// Runs once; the program must end with this status.
    pub(crate) fn once_with(&self, code: i32) -> String {
        let output = self.once();
        let said = program::text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    }

    /// Returns all notices so far. A kill may have cut a line.
    pub(crate) fn notices(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("notices")).unwrap_or_default();
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Returns the kinds of the alarms so far.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let notices = self.notices();
        let alarms = notices.iter().filter(|notice| notice["type"] == "alarm");
        let kind = |alarm: &Value| alarm["data"]["alarm"].as_str().unwrap().to_owned();
        alarms.map(kind).collect()
    }

    /// Returns the evidence of the last alarm.
    pub(crate) fn evidence(&self) -> PathBuf {
        let notices = self.notices();
        let alarm = notices.iter().rfind(|notice| notice["type"] == "alarm");
        alarm.unwrap()["data"]["evidence"].as_str().unwrap().into()
    }
}

/// A `[[log]]` section.
pub(crate) fn log(name: &str, api: &str, url: &str, trust: &str, start: &str) -> String {
    format!(
        "[[log]]\nname = {name:?}\napi = {api:?}\nurl = {url:?}\ntrust = [{trust:?}]\nstart = {start:?}\n"
    )
}

/// Writes what a server hands out for trust, and returns the path.
fn trusted_root(server: SocketAddr, monitor: &tempfile::TempDir) -> String {
    let document = crate::http::get(server, "/trust/trusted_root.json").body;
    let path = program::file(monitor.path(), "trusted_root.json", &document);
    path.display().to_string()
}

/// A rule for the entries that are signed with an author's key.
fn rule(name: &str, author: &Author) -> String {
    let der = author
        .public_pem()
        .lines()
        .filter(|line| !line.starts_with("-----"));
    use base64::Engine;
    let der = base64::prelude::BASE64_STANDARD.decode(der.collect::<String>());
    let hash = tlog::sha256(&der.unwrap());
    format!("[[rule]]\nname = {name:?}\nkey = \"{hash}\"\n")
}

/// Both logs of a server, each read from its beginning.
fn both(server: SocketAddr, trust: &str) -> String {
    let url = format!("http://{server}");
    let v1 = log("one", "v1", &url, trust, "oldest");
    v1 + &log("two", "v2", &url, trust, "oldest")
}

/// Returns how often an entry was reported, and asserts that all but the first report say that they
/// are repeated.
fn reports(monitor: &Monitor) -> BTreeMap<(String, u64), usize> {
    let mut reports = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for notice in monitor.notices() {
        if notice["type"] != "entry" {
            continue;
        }
        let log = notice["log"].as_str().unwrap().to_owned();
        let key = (log, notice["data"]["logIndex"].as_u64().unwrap());
        let count = reports.entry(key.clone()).or_insert(0);
        *count += 1;
        assert!(*count == 1 || notice["repeated"] == true, "{notice}");
        let id = ids.entry(key).or_insert_with(|| notice["id"].clone());
        assert_eq!(*id, notice["id"]);
    }
    reports
}

#[test]
fn entries_that_a_rule_matches_are_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let (ours, others) = (Author::new("ours"), Author::new("others"));
    let trust = trusted_root(server.api, &folder);
    let peers = format!("peers = [\"http://{}/guard\"]", server.api);
    let monitor = Monitor::new(&peers, &(both(server.api, &trust) + &rule("ours", &ours)));
    // Empty logs.
    monitor.once_with(0);
    for number in 0..300 {
        let author = match number % 50 {
            7 => &ours,
            _ => &others,
        };
        let proposal = author.sign(&number.to_string());
        entries::log(server.api, &proposal);
        entries::log_v2(server.api, &proposal);
    }
    monitor.once_with(0);
    let expected = |log: &str| {
        (0..6)
            .map(|n| ((log.to_owned(), 50 * n + 7), 1))
            .collect::<Vec<_>>()
    };
    let reported: Vec<_> = reports(&monitor).into_iter().collect();
    assert_eq!(reported, [expected("one"), expected("two")].concat());
    let notices = monitor.notices();
    let of_v1 = notices
        .iter()
        .find(|notice| notice["log"] == "one")
        .unwrap();
    assert_eq!(of_v1["repeated"], false);
    assert!(of_v1["data"]["integratedTime"].is_u64(), "{of_v1}");
    let uuid = of_v1["data"]["uuid"].as_str().unwrap();
    let found = crate::http::get(server.api, &format!("/api/v1/log/entries/{uuid}"));
    assert_eq!(found.status, 200);

    monitor.once_with(0);
    assert_eq!(monitor.notices().len(), 12);
    assert_eq!(monitor.alarms(), [""; 0]);
    server.stop();
    let said = monitor.once_with(22);
    assert!(said.contains("cannot be reached"), "{said}");
    assert_eq!(monitor.notices().len(), 12);
}

#[test]
fn a_log_is_followed_through_rotations() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // The name of a tree would mean that tree for ever, and these requests are sent to localhost.
    let mut serve = program::serve(&data);
    let server = Server::start(serve.args(["--v2-name", "v2.example.org"]));
    let ours = Author::new("rotated");
    let trust = trusted_root(server.api, &folder);
    let logs = both(server.api, &trust) + &rule("ours", &ours);
    let monitor = Monitor::new("", &logs);
    monitor.once_with(0);
    for round in 0..3 {
        for number in 0..3 {
            let proposal = ours.sign(&format!("{round} {number}"));
            entries::log(server.api, &proposal);
            entries::log_v2(server.api, &proposal);
        }
        // Every other time entries are left in the frozen trees that nobody read yet.
        if round != 1 {
            monitor.once_with(0);
        }
        if round < 2 {
            for api in ["v1", "v2"] {
                let mut rotate = program::program();
                rotate
                    .args(["rotate", "--log", api, "--data-dir"])
                    .arg(&data);
                let output = rotate.output().unwrap();
                assert!(output.status.success(), "{output:?}");
            }
            trusted_root(server.api, &folder);
        }
    }
    assert_eq!(monitor.alarms(), [""; 0]);
    let of = |log: &str| {
        monitor
            .notices()
            .iter()
            .filter(|notice| notice["log"] == log)
            .count()
    };
    assert_eq!((of("one"), of("two")), (9, 9), "{:?}", monitor.notices());
    server.stop();
}

#[test]
fn nothing_is_lost_when_the_monitor_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let ours = Author::new("killed");
    let trust = trusted_root(server.api, &folder);
    let monitor = Monitor::new("", &(both(server.api, &trust) + &rule("ours", &ours)));
    let rounds: u64 =
        std::env::var("TREEHEAD_KILL_ROUNDS").map_or(8, |rounds| rounds.parse().unwrap());
    let mut planted = 0;
    for round in 0..rounds {
        for _ in 0..20 {
            let proposal = ours.sign(&planted.to_string());
            entries::log(server.api, &proposal);
            entries::log_v2(server.api, &proposal);
            planted += 1;
        }
        let mut running = monitor
            .command()
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Kills at ever other moments of its work, which takes some tenths of a second.
        std::thread::sleep(std::time::Duration::from_millis(30 + round * 37 % 400));
        running.kill().unwrap();
        running.wait().unwrap();
    }
    monitor.once_with(0);
    let reports = reports(&monitor);
    for log in ["one", "two"] {
        for index in 0..planted {
            assert!(
                reports.contains_key(&(log.to_owned(), index)),
                "{log} {index}"
            );
        }
    }
    assert_eq!(reports.len() as u64, 2 * planted);
    let repeated = monitor.notices().len() - reports.len();
    println!(
        "{rounds} kills of the monitor, {} notices, all there, {repeated} of them twice, marked",
        reports.len()
    );
    server.stop();
}

/// Starts a server that shows these answers, and a monitor of it that has looked once.
pub(crate) fn watched(key: &Key, api: &str, more: &str, answers: Answers) -> (Hostile, Monitor) {
    let hostile = Hostile::start(answers);
    let monitor = Monitor::new("", "");
    let trust = program::file(monitor.folder.path(), "vkey", &key.vkey());
    let log = log(
        "log",
        api,
        &hostile.url(),
        &trust.display().to_string(),
        "oldest",
    );
    monitor.configure(more, &log);
    monitor.once_with(0);
    (hostile, monitor)
}
