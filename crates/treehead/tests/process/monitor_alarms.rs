//! The alarms of `treehead monitor`: each fault of a log is built here, raises the right alarm once,
//! and leaves evidence that verifies.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};
use tlog::{TileId, TileResource};

use crate::hostile::{self, Answers, Hostile, Key, NAME, Tree};
use crate::monitor::{Monitor, log, watched};
use crate::program;

/// The monitor raises this alarm, once however often it looks. Its evidence has this weight for
/// those who trust the key, and shows nothing to others.
fn assert_alarm(monitor: &Monitor, key: &Key, code: i32, alarm: &str, weight: &str) {
    monitor.once_with(code);
    monitor.once_with(code);
    assert_eq!(monitor.alarms(), [alarm]);
    let evidence = monitor.evidence();
    let verify = |key: &Key| {
        let trust = program::file(monitor.path("state").as_path(), "trust", &key.vkey());
        let mut command = program::program();
        command
            .arg("verify")
            .arg(&evidence)
            .arg("--trust")
            .arg(trust);
        command.args(["--format", "json"]).output().unwrap()
    };
    let output = verify(key);
    // What is only reported is never taken for verified.
    let code = if weight == "proved" { 0 } else { 24 };
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["weight"], weight, "{shown}");
    // An answer that does not verify does so with no key.
    if !matches!(alarm, "bad-signature" | "bad-proof") {
        program::refusal(&verify(&Key::new()), 20);
    }
}

fn plain(size: u64) -> Tree {
    Tree::plain(size, u64::MAX, "")
}

#[test]
fn a_log_that_forks() {
    let key = Key::new();
    for (size, tree) in [
        (300, Tree::plain(300, 200, "b")),
        (256, Tree::plain(700, 200, "b")),
    ] {
        let (hostile, monitor) = watched(&key, "v2", "", key.v2(&plain(size)));
        hostile.show(key.v2(&tree));
        assert_alarm(&monitor, &key, 21, "fork", "proved");
        // What was signed stays signed.
        hostile.show(key.v2(&plain(size)));
        monitor.once_with(21);
        assert_eq!(monitor.alarms(), ["fork"]);
    }
}

#[test]
fn a_rekor_v1_that_forks() {
    let key = Key::new();
    let (hostile, monitor) = watched(&key, "v1", "", key.v1(&plain(30), &[]));
    hostile.show(key.v1(&Tree::plain(70, 20, "b"), &[30]));
    assert_alarm(&monitor, &key, 21, "fork", "proved");
}

#[test]
fn a_log_that_rolls_back() {
    let key = Key::new();
    let (hostile, monitor) = watched(&key, "v2", "", key.v2(&plain(700)));
    hostile.show(key.v2(&plain(300)));
    assert_alarm(&monitor, &key, 21, "rolled-back", "reported");
}

#[test]
fn a_log_that_lags_behind_is_no_alarm() {
    let key = Key::new();
    let newest = key.v2(&plain(700));
    let (hostile, monitor) = watched(&key, "v2", "", newest);
    let mut lagging = key.v2(&plain(700));
    let old = key.checkpoint(&plain(300)).into_bytes();
    lagging.paths.insert("/checkpoint".to_owned(), old);
    hostile.show(lagging);
    let said = monitor.once_with(22);
    assert!(said.contains("older than the head"), "{said}");
    assert_eq!(monitor.alarms(), [""; 0]);
    hostile.show(key.v2(&plain(800)));
    monitor.once_with(0);
}

#[test]
fn a_log_that_stalls() {
    let key = Key::new();
    let more = "stale-after-seconds = 3600";
    let (hostile, monitor) = watched(&key, "v2", more, key.v2(&plain(300)));
    monitor.once_with(0);
    // Two hours pass.
    let state = monitor.path("state").join("log.json");
    let mut kept: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    kept["fresh"] = json!(kept["fresh"].as_i64().unwrap() - 7_200);
    fs::write(&state, kept.to_string()).unwrap();
    assert_alarm(&monitor, &key, 22, "stale", "reported");
    // It is away as well.
    hostile.show(Answers::default());
    monitor.once_with(22);
    hostile.show(key.v2(&plain(301)));
    monitor.once_with(0);
    assert_eq!(monitor.alarms(), ["stale"]);
}

