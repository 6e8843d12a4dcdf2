//! Reads a period of a Rekor v2 log, or of any tree with C2SP tiles. Its entries state no time.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use client::{Http, Run, TiledLog, TreeReader};
use serde_json::json;
use tlog::TILE_WIDTH;

use super::bound::Bound;
use super::flags::AuditPackFlags;
use super::period::{Period, Tree};
use super::progress::Progress;
use super::stage::Stage;
use crate::check::log::failure;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

pub(super) async fn read(
    flags: &AuditPackFlags,
    log: TiledLog<Http>,
    stage: &Stage,
) -> Outcome<Period> {
    let (Bound::Index(since), Bound::Index(until)) = (&flags.since, &flags.until) else {
        let why = "entries of Rekor v2 state no time: give --since and --until as log indexes (`treehead log` shows the size)";
        return Err(Failure::new(FailureKind::Usage, why));
    };
    let head = log.head().await.map_err(failure)?;
    let (since, until) = (*since, (*until).min(head.size().0));
    if since >= until {
        let why = format_args!("{} has no entry {since}", flags.log.url);
        return Err(Failure::new(FailureKind::Absent, why));
    }
    let first = log.entry_at(since, head.clone()).await.map_err(failure)?;
    let last = log
        .entry_at(until - 1, head.clone())
        .await
        .map_err(failure)?;
    let run = Run::between(&first.inclusion, &last.inclusion);
    let run = run.explain(FailureKind::NotVerified, &flags.log.url)?;
    let (entries, hashes) = entries(log, head, since, until, stage).await?;
    run.verify(&hashes)
        .explain(FailureKind::NotVerified, &flags.log.url)?;
    let tree = Tree {
        run,
        log_index: since,
        entries,
    };
    Ok(Period {
        trees: vec![tree],
        inside: until - since,
        api: "v2",
    })
}

/// Writes the entries from `since` to before `until`. Returns their file and their leaf hashes.
async fn entries(
    log: TiledLog<Http>,
    head: client::SignedHead,
    since: u64,
    until: u64,
    stage: &Stage,
) -> Outcome<(String, Vec<tlog::Hash>)> {
    let unread = |error: client::BulkError| Failure::new(FailureKind::NotVerified, error);
    let width = TILE_WIDTH as u64;
    let mut reader = TreeReader::open(log, head).await.map_err(unread)?;
    let mut lines = stage.lines(0)?;
    let mut progress = Progress::new(until - since);
    let mut hashes = Vec::new();
    for number in since / width..until.div_ceil(width) {
        let wanted = reader.want(number).await.map_err(unread)?;
        let bundle = reader.read(&wanted).await.map_err(unread)?;
        for (index, hash, leaf) in bundle.entries() {
            if !(since..until).contains(&index.0) {
                continue;
            }
            lines.add(&json!({"logIndex": index.0, "leaf": BASE64_STANDARD.encode(leaf)}))?;
            hashes.push(hash);
            progress.add(1);
        }
    }
    Ok((lines.finish()?, hashes))
}
