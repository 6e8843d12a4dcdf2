//! Witnesses as processes: two organisations that witness each other, a witness that is killed,
//! servers that share a log.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ring::rand::SystemRandom;
use tlog::{
    AddCheckpoint, Checkpoint, Edge, Hash, Note, NoteKey, SigningKey, TileId, TileTree, TreeSize,
    WitnessKey, WitnessPolicy,
};
use tokio::time::Instant;

use crate::entries::{self, Author};
use crate::http;
use crate::postgres::{self, Storage};
use crate::program::{self, Server};

/// A witness in a folder, made by `init`.
struct Organisation {
    folder: PathBuf,
    vkey: String,
}

impl Organisation {
    fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        let output = program::run(&[
            "witness",
            "init",
            "--name",
            name,
            "--data-dir",
            folder.to_str().unwrap(),
        ]);
        let vkey = program::text(&output.stdout).trim().to_owned();
        assert_eq!(vkey.parse::<WitnessKey>().unwrap().name(), name);
        let again = program::run(&["witness", "vkey", "--data-dir", folder.to_str().unwrap()]);
        assert_eq!(program::text(&again.stdout).trim(), vkey);
        Self { folder, vkey }
    }

    fn serve(&self, logs: &str) -> Server {
        let logs = program::file(&self.folder, "logs", logs);
        let mut command = program::program();
        command.args([
            "witness",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
            "--data-dir",
        ]);
        Server::start(command.arg(&self.folder).arg("--logs").arg(logs))
    }

    fn policy(&self, at: SocketAddr) -> String {
        format!("witness w {} http://{at}\nquorum w\n", self.vkey)
    }
}

/// Makes a ledger and returns the vkeys of its logs, a line each, as it exports them.
fn init(name: &str, mut command: Command, mut export: Command) -> String {
    let output = command.args(["--name", name]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let out = tempfile::tempdir().unwrap();
    let output = export.arg("--out").arg(out.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::read_to_string(out.path().join("checkpoint.vkey")).unwrap()
}

/// The origins of the logs of these vkeys.
fn origins(vkeys: &str) -> Vec<String> {
    let keys = vkeys.lines().map(|vkey| vkey.parse::<NoteKey>().unwrap());
    keys.map(|key| key.name().to_owned()).collect()
}

fn serve(mut command: Command, data: &Path, policy: &str) -> Server {
    let policy = program::file(data.parent().unwrap(), "policy", policy);
    Server::start(command.arg("--witness-policy").arg(policy))
}

fn init_sqlite(name: &str, data: &Path) -> String {
    let with_data = |arguments: &[&str]| {
        let mut command = program::program();
        command.args(arguments).arg("--data-dir").arg(data);
        command
    };
    init(name, with_data(&["init"]), with_data(&["trust", "export"]))
}

/// What a witness shows to monitors, if it has seen the log.
fn watched(witness: SocketAddr, origin: &str) -> Option<Note> {
    let answer = http::get(
        witness,
        &format!("/{}/checkpoint", tlog::sha256(origin.as_bytes())),
    );
    (answer.status == 200).then(|| Note::parse(&answer.body).unwrap())
}

#[test]
fn two_organisations_witness_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = (folder.path().join("alpha"), folder.path().join("beta"));
    let logs: Vec<String> = [("log.alpha.example", &alpha), ("log.beta.example", &beta)]
        .map(|(name, data)| {
            std::fs::create_dir(data).unwrap();
            init_sqlite(name, &data.join("log"))
        })
        .to_vec();
    let (witness_alpha, witness_beta) = (
        Organisation::new(&alpha, "witness.alpha.example"),
        Organisation::new(&beta, "witness.beta.example"),
    );
    let (at_alpha, at_beta) = (witness_alpha.serve(&logs[1]), witness_beta.serve(&logs[0]));
    let author = Author::new("a");
    for (data, witness, at, vkeys) in [
        (&alpha, &witness_beta, &at_beta, &logs[0]),
        (&beta, &witness_alpha, &at_alpha, &logs[1]),
    ] {
        let start = || {
            let log = data.join("log");
            serve(program::serve(&log), &log, &witness.policy(at.api))
        };
        let server = start();
        for n in 0..3 {
            let entry = author.sign(&format!("{vkeys} {n}"));
            entries::log(server.api, &entry);
            entries::log_v2(server.api, &entry);
        }
        for (vkey, origin) in vkeys.lines().zip(origins(vkeys)) {
            let policy = format!("log {vkey}\n{}", witness.policy(at.api));
            let note = watched(at.api, &origin).unwrap();
            WitnessPolicy::parse(&policy)
                .unwrap()
                .verify(&note)
                .unwrap();
            assert_eq!(Checkpoint::parse(note.text()).unwrap().size, TreeSize(3));
        }
        // A restart goes on from there, and shows what was published.
        server.stop();
        let server = start();
        entries::log(server.api, &author.sign(&format!("{vkeys} again")));
        assert_eq!(http::get(server.api, "/api/v1/log").json()["treeSize"], 4);
        let checkpoint = http::get(server.api, "/checkpoint").body;
        let checkpoint = Note::parse(&checkpoint).unwrap();
        assert_eq!(
            Checkpoint::parse(checkpoint.text()).unwrap().size,
            TreeSize(3)
        );
        server.stop();
    }
    // Neither knows its own logs.
    for origin in origins(&logs[0]) {
        assert!(watched(at_alpha.api, &origin).is_none());
    }
    at_alpha.stop();
    at_beta.stop();
}

#[test]
fn what_a_witness_needs_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let absent = program::run(&["witness", "vkey", "--data-dir", data]);
    assert!(program::refusal(&absent, 5).contains("treehead witness init"));
    let made = Organisation::new(folder.path(), "w.example");
    let again = program::run(&[
        "witness",
        "init",
        "--name",
        "other",
        "--data-dir",
        made.folder.to_str().unwrap(),
    ]);
    assert!(
        program::refusal(&again, 5).contains(&made.vkey),
        "nothing is replaced"
    );
    let bad = program::file(folder.path(), "policy", "witness w nonsense\nquorum w\n");
    let output = program::serve(&folder.path().join("log"))
        .arg("--witness-policy")
        .arg(bad)
        .output()
        .unwrap();
    assert!(program::refusal(&output, 2).contains("line 1"));
}