#[test]
fn a_head_that_another_key_signed() {
    let (key, other) = (Key::new(), Key::new());
    for answers in [other.v2(&plain(300)), forged(&key)] {
        let (hostile, monitor) = watched(&key, "v2", "", key.v2(&plain(200)));
        hostile.show(answers);
        assert_alarm(&monitor, &key, 20, "bad-signature", "reported");
        hostile.show(key.v2(&plain(300)));
        monitor.once_with(0);
    }
}

/// A head whose size was changed after it was signed.
fn forged(key: &Key) -> Answers {
    let mut answers = key.v2(&plain(300));
    let note = key.checkpoint(&plain(300)).replace("\n300\n", "\n299\n");
    answers
        .paths
        .insert("/checkpoint".to_owned(), note.into_bytes());
    answers
}

#[test]
fn a_page_of_a_proxy_is_no_alarm() {
    let key = Key::new();
    let (hostile, monitor) = watched(&key, "v2", "", key.v2(&plain(200)));
    hostile.change("/checkpoint", |body| *body = b"<html>\nsorry\n".to_vec());
    monitor.once_with(22);
    assert_eq!(monitor.alarms(), [""; 0]);
}

#[test]
fn an_entry_that_its_tile_contradicts() {
    let key = Key::new();
    for (number, width) in [(1, 256), (2, 188)] {
        let (hostile, monitor) = watched(&key, "v2", "", key.v2(&plain(200)));
        let mut tree = plain(700);
        let answers = key.v2(&tree);
        hostile.show(answers);
        tree.leaves[number * 256 + 9] = b"{}".to_vec();
        let changed = hostile::bundle(&tree.leaves[number * 256..number * 256 + width]);
        let path = hostile::path_of_bundle(number as u64, width);
        hostile.change(&path, |bundle| *bundle = changed);
        assert_alarm(&monitor, &key, 20, "bad-entry", "reported");
        let text = monitor.notices()[0]["message"].to_string();
        assert!(
            text.contains(&format!("entry {}", number * 256 + 9)),
            "{text}"
        );
        hostile.show(key.v2(&plain(700)));
        monitor.once_with(0);
    }
}

#[test]
fn an_entry_that_a_tile_omits() {
    let key = Key::new();
    // In the middle, where all later entries move up, and at the end.
    for (number, width, omitted) in [(1, 256, 9), (2, 188, 187)] {
        let (hostile, monitor) = watched(&key, "v2", "", key.v2(&plain(200)));
        let mut tree = plain(700);
        hostile.show(key.v2(&tree));
        tree.leaves.remove(number * 256 + omitted);
        let changed = hostile::bundle(&tree.leaves[number * 256..number * 256 + width - 1]);
        let path = hostile::path_of_bundle(number as u64, width);
        hostile.change(&path, |bundle| *bundle = changed);
        assert_alarm(&monitor, &key, 20, "bad-entry", "reported");
    }
}

#[test]
fn a_tile_that_does_not_lead_to_the_head() {
    let key = Key::new();
    for (level, width) in [(0, 188), (1, 2)] {
        let (hostile, monitor) = watched(&key, "v2", "", key.v2(&plain(0)));
        hostile.show(key.v2(&plain(700)));
        let index = match level {
            0 => 2,
            _ => 0,
        };
        let path = hostile::path(TileResource::Tile(TileId { level, index }), width);
        hostile.change(&path, |tile| tile[7] ^= 1);
        assert_alarm(&monitor, &key, 20, "bad-tile", "reported");
    }
}

#[test]
fn a_rekor_v1_that_lies_in_a_proof() {
    let key = Key::new();
    let (hostile, monitor) = watched(&key, "v1", "", key.v1(&plain(30), &[]));
    let mut answers = key.v1(&plain(70), &[30]);
    let entry = answers.entries.get_mut(&41).unwrap();
    let id = entry.as_object().unwrap().keys().next().unwrap().clone();
    entry[&id]["verification"]["inclusionProof"]["hashes"][0] = json!("0".repeat(64));
    hostile.show(answers);
    assert_alarm(&monitor, &key, 20, "bad-proof", "reported");
    hostile.show(key.v1(&plain(70), &[30]));
    monitor.once_with(0);
    assert_eq!(monitor.alarms(), ["bad-proof"]);
}

