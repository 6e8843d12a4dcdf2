//! The files of a pack, first in a folder beside it, then as one archive.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tlog::{Hash, WitnessPolicy};

use super::flags::AuditPackFlags;
use super::period::{Period, Tree};
use crate::check::describe;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::file_digest;

/// The script that checks a pack.
const SCRIPT: &str = include_str!("check.py");
/// The page that says how.
const PAGE: &str = include_str!("README.md");
/// The folder in the archive.
const FOLDER: &str = "audit-pack";
/// Level of zstd: small, and still faster than the entries come.
const LEVEL: i32 = 9;

/// A folder that is removed at the end.
pub(super) struct Stage {
    out: PathBuf,
    folder: PathBuf,
}

/// A pack that was written.
pub(super) struct Pack {
    pub(super) sha256: Hash,
    pub(super) bytes: u64,
}

/// A file with a line for each entry.
pub(super) struct Lines {
    name: String,
    file: BufWriter<File>,
}

impl Lines {
    pub(super) fn add(&mut self, entry: &Value) -> Outcome<()> {
        writeln!(self.file, "{entry}").explain(FailureKind::Other, &self.name)
    }

    /// Returns the name of the file in the pack.
    pub(super) fn finish(mut self) -> Outcome<String> {
        self.file.flush().explain(FailureKind::Other, &self.name)?;
        Ok(self.name)
    }
}

impl Stage {
    /// Makes a folder beside the file that is to be written, which must not exist.
    pub(super) fn new(out: &Path) -> Outcome<Self> {
        if out.exists() {
            let why = format_args!("{} exists: name another file with --out", out.display());
            return Err(Failure::new(FailureKind::Usage, why));
        }
        let folder = out.with_extension(format!("part-{}", std::process::id()));
        for part in ["heads", "keys", "entries", "trust", "witnesses"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).explain(FailureKind::Other, part.display())?;
        }
        Ok(Self {
            out: out.to_owned(),
            folder,
        })
    }

    pub(super) fn lines(&self, number: usize) -> Outcome<Lines> {
        let name = format!("entries/{number}.jsonl");
        let path = self.folder.join(&name);
        let file = File::create(&path).explain(FailureKind::Other, path.display())?;
        let file = BufWriter::new(file);
        Ok(Lines { name, file })
    }

    /// Writes everything beside the entries, and the archive. On return it is durable.
    pub(super) fn write(
        &self,
        flags: &AuditPackFlags,
        policy: Option<&WitnessPolicy>,
        period: &Period,
        now: i64,
    ) -> Outcome<Pack> {
        let witnesses = match policy {
            Some(policy) => self.witnesses(policy)?,
            None => Vec::new(),
        };
        let mut trees = Vec::new();
        for (number, tree) in period.trees.iter().enumerate() {
            trees.push(self.tree(number, tree)?);
        }
        for (number, path) in flags
            .log
            .trust
            .trust
            .iter()
            .chain(&flags.witness_policy)
            .enumerate()
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let to = self.folder.join(format!("trust/{number}-{name}"));
            fs::copy(path, to).explain(FailureKind::Other, path.display())?;
        }
        let index = json!({
            "format": "treehead-audit-pack/1", "log": flags.log.url, "api": period.api, "made": now,
            "since": flags.since.to_string(), "until": flags.until.to_string(),
            "sinceTime": flags.since.time(), "untilTime": flags.until.time(),
            "entries": period.inside, "trees": trees, "witnesses": witnesses,
        });
        self.file("pack.json", format!("{index:#}\n").as_bytes())?;
        self.file("check.py", SCRIPT.as_bytes())?;
        self.file("README.md", page(flags, period).as_bytes())?;
        let written = self.archive();
        written.explain(FailureKind::Other, self.out.display())
    }

    fn tree(&self, number: usize, tree: &Tree) -> Outcome<Value> {
        let run = &tree.run;
        let (head, key) = (format!("heads/{number}.txt"), format!("keys/{number}.pem"));
        self.file(&head, run.head.note.as_bytes())?;
        self.file(&key, run.head.signer.key().to_pem().as_bytes())?;
        Ok(json!({
            "origin": run.head.origin(), "head": head, "key": key, "entries": tree.entries,
            "first": run.first, "count": run.count, "logIndex": tree.log_index,
            "left": describe::hashes(&run.left), "right": describe::hashes(&run.right),
        }))
    }

    fn witnesses(&self, policy: &WitnessPolicy) -> Outcome<Vec<Value>> {
        let mut witnesses = Vec::new();
        for (number, witness) in policy.witnesses().iter().enumerate() {
            let key = format!("witnesses/{number}.pem");
            self.file(&key, witness.key.key().to_pem().as_bytes())?;
            witnesses.push(json!({"name": witness.key.name(), "key": key}));
        }
        Ok(witnesses)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Outcome<()> {
        let path = self.folder.join(name);
        fs::write(&path, bytes).explain(FailureKind::Other, path.display())
    }

    fn archive(&self) -> io::Result<Pack> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.out)?;
        let mut archive = tar::Builder::new(zstd::Encoder::new(file, LEVEL)?);
        archive.mode(tar::HeaderMode::Deterministic);
        archive.append_dir_all(FOLDER, &self.folder)?;
        let file = archive.into_inner()?.finish()?;
        file.sync_all()?;
        hash_of(&self.out)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left over lies beside the pack, and says by its name what it is.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn hash_of(path: &Path) -> io::Result<Pack> {
    let bytes = fs::metadata(path)?.len();
    let sha256 = file_digest::sha256(path)?;
    Ok(Pack { sha256, bytes })
}

/// Fills in the page.
fn page(flags: &AuditPackFlags, period: &Period) -> String {
    let mut keys = String::new();
    for (number, tree) in period.trees.iter().enumerate() {
        let head = &tree.run.head;
        let id = head.signer.key().log_id();
        keys.push_str(&format!(
            "| `keys/{number}.pem` | {id} | {} |\n",
            head.origin()
        ));
    }
    PAGE.replace("{log}", &flags.log.url)
        .replace("{since}", &flags.since.to_string())
        .replace("{until}", &flags.until.to_string())
        .replace("{entries}", &period.inside.to_string())
        .replace("{keys}", keys.trim_end())
}
