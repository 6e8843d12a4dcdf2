//! The database: whether it can be used, what it promises, its clock, and its logs.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use client::explain::Report;
use ledger::rotation;
use ledger::store::{HeadRow, MAX_CLOCK_SKEW_MILLIS, Store, TreeRow, TreeState};
use ledger::{Clock, SystemClock};

use super::process::Process;
use super::words::{GUIDE, name_of};
use crate::config::Config;
use crate::database::Database;
use crate::failure::FailureKind;

/// The bytes of an SQLite file that say how it is written and read: 2 for WAL.
const JOURNAL_BYTES: std::ops::Range<usize> = 18..20;
const WAL: [u8; 2] = [2, 2];
/// A log may be dated so far ahead of its server.
const MAX_AHEAD_SECONDS: i64 = 5;
/// A WAL beyond this is not put away any more, most often because a reader holds it.
const LARGE_WAL_BYTES: u64 = 1024 * 1024 * 1024;

/// What the database has.
#[derive(Default)]
pub(super) struct Found {
    /// The active trees of the ledger.
    pub trees: Vec<TreeRow>,
    /// The newest head of each, in their order.
    pub heads: Vec<Option<HeadRow>>,
    /// What the servers that live call themselves.
    servers: Vec<String>,
}

/// Opens the database for reading and looks at it.
pub(super) async fn check(report: &mut Report, config: &Config, database: &Database) -> Found {
    if let Database::Sqlite { file, .. } = database {
        check_file(report, file);
    }
    let store = match database.open_to_read().await {
        Ok(store) => store,
        Err(failure) => {
            let (id, remedy) = match failure.kind() {
                FailureKind::DatabaseUnavailable => (
                    "database-unreachable",
                    "start the database, or correct its URL (--database, --database-file); is the \
                        network between open?",
                ),
                _ => (
                    "database-unusable",
                    "if the schema is older, start the server or run `treehead migrate`; if it is \
                        newer, use the newer program; if data is \
                     damaged, restore a copy and run `treehead fsck` on it",
                ),
            };
            report.error(id, &[], "", failure, remedy);
            return Found::default();
        }
    };
    report.fact("schema", "the one of this program");
    check_promises(report, store.as_ref()).await;
    check_clock(report, store.as_ref()).await;
    let found = find(report, config, store.as_ref()).await;
    check_heads(report, &found);
    found
}

/// Looks at the SQLite file itself.
fn check_file(report: &mut Report, file: &Path) {
    let mut header = [0; 100];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut header));
    if read.is_ok() && header[JOURNAL_BYTES] != WAL {
        let what = "the SQLite file is not in WAL mode: another program changed it, or the file \
            system cannot do it";
        let remedy = "stop the server, put the data folder on a local disk, and start: a start \
            switches to WAL";
        report.error("journal-mode", &[], file.display(), what, remedy);
    } else if read.is_ok() {
        report.fact(
            "journal",
            "WAL, and each commit is synced (synchronous = FULL)",
        );
    }
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    let wal = size(Path::new(&wal));
    report.fact(
        "size",
        format_args!("{} MiB, and {} MiB of WAL", size(file) >> 20, wal >> 20),
    );
    if wal > LARGE_WAL_BYTES {
        let what = format!(
            "the WAL has {} MiB: something has the file open for reading all the time, so it is \
                never put away",
            wal >> 20
        );
        let remedy =
            "look for a backup or another program that hangs (fuser -v on the file), and end it";
        report.warning("wal-large", file.display(), what, remedy);
    }
}

async fn check_promises(report: &mut Report, store: &dyn Store) {
    match store.check().await {
        Ok(()) if store.is_shared() => report.fact(
            "database promises",
            "fsync, full_page_writes, no pooler in between",
        ),
        Ok(()) => {}
        Err(error) => {
            let what = format!(
                "the database would not keep what it acknowledges, or takes no writes: {error}"
            );
            let remedy = format!(
                "change that setting of the database server and reload it ({GUIDE}, What is \
                    checked)"
            );
            report.error("database-promises", &[], "", what, remedy);
        }
    }
}

