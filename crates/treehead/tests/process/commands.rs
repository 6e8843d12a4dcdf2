//! The commands that serve nothing.

use std::path::Path;

use crate::entries::{self, Author};
use crate::http;
use crate::large_keys;
use crate::postgres::Storage;
use crate::program::{self, Server};

#[test]
fn version_names_the_release() {
    let output = program::run(&["--version"]);
    assert!(output.status.success());
    let text = program::text(&output.stdout);
    assert!(
        text.starts_with(concat!("treehead ", env!("CARGO_PKG_VERSION"))),
        "{text}"
    );
}

#[test]
fn help_shows_defaults_and_no_secret() {
    let mut command = program::program();
    command
        .args(["serve", "--help"])
        .env("TREEHEAD_DATABASE", "postgres://u:secret@h/d");
    let text = program::text(&command.output().unwrap().stdout);
    assert!(
        text.contains("[default: 127.0.0.1:3000]") && text.contains("TREEHEAD_METRICS_LISTEN"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn config_check_says_what_is_wrong_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let check = |path: &Path| program::run(&["config", "check", &path.display().to_string()]);
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/treehead.toml");
    assert!(check(&sample).status.success());
    let bad = program::file(
        folder.path(),
        "bad.toml",
        "[server]\nlisten-on = \"127.0.0.1:1\"\n",
    );
    let refused = program::refusal(&check(&bad), 2);
    assert!(
        refused.contains("line 2") && refused.contains("listen-on"),
        "{refused}"
    );
    program::refusal(&check(&folder.path().join("absent.toml")), 2);
}

#[test]
fn json_logs_are_json_line_by_line() {
    let storage = Storage::sqlite();
    let mut server =
        Server::start(
            storage
                .serve()
                .args(["--log-format", "json", "--log-level", "debug"]),
        );
    entries::log(server.api, &Author::new("json").sign("one"));
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let log = server.log();
    assert!(log.lines().count() > 1, "{log}");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line)
            .unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn metrics_of_the_alerts_and_the_guide_exist() {
    let storage = Storage::sqlite();
    let server = Server::start(&mut storage.serve());
    let author = Author::new("metrics");
    let too_large = author.sign_with(
        "large",
        &large_keys::certificate(&author, &"a".repeat(60_000)),
    );
    assert_eq!(
        http::post(server.api, "/api/v2/log/entries", &too_large.v2).status,
        400
    );
    entries::log(server.api, &too_large);
    entries::log_v2(server.api, &author.sign("one"));
    let shown = http::get(server.metrics, "/metrics").body;
    let texts = [
        include_str!("../../../../deploy/prometheus-alerts.yml"),
        include_str!("../../../../docs/OPERATING.md"),
    ];
    let named = texts
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let named = named.filter(|word| word.starts_with("treehead_") || word.starts_with("rekor_"));
    for name in named.filter(|name| !NOT_SEEN_IN_A_QUIET_SERVER.contains(name)) {
        // A histogram's series have names of their own.
        let family = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        assert!(
            shown.contains(&format!("# TYPE {family} ")),
            "{name}: {shown}"
        );
    }
    let guide = texts[1];
    let families = shown
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let names = families.filter_map(|family| family.split(' ').next());
    let ours = names.filter(|name| name.starts_with("treehead_"));
    let missing: Vec<&str> = ours.filter(|name| !guide.contains(name)).collect();
    assert!(missing.is_empty(), "not in docs/OPERATING.md: {missing:?}");
}

/// Families without a sample are not shown; these have none before something is turned away or
/// missing, or a witness is asked; the last one is the witness's own.
const NOT_SEEN_IN_A_QUIET_SERVER: [&str; 6] = [
    "treehead_notices_",
    "treehead_subscriptions_behind",
    "treehead_http_refused_total",
    "treehead_attestations_unavailable_total",
    "treehead_witness_requests_total",
    "treehead_witness_add_checkpoint_total",
];

#[test]
fn fsck_names_what_differs_and_fails() {
    let storage = Storage::sqlite();
    let author = Author::new("fsck");
    let server = Server::start(&mut storage.serve());
    for number in 0..3 {
        entries::log(server.api, &author.sign(&format!("entry {number}")));
    }
    storage.assert_in_order();
    server.stop();
    storage.assert_in_order();

    storage.execute("DELETE FROM index_key WHERE leaf_index = 1");
    let output = program::run(&["fsck", "--data-dir", &storage.data().display().to_string()]);
    assert_eq!(output.status.code(), Some(9), "{output:?}");
    let findings = program::text(&output.stdout);
    let finding = findings.lines().next().unwrap();
    assert!(
        finding.starts_with("localhost (v1 log, tree ") && finding.contains("index_key"),
        "{findings}"
    );
    // The other log is in order.
    assert!(findings.contains("localhost (v2 log, tree "), "{findings}");
    assert_eq!(findings.matches("in order").count(), 1, "{findings}");
    assert!(program::text(&output.stderr).contains("treehead: "));
}

#[test]
fn fsck_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("absent");
    program::refusal(
        &program::run(&["fsck", "--data-dir", &data.display().to_string()]),
        6,
    );
    assert!(!data.exists());

    let Some(storage) = Storage::postgres() else {
        return;
    };
    let refused = program::refusal(
        &program::run(&["fsck", "--database", &storage.url().unwrap()]),
        4,
    );
    assert!(refused.contains("no ledger"), "{refused}");
    storage.execute("DO $$ BEGIN IF EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public') THEN RAISE EXCEPTION 'tables'; END IF; END $$");
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man1");
    let written = program::run(&["man", "--out", out.to_str().unwrap()]);
    assert!(written.status.success(), "{written:?}");
    let main = std::fs::read_to_string(out.join("treehead.1")).unwrap();
    let get = std::fs::read_to_string(out.join("treehead-get.1")).unwrap();
    assert!(main.contains("treehead\\-serve(1)"), "{main}");
    assert!(get.contains("\\-\\-log\\-index"), "{get}");
    for (shell, word) in [
        ("bash", "--log-index"),
        ("zsh", "--log-index"),
        ("fish", "log-index"),
        ("powershell", "--log-index"),
        ("elvish", "--log-index"),
    ] {
        let script = program::text(&program::run(&["completions", shell]).stdout);
        assert!(script.contains(word), "{shell}");
    }
}
