//! `treehead proof`: inclusion and consistency, with the path that the proof walks.

use std::fmt::Write;
use std::fs;

use client::{Consistency, Inclusion, Side};
use serde_json::json;
use tlog::TreeSize;

use super::flags::ProofFlags;
use super::log::{Log, failure};
use super::show::{self, Text};
use super::{describe, get};
use crate::failure::{Explain, FailureKind, Outcome};

pub(super) async fn run(flags: &ProofFlags) -> Outcome<()> {
    let log = Log::open(&flags.log).await?;
    match flags.first {
        Some(first) => consistency(flags, &log, TreeSize(first)).await,
        None => inclusion(flags, &log).await,
    }
}

async fn inclusion(flags: &ProofFlags, log: &Log) -> Outcome<()> {
    let entry = get::entry(log, &flags.entry).await?;
    let proof = &entry.inclusion;
    if let Some(path) = &flags.tlog_proof {
        let text = proof.to_tlog_proof().to_string();
        fs::write(path, text).explain(FailureKind::Other, path.display())?;
    }
    let mut text = Text::default();
    text.verified(format_args!(
        "entry {} is in the log at {}",
        entry.log_index, flags.log.url
    ));
    describe::head(&mut text, &proof.head);
    text.fact("leaf index", proof.leaf_index);
    text.lines("path from the leaf to the root", &inclusion_path(proof));
    let mut json = describe::inclusion_json(proof);
    if let Some(members) = json.as_object_mut() {
        members.insert("logIndex".to_owned(), entry.log_index.into());
    }
    show::print(flags.log.trust.format, &text, &json)
}

async fn consistency(flags: &ProofFlags, log: &Log, first: TreeSize) -> Outcome<()> {
    let proof = match log {
        Log::V1(log) => {
            let head = log.heads().await.map_err(failure)?.active;
            log.consistency(first, flags.first_root, head).await
        }
        Log::V2(log) => {
            let head = log.head().await.map_err(failure)?;
            log.consistency(first, flags.first_root, head).await
        }
    };
    let proof = proof.map_err(failure)?;
    let mut text = Text::default();
    text.verified(format_args!(
        "the tree of size {} is the beginning of the tree of size {}",
        proof.first,
        proof.head.size()
    ));
    describe::head(&mut text, &proof.head);
    text.fact("first root", proof.first_root);
    text.lines(
        "path from the left to both roots",
        &consistency_path(&proof),
    );
    let json = json!({
        "first": proof.first.0,
        "firstRoot": proof.first_root.to_string(),
        "hashes": describe::hashes(&proof.hashes),
        "head": describe::head_json(&proof.head),
    });
    show::print(flags.log.trust.format, &text, &json)
}

/// One line for each node: the hash of the proof, on which side it stands, and the hash of both.
fn inclusion_path(proof: &Inclusion) -> String {
    let mut path = format!("leaf   {}\n", proof.leaf_hash);
    for step in proof.steps() {
        // Writing into a string does not fail.
        let _ = writeln!(path, "{} {}", side(step.side), step.sibling);
        let _ = writeln!(path, "= node {}", step.node);
    }
    path
}

fn consistency_path(proof: &Consistency) -> String {
    let (start, steps) = proof.steps();
    let mut path = format!("start    {start}\n");
    for step in steps {
        let _ = writeln!(path, "{}   {}", side(step.side), step.sibling);
        if step.side == Side::Left {
            let _ = writeln!(path, "= first  {}", step.first);
        }
        let _ = writeln!(path, "= second {}", step.second);
    }
    path
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Left => "left  ",
        Side::Right => "right ",
    }
}
