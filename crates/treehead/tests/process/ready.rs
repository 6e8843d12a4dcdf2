//! `/readyz`: a write would be taken, or the reason why not.

use std::process::Command;

use crate::entries::{self, Author};
use crate::http::{self, Answer};
use crate::postgres::Storage;
use crate::program::Server;

fn assert_not_ready(server: &Server, reason: &str) {
    for listener in [server.api, server.metrics] {
        let answer = http::get(listener, "/readyz");
        assert_eq!(answer.status, 503, "{answer:?}");
        let body = answer.json();
        assert_eq!(body["status"], "NOT_SERVING", "{answer:?}");
        assert!(
            body["reason"].as_str().unwrap().contains(reason),
            "{answer:?}"
        );
    }
    let metrics = http::get(server.metrics, "/metrics").body;
    assert!(metrics.contains("treehead_ready 0\n"), "{metrics}");
}

fn write(server: &Server, author: &Author, number: u32) -> Answer {
    let proposal = author.sign(&format!("entry {number}"));
    http::post(server.api, "/api/v1/log/entries", &proposal.json)
}

/// No file of the process grows beyond a size, as on a full disk.
#[test]
fn a_full_disk_is_not_ready_on_sqlite() {
    let storage = Storage::sqlite();
    let serve = storage.serve();
    let mut limited = Command::new("sh");
    limited
        .env_clear()
        .args(["-c", "trap '' XFSZ; ulimit -f 3000; exec \"$0\" \"$@\""]);
    limited.arg(serve.get_program()).args(serve.get_args());
    let server = Server::start(&mut limited);
    let author = Author::new("full disk");
    let kept = entries::log(server.api, &author.sign("kept"));
    assert_eq!(http::get(server.api, "/readyz").status, 200);
    let mut writes = (0..2_000).map(|number| write(&server, &author, number));
    let refused = writes.find(|answer| answer.status != 201).unwrap();
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_not_ready(&server, "");
    assert_eq!(http::get(server.api, "/healthz").status, 200);
    entries::assert_logged(server.api, &author, &kept);
}

/// The database says so of a full disk, and of many other things.
#[test]
fn a_database_that_refuses_rounds_is_not_ready_on_postgres() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let server = Server::start(&mut storage.serve());
    let author = Author::new("full disk");
    assert_eq!(write(&server, &author, 0).status, 201);
    storage.execute(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;
         CREATE TRIGGER full_disk BEFORE INSERT ON body EXECUTE FUNCTION full_disk()",
    );
    assert_eq!(write(&server, &author, 1).status, 503);
    assert_not_ready(&server, "the last round failed");
    assert_eq!(http::get(server.api, "/readyz").json()["log"], "v1");
    storage.execute("DROP TRIGGER full_disk ON body");
    assert_eq!(write(&server, &author, 2).status, 201);
    assert_eq!(http::get(server.api, "/readyz").status, 200);
    server.stop();
}
