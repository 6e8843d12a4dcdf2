//! `treehead verify`: entries and proofs that somebody kept, checked without a network.

use std::fs;
use std::path::Path;

use client::{Inclusion, LogKey, SignedHead, VerifyError};
use serde_json::json;
use tlog::{Hash, TlogProof};

use super::flags::VerifyFlags;
use super::log::trust;
use super::show::{self, Text};
use super::{describe, get};
use crate::failure::{Explain, Failure, FailureKind, Outcome};

pub(super) fn run(flags: &VerifyFlags) -> Outcome<()> {
    let keys = trust(&flags.trust)?;
    match (&flags.entry, &flags.tlog_proof) {
        (Some(path), _) => entry(flags, &keys, path),
        (None, Some(path)) => tlog_proof(flags, &keys, path),
        (None, None) => Err(Failure::new(
            FailureKind::Usage,
            "give --entry or --tlog-proof",
        )),
    }
}

fn entry(flags: &VerifyFlags, keys: &[LogKey], path: &Path) -> Outcome<()> {
    let answer = fs::read(path).explain(FailureKind::Usage, path.display())?;
    let entry = client::open_entry(keys, &answer);
    let entry = entry.explain(FailureKind::NotVerified, path.display())?;
    let mut text = Text::default();
    text.verified(format_args!("the entry in {}", path.display()));
    if let Some(file) = &flags.artifact {
        let hash = get::hash_of(file).explain(FailureKind::Usage, file.display())?;
        if !entry.states(hash.as_ref()) {
            let why = format_args!(
                "{}: the entry does not state sha256:{hash} of {}",
                path.display(),
                file.display()
            );
            return Err(Failure::new(FailureKind::NotVerified, why));
        }
        text.fact(
            "states",
            format_args!("sha256:{hash} of {}", file.display()),
        );
    }
    describe::entry(&mut text, &entry);
    show::print(flags.trust.format, &text, &describe::entry_json(&entry))
}

fn tlog_proof(flags: &VerifyFlags, keys: &[LogKey], path: &Path) -> Outcome<()> {
    let text = fs::read_to_string(path).explain(FailureKind::Usage, path.display())?;
    let proof: Result<TlogProof, _> = text.parse();
    let proof = proof.explain(FailureKind::NotVerified, path.display())?;
    let leaf_hash = match (&flags.leaf_hash, &flags.leaf) {
        (Some(hash), _) => *hash,
        (None, Some(leaf)) => {
            let leaf = fs::read(leaf).explain(FailureKind::Usage, leaf.display())?;
            tlog::leaf_hash(&leaf)
        }
        (None, None) => {
            let why = "--tlog-proof needs --leaf or --leaf-hash";
            return Err(Failure::new(FailureKind::Usage, why));
        }
    };
    let inclusion = open(keys, &proof, leaf_hash);
    let inclusion = inclusion.explain(FailureKind::NotVerified, path.display())?;
    let mut text = Text::default();
    text.verified(format_args!("the proof in {}", path.display()));
    describe::head(&mut text, &inclusion.head);
    text.fact("leaf index", inclusion.leaf_index);
    text.fact("leaf hash", inclusion.leaf_hash);
    let json = json!({"inclusion": describe::inclusion_json(&inclusion)});
    show::print(flags.trust.format, &text, &json)
}

fn open(keys: &[LogKey], proof: &TlogProof, leaf_hash: Hash) -> Result<Inclusion, VerifyError> {
    let head = SignedHead::open(keys, &proof.checkpoint)?;
    Inclusion::verify(leaf_hash, proof.index, proof.hashes.clone(), head)
}