#[test]
fn two_monitors_that_are_shown_two_heads() {
    let key = Key::new();
    let (one, other) = (plain(300), Tree::plain(400, 200, "b"));
    let more = "listen = \"127.0.0.1:0\"";
    let (_first, first_monitor) = watched(&key, "v2", more, key.v2(&one));
    let mut running = first_monitor
        .command()
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(running.stderr.take().unwrap()).lines();
    let heads = said.find_map(|line| {
        let (_, url) = line
            .unwrap()
            .split_once("heads on ")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))?;
        Some(url)
    });
    let heads = heads.unwrap();
    let address = heads
        .trim_start_matches("http://")
        .trim_end_matches("/heads");
    let address = address.parse().unwrap();
    // It shows its heads after its first look.
    let is_shown = || {
        !crate::http::get(address, "/heads").json()["heads"]
            .as_array()
            .unwrap()
            .is_empty()
    };
    while !is_shown() {
        std::thread::yield_now();
    }
    let metrics = crate::http::get(address, "/metrics").body;
    assert!(
        metrics.contains(&format!(
            "treehead_monitor_head_size{{log=\"log\",tree=\"{NAME}\"}} 300"
        )),
        "{metrics}"
    );
    assert!(
        metrics.contains("treehead_monitor_alarm{alarm=\"fork\",log=\"log\"} 0"),
        "{metrics}"
    );

    let second = Hostile::start(key.v2(&other));
    let monitor = Monitor::new("", "");
    let trust = program::file(monitor.path("").as_path(), "vkey", &key.vkey());
    let section = log(
        "log",
        "v2",
        &second.url(),
        &trust.display().to_string(),
        "oldest",
    );
    monitor.configure(&format!("peers = [{heads:?}]"), &section);
    assert_alarm(&monitor, &key, 21, "split-view", "proved");
    let evidence: Value = serde_json::from_slice(&fs::read(monitor.evidence()).unwrap()).unwrap();
    assert_eq!(evidence["shownBy"], heads);
    running.kill().unwrap();
    running.wait().unwrap();
}

#[test]
fn a_checkpoint_that_witnesses_cosigned_is_compared() {
    let key = Key::new();
    let (hostile, monitor) = watched(&key, "v2", "", key.v2(&plain(300)));
    let witness = Hostile::start(Answers::default());
    let show = |tree: &Tree| {
        let note = key.checkpoint(tree).into_bytes();
        let paths = [("/cosigned".to_owned(), note)].into_iter().collect();
        witness.show(Answers {
            paths,
            ..Answers::default()
        });
    };
    let trust = program::file(monitor.path("").as_path(), "vkey", &key.vkey());
    let section = log(
        "log",
        "v2",
        &hostile.url(),
        &trust.display().to_string(),
        "oldest",
    );
    monitor.configure(
        &format!("peers = [\"{}/cosigned\"]", witness.url()),
        &section,
    );
    // Away, behind, level: no alarm.
    monitor.once_with(0);
    show(&plain(200));
    monitor.once_with(0);
    show(&plain(300));
    monitor.once_with(0);
    assert_eq!(monitor.alarms(), [""; 0]);
    show(&plain(500));
    assert_alarm(&monitor, &key, 21, "rolled-back", "reported");
}

#[test]
fn one_odd_entry_stops_nothing() {
    let key = Key::new();
    let mut leaves: Vec<_> = plain(300).leaves;
    leaves[5] = b"\xff\x00 no JSON".to_vec();
    leaves[6] = Vec::new();
    leaves[7] = br#"{"kind":"hashedrekord","apiVersion":"0.0.1","spec":{"data":{"hash":{"algorithm":"sha256","value":"00"}},"signature":{"content":"AA==","publicKey":{"content":"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1BPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="}}}}"#.to_vec();
    let rule = "[[rule]]\nname = \"kind\"\nkind = \"plain\"\n";
    let hostile = Hostile::start(key.v2(&Tree::new(leaves)));
    let monitor = Monitor::new("", "");
    let trust = program::file(monitor.path("").as_path(), "vkey", &key.vkey());
    let section = log(
        "log",
        "v2",
        &hostile.url(),
        &trust.display().to_string(),
        "oldest",
    );
    monitor.configure("", &(section + rule));
    monitor.once_with(0);
    assert_eq!(monitor.notices().len(), 297);
}