/// Rounds of an ordinary run; `TREEHEAD_KILL_ROUNDS` asks for more.
const KILLS: usize = 12;

/// A log that signs two trees, one leaf apart, as a split view would.
struct TwoFaced {
    key: SigningKey,
    leaves: Vec<Hash>,
}

const ORIGIN: &str = "log.two-faced.example";

impl TwoFaced {
    fn new() -> Self {
        let rng = SystemRandom::new();
        let pkcs8 = SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
        Self {
            key: SigningKey::from_pkcs8(&pkcs8, &rng).unwrap(),
            leaves: Vec::new(),
        }
    }

    fn vkey(&self) -> String {
        NoteKey::new(ORIGIN, self.key.verifying_key().clone())
            .unwrap()
            .to_string()
    }

    /// A request for the tree that has this leaf next.
    fn request(&self, next: Hash) -> String {
        let mut edge = Edge::empty();
        edge.append(&self.leaves);
        edge.append(&[next]);
        let old_size = TreeSize(self.leaves.len() as u64);
        let tiles: HashMap<TileId, Arc<TileTree>> = edge.tiles().into_iter().collect();
        let proof = tlog::consistency_proof(old_size, edge.size(), &tiles).unwrap();
        let checkpoint = Checkpoint::new(ORIGIN, edge.size(), edge.root());
        let checkpoint = checkpoint
            .sign(ORIGIN, &self.key, &SystemRandom::new())
            .unwrap();
        AddCheckpoint {
            old_size,
            proof,
            checkpoint: Note::parse(&checkpoint).unwrap(),
        }
        .to_string()
    }

