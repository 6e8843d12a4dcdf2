//! `treehead search`: entries by what they are about and who signed them.

use client::search::{Condition, ConditionError, Found, Query, Searcher};
use client::{Http, upload};
use entry::Attribute;
use serde_json::{Value, json};

use crate::check::describe;
use crate::check::flags::LogFlags;
use crate::check::log::{failure, trust};
use crate::check::show::{Text, print};
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::file_digest;
use crate::runtime;

pub(crate) use flags::SearchFlags;

mod flags;

/// Prints the entries that the flags ask for.
pub(crate) fn run(flags: &SearchFlags) -> Outcome<()> {
    let query = query(flags)?;
    if query.0.is_empty() {
        let why = "give a condition, such as --hash or --subject";
        return Err(Failure::new(FailureKind::Usage, why));
    }
    runtime()?.block_on(search(&flags.log, &query, usize::from(flags.limit)))
}

/// Searches, and prints what was found.
///
/// # Errors
///
/// Nothing was found, or it does not verify.
pub(crate) async fn search(flags: &LogFlags, query: &Query, limit: usize) -> Outcome<()> {
    let searcher = Searcher::new(&flags.url, trust(&flags.trust)?, Http::new());
    let api = flags.api.map(|api| match api == &ledger::V1 {
        true => upload::Api::V1,
        false => upload::Api::V2,
    });
    let found = searcher.search(query, api, limit).await.map_err(failure)?;
    if found.entries.is_empty() {
        let why = format_args!("the search of {} finds no such entry", flags.url);
        return Err(Failure::new(FailureKind::Absent, why));
    }
    show(flags, &found)
}

/// Returns the condition that an entry is about a package.
pub(crate) fn of_package(purl: &str) -> Outcome<Query> {
    let condition = Condition::attribute(Attribute::Purl, purl);
    Ok(Query(vec![
        condition.explain(FailureKind::Usage, "--purl")?,
    ]))
}

fn query(flags: &SearchFlags) -> Outcome<Query> {
    let mut conditions = Vec::new();
    let mut add = |flag: &str, condition: Result<Condition, ConditionError>| {
        conditions.push(condition.explain(FailureKind::Usage, flag)?);
        Ok(())
    };
    for hash in &flags.hash {
        add("--hash", Condition::hash(hash))?;
    }
    for file in &flags.file {
        let hash = file_digest::sha256(file).explain(FailureKind::Usage, file.display())?;
        add("--file", Condition::hash(&hash.to_string()))?;
    }
    for email in &flags.email {
        add("--email", Ok(Condition::Email(email.clone())))?;
    }
    for file in &flags.public_key {
        let bytes = crate::upload::read(file)?;
        add("--public-key", Condition::public_key(&bytes))?;
    }
    if let Some(hash) = &flags.key_hash {
        add("--key-hash", Ok(Condition::KeyHash(hash.to_string())))?;
    }
    let attributes = [
        ("--subject", Attribute::Subject, &flags.subject),
        ("--issuer", Attribute::Issuer, &flags.issuer),
        ("--repository", Attribute::Repository, &flags.repository),
        ("--workflow", Attribute::Workflow, &flags.workflow),
        ("--commit", Attribute::Commit, &flags.commit),
        ("--purl", Attribute::Purl, &flags.purl),
    ];
    for (flag, attribute, values) in attributes {
        for value in values {
            add(flag, Condition::attribute(attribute, value))?;
        }
    }
    conditions.extend(flags.kind.clone().map(Condition::Kind));
    conditions.extend(flags.since.clone().map(Condition::Since));
    conditions.extend(flags.until.clone().map(Condition::Until));
    Ok(Query(conditions))
}

fn show(flags: &LogFlags, found: &Found) -> Outcome<()> {
    let mut text = Text::default();
    let mut entries = Vec::new();
    for hit in &found.entries {
        let entry = &hit.entry;
        text.verified(format_args!("entry {} of {}", entry.log_index, flags.url));
        describe::entry(&mut text, entry);
        if hit.states == Some(false) {
            let note =
                "the search found it, but the entry itself does not state what was searched for";
            text.fact("note", note);
        }
        let mut json = describe::entry_json(entry);
        json["states"] = json!(hit.states);
        entries.push(json);
    }
    if found.has_more {
        text.line("more: the log has further entries; --limit fetches more");
    }
    let json: Value = json!({"url": flags.url, "entries": entries, "more": found.has_more});
    print(flags.trust.format, &text, &json)
}