async fn check_clock(report: &mut Report, store: &dyn Store) {
    if !store.is_shared() {
        return;
    }
    let Ok(theirs) = store.now_millis().await else {
        return;
    };
    let differ = theirs - SystemClock.unix_millis();
    report.fact(
        "clock of the database",
        format_args!("{differ:+} ms against this machine"),
    );
    if differ.abs() > MAX_CLOCK_SKEW_MILLIS {
        let what = format!(
            "the clocks of this machine and of the database differ by {} ms; writes stop beyond \
                {MAX_CLOCK_SKEW_MILLIS}",
            differ.abs()
        );
        let remedy =
            "synchronise both with NTP (chronyc tracking, timedatectl). Writes go on by themselves";
        report.error("clock-skew", &[], "", what, remedy);
    }
}

async fn find(report: &mut Report, config: &Config, store: &dyn Store) -> Found {
    let trees = match ledger::find_ledger(store, config.name.as_deref()).await {
        Ok(Some(trees)) => trees,
        Ok(None) => {
            let what = "the database holds no ledger";
            report.error(
                "no-ledger",
                &[],
                "",
                what,
                "`treehead init` creates one; or the \
                settings name another database than the server's",
            );
            return Found::default();
        }
        Err(error) => {
            let remedy = "give the name of the ledger: --name";
            report.error("ledger", &[], "", error, remedy);
            return Found::default();
        }
    };
    let ids: Vec<_> = trees.iter().map(|tree| tree.tree_id).collect();
    let heads = match store.reader().standings(&ids).await {
        Ok(standings) => standings
            .into_iter()
            .map(|standing| standing.and_then(|standing| standing.head))
            .collect(),
        Err(error) => {
            let remedy = "on a standby this is normal. Otherwise run `treehead fsck`";
            report.warning(
                "heads",
                "",
                format_args!("the newest heads cannot be read: {error}"),
                remedy,
            );
            vec![None; trees.len()]
        }
    };
    let name = trees
        .first()
        .map(|tree| tree.name.clone())
        .unwrap_or_default();
    report.fact("ledger", &name);
    let servers = rotation::servers(store, &name).await.unwrap_or_default();
    let servers: Vec<String> = servers.into_iter().map(|server| server.place).collect();
    for server in &servers {
        report.fact("server that lives", server);
    }
    Found {
        trees,
        heads,
        servers,
    }
}

fn check_heads(report: &mut Report, found: &Found) {
    let now = SystemClock.unix_millis().div_euclid(1_000);
    for (tree, head) in found.trees.iter().zip(&found.heads) {
        let size = head.as_ref().map_or(0, |head| head.size.0);
        report.fact(
            name_of(tree),
            format_args!("{size} entries, first log index {}", tree.first_log_index),
        );
        if tree.state != TreeState::Active {
            let what = "the tree is frozen and no other one follows it";
            report.error(
                "tree-frozen",
                &[],
                name_of(tree),
                what,
                "run `treehead rotate` again: it reports how the last rotation ended",
            );
        }
        let ahead = head.as_ref().map_or(0, |head| head.time - now);
        if ahead > MAX_AHEAD_SECONDS {
            let what = format!(
                "the newest head is dated {ahead} s ahead of this clock, and the log takes no \
                    entries before that time"
            );
            let remedy = format!(
                "check this clock first. If it is right, wait, or run `treehead rotate --log {}` \
                    ({GUIDE}, Clocks)",
                tree.api
            );
            report.error("log-dated-ahead", &[], name_of(tree), what, remedy);
        }
    }
}

/// Returns the process of a server of a shared database, if it runs on this machine.
pub(super) fn process_of(found: &Found) -> Option<Process> {
    let host = crate::open_ledger::host_name();
    let mine = found
        .servers
        .iter()
        .filter_map(|place| place.strip_prefix(&format!("{host}, process ")));
    let mut ids = mine.filter_map(|rest| rest.split(',').next()?.parse().ok());
    ids.find_map(Process::of)
}