    fn root_with(&self, next: Hash) -> Hash {
        let mut edge = Edge::empty();
        edge.append(&self.leaves);
        edge.append(&[next]);
        edge.root()
    }
}

/// Killed while both trees of one size are before it, wherever it is in its work: one of them at
/// most is ever cosigned.
#[test]
fn a_killed_witness_never_signs_two_roots_of_one_size() {
    let rounds =
        std::env::var("TREEHEAD_KILL_ROUNDS").map_or(KILLS, |rounds| rounds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let organisation = Organisation::new(folder.path(), "witness.example");
    let key: WitnessKey = organisation.vkey.parse().unwrap();
    let mut log = TwoFaced::new();
    let mut cosigned = 0;
    for round in 0..rounds {
        let faces = [format!("left {round}"), format!("right {round}")]
            .map(|leaf| tlog::leaf_hash(leaf.as_bytes()));
        let mut answers = Vec::new();
        let mut ask = |at: SocketAddr, kill: Option<&mut Server>| {
            let asked: Vec<_> = faces
                .iter()
                .map(|&face| {
                    let body = log.request(face);
                    thread::spawn(move || {
                        (
                            face,
                            body.clone(),
                            http::try_post(at, "/add-checkpoint", &body),
                        )
                    })
                })
                .collect();
            if let Some(server) = kill {
                // A later moment each time.
                (0..round * 40_000).for_each(|_| std::hint::spin_loop());
                server.kill();
            }
            answers.extend(asked.into_iter().map(|thread| thread.join().unwrap()));
        };
        let mut server = organisation.serve(&log.vkey());
        ask(server.api, Some(&mut server));
        let server = organisation.serve(&log.vkey());
        ask(server.api, None);
        let mut kept = None;
        for (face, body, answer) in answers {
            let Ok(answer) = answer else { continue };
            match answer.status {
                200 => {
                    let note = AddCheckpoint::parse(&body).unwrap().checkpoint;
                    let line = tlog::parse_signature_lines(&answer.body).unwrap().remove(0);
                    key.verify(note.text(), &line).unwrap();
                    assert_eq!(
                        *kept.get_or_insert(face),
                        face,
                        "two roots of size {} are cosigned",
                        log.leaves.len() + 1
                    );
                    cosigned += 1;
                }
                409 => assert_eq!(
                    tlog::parse_cosigned_size(&answer.body),
                    Some(TreeSize(log.leaves.len() as u64 + 1))
                ),
                _ => panic!("{answer:?}"),
            }
        }
        // What is remembered is what was cosigned; the log goes on with that face.
        let shown = Checkpoint::parse(watched(server.api, ORIGIN).unwrap().text()).unwrap();
        let face = faces
            .into_iter()
            .find(|&face| log.root_with(face) == shown.root)
            .unwrap();
        assert_eq!(kept.unwrap_or(face), face);
        log.leaves.push(face);
        server.stop();
    }
    println!("{rounds} kills, {cosigned} cosignatures, one root a size");
}

/// A command on the Postgres of a storage.
fn with_database(storage: &Storage, arguments: &[&str]) -> Command {
    let mut command = program::program();
    command.args(arguments);
    command.arg("--data-dir").arg(storage.data());
    command.args(["--database", &storage.url().unwrap()]);
    command
}

#[test]
fn servers_on_one_postgres_publish_one_at_a_time() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let data = storage.data();
    let with_database = |arguments: &[&str]| with_database(&storage, arguments);
    let name = "log.shared.example";
    let vkeys = init(
        name,
        with_database(&["init"]),
        with_database(&["trust", "export"]),
    );
    let origin_of_v1 = &origins(&vkeys)[1];
    let organisation = Organisation::new(storage.folder(), "witness.example");
    let witness = organisation.serve(&vkeys);
    let policy = organisation.policy(witness.api);
    let servers = [
        serve(storage.serve_with(&data), &data, &policy),
        serve(storage.serve_with(&data), &data, &policy),
        serve(storage.serve_with(&data), &data, &policy),
    ];
    thread::scope(|scope| {
        for (number, api) in servers.iter().map(|server| server.api).enumerate() {
            scope.spawn(move || {
                let author = Author::new(&format!("writer {number}"));
                let mut seen = 0;
                for n in 0..20 {
                    entries::log(api, &author.sign(&format!("entry {n}")));
                    let size = http::get(api, "/api/v1/log").json()["treeSize"]
                        .as_u64()
                        .unwrap();
                    assert!(size > seen, "the published size only grows");
                    seen = size;
                }
            });
        }
    });
    // No two of them asked the witness for one size at cross purposes.
    let shown = Checkpoint::parse(watched(witness.api, origin_of_v1).unwrap().text()).unwrap();
    assert_eq!(shown.size, TreeSize(60));
    for server in servers {
        assert_eq!(http::get(server.api, "/api/v1/log").json()["treeSize"], 60);
        server.stop();
    }
    storage.assert_in_order();
    witness.stop();
}

