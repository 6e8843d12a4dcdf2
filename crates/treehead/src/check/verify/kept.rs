//! Entries and proofs that somebody kept.

use std::fs;
use std::path::Path;

use client::bundle::Bundle;
use client::{Inclusion, LogKey, SignedHead, VerifyError};
use serde_json::json;
use tlog::{Hash, TlogProof};

use super::artifact::{Artifact, read};
use super::bundle;
use super::flags::VerifyFlags;
use crate::check::describe;
use crate::check::log::trust;
use crate::check::show::{self, Text};
use crate::failure::{Explain, Failure, FailureKind, Outcome, usage};

/// Verifies that an entry is in its log, and states the artifact. If somebody must have signed, the
/// signature in it as well.
pub(super) fn entry(flags: &VerifyFlags, path: &Path, artifact: Option<&Artifact>) -> Outcome<()> {
    let answer = read(path)?;
    if let (Some(artifact), Some(expected)) = (artifact, flags.signer.expected()?) {
        let bundle = Bundle::of_entry(&answer);
        let bundle = bundle.explain(FailureKind::NotVerified, path.display())?;
        return bundle::verify(flags, &bundle, path, artifact, expected);
    }
    flags.refuse_who_and_what(match artifact {
        None => "name the artifact, which the signature in the entry is over",
        Some(_) => "say who must have signed as well",
    })?;
    let entry = client::open_entry(&trust(&flags.trust)?, &answer);
    let entry = entry.explain(FailureKind::NotVerified, path.display())?;
    let mut text = Text::default();
    text.verified(format_args!("the entry in {}", path.display()));
    if let Some(artifact) = artifact {
        let hash = artifact.hash()?;
        if !entry.states(hash.as_ref()) {
            let why = format_args!(
                "{}: the entry does not state sha256:{hash} of {artifact}",
                path.display()
            );
            return Err(Failure::new(FailureKind::NotVerified, why));
        }
        text.fact("states", format_args!("sha256:{hash} of {artifact}"));
    }
    describe::entry(&mut text, &entry);
    show::print(flags.trust.format, &text, &describe::entry_json(&entry))
}

pub(super) fn tlog_proof(flags: &VerifyFlags, path: &Path) -> Outcome<()> {
    flags.refuse_who_and_what("a tlog-proof is of a leaf, and says nothing of who signed")?;
    let keys = trust(&flags.trust)?;
    let text = fs::read_to_string(path).explain(FailureKind::Usage, path.display())?;
    let proof: Result<TlogProof, _> = text.parse();
    let proof = proof.explain(FailureKind::NotVerified, path.display())?;
    let leaf_hash = match (&flags.leaf_hash, &flags.leaf) {
        (Some(hash), _) => *hash,
        (None, Some(leaf)) => tlog::leaf_hash(&read(leaf)?),
        (None, None) => return Err(usage("--tlog-proof needs --leaf or --leaf-hash")),
    };
    let inclusion = open(&keys, &proof, leaf_hash);
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
