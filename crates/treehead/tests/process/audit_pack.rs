//! `audit-pack`: an auditor checks it with Python's standard library and openssl, and notices what
//! was changed in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::entries::{self, Author};
use crate::program::{self, Server};

/// A server with entries in both logs, and an auditor.
struct Setup {
    server: Server,
    folder: tempfile::TempDir,
    /// The signed time of each entry of v1.
    times: Vec<i64>,
    _data: tempfile::TempDir,
}

impl Setup {
    /// Logs entries until the signed time has changed three times, so that two seconds are whole.
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(&mut program::serve(data.path()));
        let (author, folder) = (Author::new("audit"), tempfile::tempdir().unwrap());
        let mut times = Vec::new();
        while times.iter().collect::<BTreeSet<_>>().len() < 4 {
            let number = times.len().to_string();
            let logged = entries::log(server.api, &author.sign(&number));
            times.push(logged.entry["integratedTime"].as_i64().unwrap());
            // A few entries for each second are enough.
            thread::sleep(Duration::from_millis(100));
        }
        for number in 0..5 {
            entries::log_v2(server.api, &author.sign(&format!("v2 {number}")));
        }
        let root = crate::http::get(server.api, "/trust/trusted_root.json");
        program::file(folder.path(), "trusted_root.json", &root.body);
        Self {
            server,
            folder,
            times,
            _data: data,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pack(&self, api: &str, since: &str, until: &str, out: &str) -> Output {
        let (trust, out) = (self.path("trusted_root.json"), self.path(out));
        let mut command = program::program();
        command.args([
            "audit-pack",
            "--since",
            since,
            "--until",
            until,
            "--api",
            api,
        ]);
        command.args(["--url", &format!("http://{}", self.server.api)]);
        command.arg("--trust").arg(trust).arg("--out").arg(out);
        command.output().unwrap()
    }

    /// Makes a pack, and unpacks it into a folder.
    fn unpacked(&self, api: &str, since: &str, until: &str, name: &str) -> PathBuf {
        let output = self.pack(api, since, until, name);
        assert!(output.status.success(), "{output:?}");
        let file = fs::File::open(self.path(name)).unwrap();
        let to = self.path(&format!("{name}.d"));
        let archive = zstd::Decoder::new(file).unwrap();
        tar::Archive::new(archive).unpack(&to).unwrap();
        to.join("audit-pack")
    }
}

/// Returns a time in RFC 3339.
fn rfc3339(seconds: i64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let (date, (hour, minute, second)) = (time.date(), time.to_hms());
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns whether the tools of an auditor are there. In CI they must be.
fn has_tools() -> bool {
    for (tool, version) in [("python3", "--version"), ("openssl", "version")] {
        if Command::new(tool).arg(version).output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "{tool} is missing");
            println!("passed over: {tool} is missing");
            return false;
        }
    }
    true
}

/// Runs the script of a pack.
fn check(pack: &Path) -> (bool, String) {
    let script = Command::new("python3").arg(pack.join("check.py")).output();
    let output = script.unwrap();
    let text = program::text(&output.stdout) + &program::text(&output.stderr);
    assert!(
        text.contains("ok:") || text.contains("FAILED:"),
        "{output:?}"
    );
    (output.status.success(), text)
}

#[test]
fn a_period_is_checked_with_python_and_openssl() {
    if !has_tools() {
        return;
    }
    let setup = Setup::new();
    let (first, last) = (setup.times[0], *setup.times.last().unwrap());
    let second = setup.times.iter().find(|time| **time > first).unwrap();
    let inside = setup.times.iter().filter(|time| **time == *second).count();
    let day = 86_400;
    let all = setup.times.len();
    let older = setup.times.iter().filter(|time| **time < last).count();
    let before = rfc3339(first - day);
    // The period is over as soon as the second of the last entry is.
    while setup
        .pack("v1", &before, &rfc3339(last + 1), "ends")
        .status
        .code()
        == Some(2)
    {}
    for (name, api, since, until, count) in [
        (
            "second",
            "v1",
            rfc3339(*second),
            rfc3339(second + 1),
            inside,
        ),
        ("whole", "v1", before.clone(), rfc3339(last + 1), all),
        ("but the last", "v1", before, rfc3339(last), older),
        ("indexes", "v1", "1".to_owned(), all.to_string(), all - 1),
        ("v2", "v2", "1".to_owned(), "4".to_owned(), 3),
        ("v2 to the end", "v2", "2".to_owned(), "99".to_owned(), 3),
    ] {
        let pack = setup.unpacked(api, &since, &until, name);
        let (holds, text) = check(&pack);
        assert!(holds, "{name}: {text}");
        assert!(
            text.contains(&format!("ok: {count} entries")),
            "{name}: {text}"
        );
        assert!(
            fs::read_to_string(pack.join("README.md"))
                .unwrap()
                .contains("keys/0.pem")
        );
    }
    let refused = |api, since: &str, until: &str, code, says: &str| {
        let refusal = program::refusal(&setup.pack(api, since, until, "refused"), code);
        assert!(refusal.contains(says), "{refusal}");
        assert!(!setup.path("refused").exists());
    };
    refused("v1", "2001-01-01", "2001-01-02", 23, "has no entry");
    refused("v1", "2026-01-02", "2026-01-01", 2, "not after");
    refused("v1", "2026-01-02", "2100-01-01", 2, "not over");
    refused("v1", "2026-01-01", "7", 2, "two times");
    refused("v1", "yesterday", "7", 2, "neither a time");
    refused("v2", "2026-01-01", "2026-02-01", 2, "state no time");
    refused("v2", "5", "9", 23, "no entry 5");
    let twice = program::refusal(&setup.pack("v2", "1", "4", "v2"), 2);
    assert!(twice.contains("exists"), "{twice}");
    setup.server.stop();
}

