//! Entries that wait until the log takes them, in one file each.
//!
//! A file is whole or absent: written beside, made durable, and renamed. It is named after the leaf
//! of the entry, so that one that is queued twice is one file. Several processes may send one queue
//! at once, because a log finds duplicates. Nothing in the folder is a bundle or an entry.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use client::upload::{Api, Proposal};
use serde::{Deserialize, Serialize};

use super::destination::Destination;
use super::files;
use super::item::{Output, Upload};
use crate::failure::{Explain, FailureKind, Outcome};

const SUFFIX: &str = ".pending.json";
/// The file of an entry that the log refused: it is kept, and not sent again.
const REFUSED: &str = ".refused.json";
/// Largest file of a queue: the largest artifact that is sent whole, in base64.
const MAX_FILE: u64 = 512 << 20;

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct Content {
    /// Says to people what this is.
    state: String,
    url: String,
    api: String,
    name: String,
    request: String,
    outputs: Vec<Output>,
}

/// What a queue holds.
pub(super) struct Held {
    pub(super) uploads: Vec<Upload>,
    /// Entries for other logs.
    pub(super) elsewhere: usize,
}

/// Puts an entry into the queue. On return it is durable.
pub(super) fn keep(folder: &Path, url: &str, upload: &mut Upload) -> Outcome<()> {
    let proposal = &upload.proposal;
    let content = Content {
        state: "pending: this is not in the log yet".to_owned(),
        url: url.to_owned(),
        api: api_name(proposal.api()).to_owned(),
        name: upload.name.clone(),
        request: proposal.request().to_owned(),
        outputs: upload.outputs.clone(),
    };
    let id = tlog::sha256(format!("{url} {}", proposal.leaf_hash()).as_bytes());
    let path = folder.join(format!("{}{SUFFIX}", &id.to_string()[..32]));
    let text = serde_json::to_vec(&content).explain(FailureKind::Other, path.display())?;
    files::write(&path, &text).explain(FailureKind::Other, path.display())?;
    upload.queued = Some(path);
    Ok(())
}

/// Returns what the queue holds beside `known`.
pub(super) fn held(folder: &Path, to: &Destination, known: &[Upload]) -> Outcome<Held> {
    let mut held = Held {
        uploads: Vec::new(),
        elsewhere: 0,
    };
    for path in names(folder)? {
        if known
            .iter()
            .any(|upload| upload.queued.as_ref() == Some(&path))
        {
            continue;
        }
        // Another process may have sent it meanwhile.
        let Some(content) = read(&path)? else {
            continue;
        };
        if content.url != to.url || content.api != api_name(to.api) {
            held.elsewhere += 1;
            continue;
        }
        let proposal = Proposal::read(to.api, content.request, to.now);
        held.uploads.push(Upload {
            name: content.name,
            proposal: proposal.explain(FailureKind::Other, path.display())?,
            outputs: content.outputs,
            queued: Some(path),
        });
    }
    Ok(held)
}

/// Takes an entry out of the queue. The outputs of the entry MUST be durable.
pub(super) fn remove(path: &Path) -> Outcome<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).explain(FailureKind::Other, path.display())
        }
        _ => Ok(()),
    }
}

/// Sets an entry aside that the log refused.
pub(super) fn set_aside(path: &Path) -> Outcome<PathBuf> {
    let name = path.display().to_string();
    let aside = PathBuf::from(format!(
        "{}{REFUSED}",
        name.strip_suffix(SUFFIX).unwrap_or(&name)
    ));
    match fs::rename(path, &aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).explain(FailureKind::Other, path.display())
        }
        _ => Ok(aside),
    }
}

fn names(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.explain(FailureKind::Other, folder.display())?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.explain(FailureKind::Other, folder.display())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Those that begin with a dot are the beginnings of files that a crash left.
        if name.ends_with(SUFFIX) && !name.starts_with('.') {
            names.push(path);
        }
    }
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Outcome<Option<Content>> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.explain(FailureKind::Other, path.display())?,
    };
    let mut text = Vec::new();
    let read = file.take(MAX_FILE).read_to_end(&mut text);
    read.explain(FailureKind::Other, path.display())?;
    let content = serde_json::from_slice(&text);
    content
        .map(Some)
        .explain(FailureKind::Other, path.display())
}

fn api_name(api: Api) -> &'static str {
    match api {
        Api::V1 => "v1",
        Api::V2 => "v2",
    }
}