/// Fails unless a session has the right to publish: the lock of the ID of a tree. The lock of a
/// round has the negative of it.
const SOMEBODY_PUBLISHES: &str = "DO $$ BEGIN IF NOT EXISTS (
    SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE locktype = 'advisory' AND granted AND d.datname = current_database()
        AND objsubid = 1 AND classid::bigint < 2147483648
) THEN RAISE EXCEPTION 'nobody publishes'; END IF; END $$";

/// A server is stopped (SIGSTOP) in the middle of a publication. The kernel keeps its session alive,
/// so the database does not take its right to publish away.
#[test]
fn a_server_that_is_stopped_while_it_publishes_does_not_stop_the_others() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let data = storage.data();
    let with_database = |arguments: &[&str]| with_database(&storage, arguments);
    let export = with_database(&["trust", "export"]);
    let vkeys = init("log.stopped.example", with_database(&["init"]), export);
    let origin_of_v1 = &origins(&vkeys)[1];
    let organisation = Organisation::new(storage.folder(), "witness.example");
    let witness = organisation.serve(&vkeys);
    let policy = organisation.policy(witness.api);
    let stopped = serve(storage.serve_with(&data), &data, &policy);
    let other = serve(storage.serve_with(&data), &data, &policy);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let author = Author::new("a");
            for n in 0.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                let entry = author.sign(&format!("at the stopped one {n}"));
                // It may be refused in the moment at which the server wakes.
                drop(http::try_post(
                    stopped.api,
                    "/api/v1/log/entries",
                    &entry.json,
                ));
            }
        });
        let began = Instant::now();
        loop {
            stopped.signal("STOP");
            // The other one publishes in between, and is done soon.
            if (0..30)
                .all(|_| postgres::try_execute(&storage.url().unwrap(), SOMEBODY_PUBLISHES).is_ok())
            {
                break;
            }
            stopped.signal("CONT");
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "never in a publication"
            );
        }
        let author = Author::new("b");
        for n in 0..5 {
            let asked = Instant::now();
            entries::log(other.api, &author.sign(&format!("at the other one {n}")));
            assert!(
                asked.elapsed() < Duration::from_secs(9),
                "{:?}",
                asked.elapsed()
            );
        }
        stopped.signal("CONT");
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
    // It takes writes again as soon as it has seen what was published meanwhile.
    let (entry, woken) = (Author::new("c").sign("at both"), Instant::now());
    while http::post(stopped.api, "/api/v1/log/entries", &entry.json).status != 201 {
        assert!(
            woken.elapsed() < Duration::from_secs(10),
            "{}",
            stopped.log()
        );
    }
    let sizes = [&stopped, &other]
        .map(|server| http::get(server.api, "/api/v1/log").json()["treeSize"].clone());
    assert_eq!(sizes[0], sizes[1]);
    let shown = Checkpoint::parse(watched(witness.api, origin_of_v1).unwrap().text()).unwrap();
    assert_eq!(sizes[0], shown.size.0);
    stopped.stop();
    other.stop();
    storage.assert_in_order();
    witness.stop();
}
