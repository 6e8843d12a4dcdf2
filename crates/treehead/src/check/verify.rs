//! `treehead verify`: what somebody kept of a log, or says of an artifact, checked against trusted
//! keys. Without a network, unless the log itself is asked.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::failure::{Explain, Failure, FailureKind, Outcome, usage};
use crate::runtime;
use artifact::Artifact;
use document::Document;

mod artifact;
mod bundle;
mod document;
pub(crate) mod flags;
mod kept;
mod online;
mod report;

pub(crate) use flags::VerifyFlags;

/// Largest file that is looked at to find out what it is, as large as a bundle may be.
const MAX_DOCUMENT: u64 = 64 << 20;
/// What the name of a bundle beside its artifact ends with, as Sigstore's clients write it.
const BESIDE: &str = "sigstore.json";

/// What is to be verified.
enum Asked {
    Bundle {
        bundle: PathBuf,
        artifact: Artifact,
    },
    Entry {
        entry: PathBuf,
        artifact: Option<Artifact>,
    },
    TlogProof(PathBuf),
    /// A document that no flag named and that says itself what it is.
    Evidence(PathBuf),
    Online(Artifact),
}

pub(super) fn run(flags: &VerifyFlags) -> Outcome<()> {
    match asked(flags)? {
        Asked::Bundle { bundle, artifact } => bundle::run(flags, &bundle, &artifact),
        Asked::Entry { entry, artifact } => kept::entry(flags, &entry, artifact.as_ref()),
        Asked::TlogProof(path) => kept::tlog_proof(flags, &path),
        Asked::Evidence(path) => super::evidence::run(&flags.trust, &path),
        Asked::Online(artifact) => runtime()?.block_on(online::run(flags, &artifact)),
    }
}

/// Finds out what the flags and files mean. A flag decides; without one, a file whose content says
/// what it is.
fn asked(flags: &VerifyFlags) -> Outcome<Asked> {
    if let Some(bundle) = &flags.bundle {
        let artifact = only(&flags.files)?.ok_or_else(|| no_artifact(bundle))?;
        let bundle = bundle.clone();
        return Ok(Asked::Bundle { bundle, artifact });
    }
    if let Some(entry) = &flags.entry {
        let (entry, artifact) = (entry.clone(), only(&flags.files)?);
        return Ok(Asked::Entry { entry, artifact });
    }
    if let Some(path) = &flags.tlog_proof {
        return match only(&flags.files)? {
            None => Ok(Asked::TlogProof(path.clone())),
            Some(_) => Err(usage(
                "a tlog-proof is of a leaf: give --leaf or --leaf-hash",
            )),
        };
    }
    match flags.files.as_slice() {
        [] => Err(usage(
            "name the artifact, and with --bundle, --entry or --url what is to be verified",
        )),
        [file] => one(flags, file),
        [first, second, ..] => two(first, second),
    }
}

fn one(flags: &VerifyFlags, file: &Path) -> Outcome<Asked> {
    let artifact = Artifact::of(file);
    if let Artifact::File(path) = &artifact {
        let mut beside = path.clone().into_os_string();
        beside.push(".");
        beside.push(BESIDE);
        let bundle = PathBuf::from(beside);
        if bundle.is_file() {
            return Ok(Asked::Bundle { bundle, artifact });
        }
        // With a log to ask or a signer to expect the file is the artifact, whatever it contains:
        // one that looks like an entry or evidence must not be verified as that instead.
        if flags.log().is_none() {
            let is_artifact = flags.says_who_or_what();
            match document(path)? {
                Some(Document::Bundle) => return Err(no_artifact(path)),
                Some(Document::Entry) if !is_artifact => {
                    let (entry, artifact) = (path.clone(), None);
                    return Ok(Asked::Entry { entry, artifact });
                }
                Some(Document::Evidence) if !is_artifact => {
                    return Ok(Asked::Evidence(path.clone()));
                }
                _ => {}
            }
        }
    }
    match flags.log() {
        Some(_) => Ok(Asked::Online(artifact)),
        None => Err(usage(format_args!(
            "say how {} is to be verified: --bundle FILE, --entry FILE, or --url URL to ask the log",
            file.display()
        ))),
    }
}

/// Of two files exactly one must be a document. Otherwise a flag has to say which one is meant.
fn two(first: &Path, second: &Path) -> Outcome<Asked> {
    let (found, path, artifact) = match (document(first)?, document(second)?) {
        (Some(found), None) => (found, first, second),
        (None, Some(found)) => (found, second, first),
        (Some(_), Some(_)) => {
            return Err(usage(
                "both files look like a bundle or an entry: name it with --bundle or --entry",
            ));
        }
        (None, None) => {
            return Err(usage("neither file is a whole bundle or entry of a log"));
        }
    };
    let artifact = Artifact::of(artifact);
    match found {
        Document::Bundle => Ok(Asked::Bundle {
            bundle: path.to_owned(),
            artifact,
        }),
        Document::Entry => Ok(Asked::Entry {
            entry: path.to_owned(),
            artifact: Some(artifact),
        }),
        Document::Evidence => Err(usage("evidence stands for itself: name no artifact")),
    }
}

/// Returns what a file says that it is. A digest that is no file is none.
fn document(path: &Path) -> Outcome<Option<Document>> {
    let Artifact::File(path) = Artifact::of(path) else {
        return Ok(None);
    };
    let read = || {
        let mut bytes = Vec::new();
        let file = File::open(&path)?;
        file.take(MAX_DOCUMENT).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = read().explain(FailureKind::Usage, path.display())?;
    Ok(Document::of(&bytes))
}

/// Returns the artifact, if one is named.
fn only(files: &[PathBuf]) -> Outcome<Option<Artifact>> {
    match files {
        [] => Ok(None),
        [file] => Ok(Some(Artifact::of(file))),
        _ => Err(usage("one artifact at a time")),
    }
}

fn no_artifact(bundle: &Path) -> Failure {
    usage(format_args!(
        "{} is a bundle: name the artifact that it is about as well",
        bundle.display()
    ))
}
