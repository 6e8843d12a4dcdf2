//! `treehead verify` of evidence against a log.

use std::path::Path;

use client::{Evidence, Weight};
use serde_json::json;

use super::describe;
use super::flags::TrustFlags;
use super::log::trust;
use super::show::{self, Text};
use crate::failure::{Explain, FailureKind, Outcome};

/// Prints what the evidence in a file shows.
pub(super) fn run(flags: &TrustFlags, path: &Path) -> Outcome<()> {
    let keys = trust(flags)?;
    let bytes = std::fs::read(path).explain(FailureKind::Usage, path.display())?;
    let evidence = Evidence::read(&bytes).explain(FailureKind::Usage, path.display())?;
    let finding = evidence.verify(&keys);
    let finding = finding.explain(FailureKind::NotVerified, path.display())?;
    let weight = match finding.weight {
        Weight::Proved => "proved by signatures of the log alone",
        Weight::Reported => {
            "reported: the heads are signed by the log, the rest is the word of whoever saw it"
        }
    };
    let time = u64::try_from(evidence.time).unwrap_or_default();
    let mut text = Text::default();
    text.verified(format_args!("the evidence in {}", path.display()));
    text.fact("shows", &finding.text);
    text.fact("weight", weight);
    text.fact("log", &evidence.log);
    text.fact("observed", show::time(time));
    for head in &finding.heads {
        describe::head(&mut text, head);
    }
    let heads: Vec<_> = finding.heads.iter().map(describe::head_json).collect();
    let json = json!({
        "log": evidence.log,
        "time": evidence.time,
        "shows": finding.text,
        "weight": match finding.weight {
            Weight::Proved => "proved",
            Weight::Reported => "reported",
        },
        "heads": heads,
    });
    show::print(flags.format, &text, &json)
}
