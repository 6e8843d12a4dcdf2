//! The facts about the log that a run needs, asked over HTTP before the clock starts.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use client::v1::HeadV1;
use client::{LogKey, v1, v2};
use futures_util::future::try_join_all;
use serde::Deserialize;
use tlog::{Checkpoint, Hash, NoteKey, TILE_WIDTH, VerifyingKey};

use crate::connection::{Connection, Target};
use crate::progress::Progress;
use crate::random::Random;
use crate::work::Work;

/// Connections that fetch the sample of entries.
const FETCHERS: usize = 16;
/// Log indexes in one `retrieve`: Rekor takes no more.
const RETRIEVE: usize = 10;

/// The log at the start of a run.
pub(crate) struct Known {
    /// The key of its v1 log.
    pub(crate) key: LogKey,
    /// The key of the checkpoints of its v2 log.
    pub(crate) v2_key: LogKey,
    /// The active tree, if a work reads by v1.
    pub(crate) v1: Option<HeadV1>,
    /// The tree as its tiles show it, if a work reads them.
    pub(crate) tiles: Option<Checkpoint>,
    /// A sample of the entries, in the log's order, if a work asks for entries by what is known of
    /// them.
    pub(crate) entries: Vec<KnownEntry>,
}

/// The known facts about an entry.
pub(crate) struct KnownEntry {
    /// In the whole log.
    pub(crate) log_index: u64,
    /// 16 hex digits of the tree ID and 64 of the leaf hash.
    pub(crate) uuid: String,
    /// SHA-256 of what it is about, if it is a hashedrekord.
    pub(crate) artifact: Option<Hash>,
}

impl KnownEntry {
    /// Hex digits of the leaf hash: an entry ID without its tree.
    pub(crate) fn leaf_hash(&self) -> &str {
        &self.uuid[self.uuid.len().saturating_sub(64)..]
    }
}

/// The way to ask.
pub(crate) struct Survey<'a> {
    /// The log.
    pub(crate) target: &'a Target,
    /// PEM file of the public key of both logs; without it the log is asked, which is good enough
    /// for the time of a measurement.
    pub(crate) key_file: Option<&'a Path>,
    /// The path before `/checkpoint` and `/tile/…`.
    pub(crate) tiles_prefix: &'a str,
    /// The number of entries to sample.
    pub(crate) entries: usize,
    /// Decides which.
    pub(crate) seed: u64,
}

impl Survey<'_> {
    /// Asks for what these works need.
    pub(crate) async fn take(&self, works: &[Work]) -> Result<Known> {
        let mut connection = Connection::open(self.target).await?;
        let (key, v2_key) = self
            .keys(&mut connection)
            .await
            .context("the log's public keys")?;
        let needs = |reads: fn(Work) -> bool| works.iter().any(|work| reads(*work));
        let mut known = Known {
            key,
            v2_key,
            v1: None,
            tiles: None,
            entries: Vec::new(),
        };
        if needs(Work::reads_v1) {
            let request = self.target.get("/api/v1/log", "application/json");
            let head = known
                .key
                .open_head(answer(&mut connection, &request).await?)
                .context("tree head")?;
            ensure!(
                head.size.0 > 0,
                "the log is empty: there is nothing to read"
            );
            known.v1 = Some(head);
        }
        if needs(Work::reads_tiles) {
            let request = self.target.get(
                &format!("{}/checkpoint", self.tiles_prefix),
                "text/plain, */*",
            );
            let checkpoint =
                v2::open_checkpoint(&known.v2_key, answer(&mut connection, &request).await?)?;
            known.tiles = Some(checkpoint);
        }
        if needs(Work::reads_known)
            && let Some(head) = &known.v1
        {
            known.entries = self.sample(head).await.context("a sample of the entries")?;
        }
        known.check(works)?;
        Ok(known)
    }

    /// Returns the keys of the v1 and of the v2 log. In a log of one API the same key stands for
    /// both.
    async fn keys(&self, connection: &mut Connection) -> Result<(LogKey, LogKey)> {
        if let Some(path) = self.key_file {
            let key = of_pem(&fs::read(path).with_context(|| path.display().to_string())?)?;
            return Ok((key.clone(), key));
        }
        let pem = self
            .target
            .get("/api/v1/log/publicKey", "application/x-pem-file");
        let vkeys = self.target.get("/trust/checkpoint.vkey", "text/plain");
        let of_v1 = answer(connection, &pem).await.and_then(of_pem);
        let of_v2 = answer(connection, &vkeys).await.and_then(first_of_vkeys);
        match (of_v1, of_v2) {
            (Ok(of_v1), Ok(of_v2)) => Ok((of_v1, of_v2)),
            (Ok(key), Err(_)) | (Err(_), Ok(key)) => Ok((key.clone(), key)),
            (Err(error), Err(_)) => Err(error),
        }
    }

    async fn sample(&self, head: &HeadV1) -> Result<Vec<KnownEntry>> {
        let indexes = choose(head.size.0, self.entries, self.seed);
        let progress = Progress::new("fetching a sample of the log", indexes.len());
        let parts: Vec<_> = indexes.chunks(RETRIEVE).collect();
        let (next, entries) = (
            AtomicUsize::new(0),
            Mutex::new(Vec::with_capacity(indexes.len())),
        );
        try_join_all((0..FETCHERS.min(parts.len())).map(|_| async {
            let mut connection = Connection::open(self.target).await?;
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                let indexes = part
                    .iter()
                    .map(|index| (index + head.first_log_index).to_string());
                let body = format!(
                    r#"{{"logIndexes":[{}]}}"#,
                    indexes.collect::<Vec<_>>().join(",")
                );
                let request = self.target.post("/api/v1/log/entries/retrieve", &body);
                let found = read_entries(answer(&mut connection, &request).await?)?;
                ensure!(
                    found.len() == part.len(),
                    "{} of {} entries of {body}",
                    found.len(),
                    part.len()
                );
                part.iter().for_each(|_| progress.step());
                // Unwrap safety: nobody panics with this lock.
                #[expect(clippy::unwrap_used, reason = "see above")]
                entries.lock().unwrap().extend(found);
            }
            anyhow::Ok(())
        }))
        .await?;
        let mut entries = entries
            .into_inner()
            .map_err(|_| anyhow::anyhow!("a panic"))?;
        entries.sort_unstable_by_key(|entry: &KnownEntry| entry.log_index);
        Ok(entries)
    }
}