/// Changes the index of a pack.
fn with(pack: &Path, change: impl FnOnce(&mut Value)) {
    let path = pack.join("pack.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut index);
    fs::write(path, index.to_string()).unwrap();
}

/// Changes the lines of the entries.
fn with_entries(pack: &Path, change: impl FnOnce(&mut Vec<Value>)) {
    let path = pack.join("entries/0.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    change(&mut lines);
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(path, lines.join("\n")).unwrap();
}

#[test]
fn what_was_changed_in_a_pack_is_noticed() {
    if !has_tools() {
        return;
    }
    let setup = Setup::new();
    // The third second: entries before it leave a proof on the left.
    let seconds: BTreeSet<i64> = setup.times.iter().copied().collect();
    let second = *seconds.iter().nth(2).unwrap();
    let pack = setup.unpacked("v1", &rfc3339(second), &rfc3339(second + 1), "pack");
    let v2 = setup.unpacked("v2", "1", "4", "v2");
    let copy = setup.path("copy");
    let noticed = |name: &str, from: &Path, says: &str, change: &dyn Fn(&Path)| {
        let _ = fs::remove_dir_all(&copy);
        let copied = Command::new("cp").arg("-r").arg(from).arg(&copy).status();
        assert!(copied.unwrap().success());
        change(&copy);
        let (holds, text) = check(&copy);
        assert!(
            !holds && text.contains("FAILED: ") && text.contains(says),
            "{name}: {text}"
        );
    };
    let other = json!("AAAA");
    noticed("leaf", &pack, "is not what the head", &|copy| {
        with_entries(copy, |lines| lines[1]["leaf"] = other.clone());
    });
    noticed("order", &pack, "is not what the head", &|copy| {
        with_entries(copy, |lines| lines.swap(0, 1));
    });
    noticed("entry left out", &pack, "instead of", &|copy| {
        with_entries(copy, |lines| drop(lines.remove(1)));
    });
    noticed("entry left out, and counted so", &pack, "", &|copy| {
        with_entries(copy, |lines| drop(lines.remove(1)));
        with(copy, |index| {
            index["trees"][0]["count"] = json!(index["trees"][0]["count"].as_u64().unwrap() - 1)
        });
    });
    noticed("first entry left out", &pack, "", &|copy| {
        with_entries(copy, |lines| drop(lines.remove(0)));
        with(copy, |index| {
            let tree = &mut index["trees"][0];
            tree["count"] = json!(tree["count"].as_u64().unwrap() - 1);
            tree["first"] = json!(tree["first"].as_u64().unwrap() + 1);
            tree["logIndex"] = json!(tree["logIndex"].as_u64().unwrap() + 1);
        });
    });
    noticed("time", &pack, "the time of entry", &|copy| {
        with_entries(copy, |lines| lines[0]["time"] = json!(1));
    });
    noticed("index", &pack, "", &|copy| {
        with(copy, |index| index["trees"][0]["logIndex"] = json!(7_000));
    });
    noticed("period", &pack, "entries of another time", &|copy| {
        with(copy, |index| index["untilTime"] = json!(second));
    });
    noticed("longer period", &pack, "no entry before", &|copy| {
        with(copy, |index| index["sinceTime"] = json!(0));
    });
    noticed("proof", &pack, "is not what the head", &|copy| {
        with(copy, |index| {
            index["trees"][0]["left"][0] = json!("00".repeat(32))
        });
    });
    noticed("shorter proof", &pack, "", &|copy| {
        with(copy, |index| index["trees"][0]["left"] = json!([]));
    });
    noticed("a name that leads out", &pack, "the name", &|copy| {
        with(copy, |index| {
            index["trees"][0]["entries"] = json!("../entries/0.jsonl")
        });
    });
    for (name, from) in [("v1", &pack), ("v2", &v2)] {
        noticed(name, from, "is not signed by", &|copy| {
            let head = copy.join("heads/0.txt");
            let text = fs::read_to_string(&head).unwrap();
            fs::write(head, text.replacen('\n', "\n1", 1)).unwrap();
        });
        let stranger = Author::new("stranger");
        noticed(name, from, "is not signed by", &|copy| {
            fs::write(copy.join("keys/0.pem"), stranger.public_pem()).unwrap();
        });
    }
    setup.server.stop();
}
