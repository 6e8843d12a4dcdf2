//! The entries of an artifact that a log finds by itself.

use client::bundle::{Bundle, Expected, Policy, Verified};
use client::{Entry, ReadResult};
use serde_json::json;
use tlog::Hash;

use super::artifact::Artifact;
use super::flags::VerifyFlags;
use super::{bundle, report};
use crate::check::describe;
use crate::check::flags::{LogFlags, TrustFlags};
use crate::check::log::{Log, failure};
use crate::check::show::{self, Text};
use crate::failure::{Failure, FailureKind, Outcome};

/// Most entries of one artifact that are fetched. Whoever has more gives a bundle.
const MAX_ENTRIES: usize = 100;

/// An entry that the log proves, with the answer that it was read from.
type Found = (Entry, Vec<u8>);

pub(super) async fn run(flags: &VerifyFlags, artifact: &Artifact) -> Outcome<()> {
    if !flags.signer.is_given() {
        flags.refuse_who_and_what("say who must have signed as well")?;
    }
    let hash = artifact.hash()?;
    let log_flags = LogFlags {
        url: flags.log().unwrap_or_default().to_owned(),
        api: flags.api,
        trust: TrustFlags {
            trust: flags.trust.trust.clone(),
            format: flags.trust.format,
        },
    };
    let log = Log::open(&log_flags).await?;
    let mut found = search(&log, &hash).await.map_err(failure)?;
    // A search is no proof: an entry counts only if it states the artifact itself.
    found.retain(|(entry, _)| entry.states(hash.as_ref()));
    if found.is_empty() {
        let why = format_args!(
            "the search of {} finds no entry that states sha256:{hash} of {artifact}",
            log_flags.url
        );
        return Err(Failure::new(FailureKind::Absent, why));
    }
    match flags.signer.expected()? {
        Some(signer) => signed(flags, artifact, &hash, &found, signer),
        None => stated(flags, artifact, &log_flags.url, &hash, &found),
    }
}

async fn search(log: &Log, hash: &Hash) -> ReadResult<Vec<Found>> {
    let mut found = Vec::new();
    match log {
        Log::V1(log) => {
            for id in log.search(hash).await?.iter().take(MAX_ENTRIES) {
                found.push(log.entry_and_answer(id).await?);
            }
        }
        Log::V2(log) => {
            for hit in &log.search(hash, MAX_ENTRIES).await? {
                found.push(log.answer_of_hit(hit).await?);
            }
        }
    }
    Ok(found)
}

/// Prints the entries, whoever signed.
fn stated(
    flags: &VerifyFlags,
    artifact: &Artifact,
    url: &str,
    hash: &Hash,
    found: &[Found],
) -> Outcome<()> {
    let mut text = Text::default();
    let mut entries = Vec::new();
    for (entry, _) in found {
        text.verified(format_args!(
            "entry {} of {url} states {artifact}",
            entry.log_index
        ));
        text.fact("states", format_args!("sha256:{hash}"));
        describe::entry(&mut text, entry);
        entries.push(describe::entry_json(entry));
    }
    let json = json!({"url": url, "sha256": hash.to_string(), "entries": entries});
    show::print(flags.trust.format, &text, &json)
}

/// Prints the entries that the expected signer signed. There must be one.
fn signed(
    flags: &VerifyFlags,
    artifact: &Artifact,
    hash: &Hash,
    found: &[Found],
    signer: Expected,
) -> Outcome<()> {
    let trust = bundle::trust_root(flags)?;
    let policy = Policy {
        signer,
        predicate_type: flags.predicate_type.clone(),
    };
    let mut verified: Vec<Verified> = Vec::new();
    let mut reasons = Vec::new();
    for (entry, answer) in found {
        let bundle = Bundle::of_entry(answer);
        let result = bundle.and_then(|it| bundle::check(&it, artifact, &trust, &policy));
        match result {
            Ok((one, _)) => verified.push(one),
            Err(error) => reasons.push(format!("entry {}: {error}", entry.log_index)),
        }
    }
    if verified.is_empty() {
        let why = format_args!(
            "none of the {} entries of {artifact} is by the expected signer: {}",
            found.len(),
            reasons.join("; ")
        );
        return Err(Failure::new(FailureKind::NotVerified, why));
    }
    report::print_all(flags, artifact, hash, &verified)
}
