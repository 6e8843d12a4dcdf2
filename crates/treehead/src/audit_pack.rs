//! `treehead audit-pack`: the entries of a period in one file, with all that an auditor needs to
//! check them without this program.

use std::fs;
use std::path::Path;

use ledger::Clock;
use serde_json::json;
use tlog::WitnessPolicy;

use crate::check::log::Log;
use crate::check::show::{self, Text};
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::runtime;
use bound::Bound;
use flags::AuditPackFlags;
use period::Period;
use stage::Stage;

mod bound;
pub(crate) mod flags;
mod period;
mod progress;
mod stage;
mod v1;
mod v2;

pub(crate) fn run(flags: &AuditPackFlags) -> Outcome<()> {
    let policy = match &flags.witness_policy {
        Some(path) => Some(policy(path)?),
        None => None,
    };
    check_order(&flags.since, &flags.until)?;
    check_past(&flags.until)?;
    let stage = Stage::new(&flags.out)?;
    let period = runtime()?.block_on(read(flags, &stage))?;
    let pack = stage.write(flags, policy.as_ref(), &period, now())?;
    let trees = period.trees.len();
    let mut text = Text::default();
    text.verified(format_args!(
        "{} entries of {} in {}",
        period.inside,
        flags.log.url,
        flags.out.display()
    ));
    text.fact("period", format_args!("{} to {}", flags.since, flags.until));
    text.fact("trees", trees);
    text.fact("sha256", pack.sha256);
    text.fact("to check it", "unpack it, and run: python3 check.py");
    let json = json!({
        "out": flags.out.display().to_string(), "entries": period.inside, "trees": trees,
        "sha256": pack.sha256.to_string(), "bytes": pack.bytes,
    });
    show::print(flags.log.trust.format, &text, &json)
}

async fn read(flags: &AuditPackFlags, stage: &Stage) -> Outcome<Period> {
    match Log::open(&flags.log).await? {
        Log::V1(log) => v1::read(flags, &log, stage).await,
        Log::V2(log) => v2::read(flags, log, stage).await,
    }
}

fn policy(path: &Path) -> Outcome<WitnessPolicy> {
    let text = fs::read_to_string(path).explain(FailureKind::Usage, path.display())?;
    WitnessPolicy::parse(&text).explain(FailureKind::Usage, path.display())
}

/// Both ends must be of one kind, and the first one earlier.
fn check_order(since: &Bound, until: &Bound) -> Outcome<()> {
    let is_ordered = match (since, until) {
        (Bound::Time { seconds: first, .. }, Bound::Time { seconds: last, .. }) => first < last,
        (Bound::Index(first), Bound::Index(last)) => first < last,
        _ => {
            let why = "--since and --until are two times, or two log indexes";
            return Err(Failure::new(FailureKind::Usage, why));
        }
    };
    match is_ordered {
        true => Ok(()),
        false => Err(Failure::new(
            FailureKind::Usage,
            "--until is not after --since",
        )),
    }
}

/// Of a period that is not over nobody can say that it is whole.
fn check_past(until: &Bound) -> Outcome<()> {
    match until.time() {
        Some(seconds) if seconds > now() => {
            let why = format_args!("--until {until} lies in the future: the period is not over");
            Err(Failure::new(FailureKind::Usage, why))
        }
        _ => Ok(()),
    }
}

fn now() -> i64 {
    ledger::SystemClock.unix_millis() / 1_000
}