impl Known {
    /// Says which work finds nothing to do in this log.
    fn check(&self, works: &[Work]) -> Result<()> {
        for work in works {
            match work {
                Work::Consistency if self.v1.as_ref().is_some_and(|head| head.size.0 < 4) => {
                    bail!("consistency proofs need a tree of 4 leaves")
                }
                Work::Tile | Work::EntriesBundle if self.full_tiles() == 0 => {
                    bail!("there is no full tile yet")
                }
                Work::Search if self.entries.iter().any(|entry| entry.artifact.is_none()) => {
                    bail!("search needs a log of hashedrekords with SHA-256 only")
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Level-0 tiles with all their hashes.
    pub(crate) fn full_tiles(&self) -> u64 {
        self.tiles
            .as_ref()
            .map_or(0, |checkpoint| checkpoint.size.0 / TILE_WIDTH as u64)
    }
}

fn of_pem(pem: &[u8]) -> Result<LogKey> {
    let (_, spki) = pem_rfc7468::decode_vec(pem).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(LogKey::new(VerifyingKey::from_spki(&spki)?))
}

/// The document begins with the newest tree of the v2 log.
fn first_of_vkeys(vkeys: &[u8]) -> Result<LogKey> {
    let first = std::str::from_utf8(vkeys)?
        .lines()
        .next()
        .unwrap_or_default();
    let key: NoteKey = first.parse()?;
    Ok(LogKey::new(key.key().clone()))
}

/// The body of an answer that MUST be 200.
pub(crate) async fn answer<'a>(connection: &'a mut Connection, request: &[u8]) -> Result<&'a [u8]> {
    let answer = connection.exchange(request).await?;
    let line = request
        .split(|byte| *byte == b'\r')
        .next()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    ensure!(
        answer.status == 200,
        "{} for {line}: {}",
        answer.status,
        String::from_utf8_lossy(answer.body)
    );
    Ok(answer.body)
}

/// Random leaf indexes, ascending: `count` of them, each as likely as the other, some twice; all if
/// there are no more.
fn choose(size: u64, count: usize, seed: u64) -> Vec<u64> {
    if size <= count as u64 {
        return (0..size).collect();
    }
    let mut random = Random::new(seed);
    let mut indexes: Vec<_> = (0..count).map(|_| random.below(size)).collect();
    indexes.sort_unstable();
    indexes
}

/// The answer of `retrieve`: one object an entry, under its ID.
fn read_entries(json: &[u8]) -> Result<Vec<KnownEntry>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Found {
        body: String,
        log_index: u64,
    }
    let answers: Vec<HashMap<String, Found>> = serde_json::from_slice(json)?;
    let entries = answers.into_iter().flatten().map(|(uuid, found)| {
        ensure!(uuid.len() >= 64 && uuid.is_ascii(), "an entry ID {uuid:?}");
        let artifact = v1::artifact(&found.body);
        Ok(KnownEntry {
            log_index: found.log_index,
            uuid,
            artifact,
        })
    });
    entries.collect()
}
