//! A server that cannot write its guard, the only one that it has: no new head leaves.

use std::process::Command;

use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::Server;

/// Nothing but the guard is a file there.
#[test]
fn no_head_leaves_while_the_guard_cannot_be_written_on_postgres() {
    if let Some(storage) = Storage::postgres() {
        no_head_leaves(&storage);
    }
}

/// The disk is full for the database as well.
#[test]
fn no_head_leaves_while_the_disk_is_full_on_sqlite() {
    no_head_leaves(&Storage::sqlite());
}

fn no_head_leaves(storage: &Storage) {
    let author = Author::new("guard");
    let server = Server::start(&mut without_signal(&storage.serve()));
    let logged = entries::log(server.api, &author.sign("before"));
    let logged_v2 = entries::log_v2(server.api, &author.sign("before, in v2"));
    let heads = || ["/api/v1/log", "/checkpoint"].map(|path| http::get(server.api, path));
    let before = heads();
    assert!(before.iter().all(|head| head.status == 200), "{before:?}");

    limit_files(&server, "0");
    for number in 0..3 {
        let proposal = author.sign(&format!("full {number}"));
        for (path, json) in [
            ("/api/v1/log/entries", &proposal.json),
            ("/api/v2/log/entries", &proposal.v2),
        ] {
            let refused = http::post(server.api, path, json);
            assert_eq!(refused.status, 503, "{refused:?}");
            assert!(refused.header("retry-after").is_some(), "{refused:?}");
        }
    }
    for listener in [server.api, server.metrics] {
        let ready = http::get(listener, "/readyz");
        assert_eq!(ready.status, 503, "{ready:?}");
        let is_named = ready.body.contains("guard") || storage.database().is_none();
        assert!(is_named, "{ready:?}");
    }
    assert_eq!(http::get(server.api, "/healthz").status, 200);
    for (shown, before) in heads().iter().zip(&before) {
        // A server that has not looked for neighbours in time asks the database for the newest head,
        // which it may not show.
        let is_refused = shown.status == 503;
        assert!(is_refused || shown.body == before.body, "{shown:?}");
    }
    // A search would have to know the newest head, which cannot be let out.
    entries::assert_shown(server.api, &logged);
    entries::assert_logged_v2(server.api, server.tree("v2"), &[logged_v2]);

    limit_files(&server, "unlimited");
    // It goes on by itself.
    server.wait_until("/readyz", 200);
    let logged = entries::log(server.api, &author.sign("after"));
    entries::log_v2(server.api, &author.sign("after, in v2"));
    entries::assert_logged(server.api, &author, &logged);
    server.stop();
    storage.assert_in_order();
}

/// The same command in a process that is told by an error, not a signal, that a file may not grow.
fn without_signal(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    shell
}

/// Lets the server write to files up to this size only, as a full disk does.
fn limit_files(server: &Server, size: &str) {
    let status = Command::new("prlimit")
        .arg(format!("--pid={}", server.id()))
        .arg(format!("--fsize={size}:unlimited"))
        .status()
        .unwrap();
    assert!(status.success());
}
