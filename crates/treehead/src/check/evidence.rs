//! `treehead verify` of evidence against a log.

use std::path::Path;

use client::{Evidence, Weight};
use serde_json::json;

use super::describe;
use super::flags::TrustFlags;
use super::log::trust;
use super::show::{self, Text};
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// Prints what the evidence in a file shows. What is only reported, and not proved, is a finding.
pub(super) fn run(flags: &TrustFlags, path: &Path) -> Outcome<()> {
    let keys = trust(flags)?;
    let bytes = std::fs::read(path).explain(FailureKind::Usage, path.display())?;
    let evidence = Evidence::read(&bytes).explain(FailureKind::Usage, path.display())?;
    let finding = evidence.verify(&keys);
    let finding = finding.explain(FailureKind::NotVerified, path.display())?;
    let time = u64::try_from(evidence.time).unwrap_or_default();
    let mut text = Text::default();
    let name = path.display();
    match finding.weight {
        Weight::Proved => {
            text.verified(format_args!("the evidence in {name}"));
            text.fact("shows", &finding.text);
            text.fact("proved", "all of it, by signatures of the log alone");
        }
        Weight::Reported => {
            text.line(format_args!("reported: the evidence in {name}"));
            text.fact("says", &finding.text);
            text.fact(
                "proved",
                match finding.heads.is_empty() {
                    true => "nothing: no part of it is signed by the log",
                    false => "that the log signed the heads below, and nothing else",
                },
            );
            let claim = "what it says of the log: that is the word of whoever made the file";
            text.fact("not proved", claim);
        }
    }
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
    show::print(flags.format, &text, &json)?;
    match finding.weight {
        Weight::Proved => Ok(()),
        Weight::Reported => {
            let why = format_args!("{name}: the evidence is reported and not proved");
            Err(Failure::new(FailureKind::Findings, why))
        }
    }
}
