//! `treehead log`: the newest head, and whether it continues the head that was seen last.

use client::{Claim, Evidence, History, LogKey, ReadError, SignedHead};
use ledger::Clock;
use serde_json::{Value, json};

use super::describe;
use super::flags::HeadFlags;
use super::log::{Log, failure, trust};
use super::seen::{Remembered, Seen};
use super::show::{self, Text};
use crate::failure::{Failure, FailureKind, Outcome};

/// The heads of a log: of the tree that takes entries, and of those before it, oldest first.
struct Now {
    active: SignedHead,
    earlier: Vec<SignedHead>,
}

/// A remembered head, and how the head of the same tree relates to it.
struct Compared {
    seen: Remembered,
    history: History,
}

pub(super) async fn run(flags: &HeadFlags) -> Outcome<()> {
    let keys = trust(&flags.log.trust)?;
    let log = Log::open(&flags.log).await?;
    let mut seen = Seen::open(flags, log.api())?;
    let time = ledger::SystemClock.unix_millis() / 1_000;
    let time = u64::try_from(time).unwrap_or_default();
    let now = log.heads().await?;
    let compared = compare((&flags.log.url, &log), &keys, &seen, &now, time).await?;
    for head in now.earlier.iter().chain([&now.active]) {
        let known = compared
            .iter()
            .find(|known| known.seen.head.origin() == head.origin());
        // An older or equal head teaches nothing. The time of the first sight stays.
        match known.map(|known| &known.history) {
            Some(History::Same | History::Older(_)) => {}
            Some(History::Extends(_)) | None => seen.remember(head, time),
        }
    }
    seen.store()?;
    show(flags, &log, &seen, &now, &compared)
}

impl Log {
    async fn heads(&self) -> Outcome<Now> {
        match self {
            Self::V1(log) => {
                let heads = log.heads().await.map_err(failure)?;
                Ok(Now {
                    active: heads.active,
                    earlier: heads.inactive,
                })
            }
            Self::V2(log) => Ok(Now {
                active: log.head().await.map_err(failure)?,
                earlier: Vec::new(),
            }),
        }
    }
}

impl Now {
    fn of_origin(&self, origin: &str) -> Option<&SignedHead> {
        let mut all = self.earlier.iter().chain([&self.active]);
        all.find(|head| head.origin() == origin)
    }
}

/// Compares each head that is remembered with the one that the log shows now of the same tree.
async fn compare(
    (url, log): (&str, &Log),
    keys: &[LogKey],
    seen: &Seen,
    now: &Now,
    time: u64,
) -> Outcome<Vec<Compared>> {
    let observed = i64::try_from(time).unwrap_or_default();
    let mut compared = Vec::new();
    for remembered in seen.heads(keys)? {
        let before = &remembered.head;
        let head = match (now.of_origin(before.origin()), log) {
            (Some(head), _) => head,
            // At another time this URL was that of another tree, which this answer does not show.
            (None, Log::V2(_)) => continue,
            (None, Log::V1(_)) => {
                let claim = Claim::LostTree {
                    seen: before.note.clone(),
                    now: now.active.note.clone(),
                };
                let heads = [before, &now.active];
                let evidence = Evidence::new(url, observed, &heads, claim);
                let evidence = seen.keep_evidence(&evidence)?;
                let why = format_args!(
                    "{} at size {} was seen before, and the log has no such tree any more. Both heads are in {}",
                    before.origin(),
                    before.size(),
                    evidence.display()
                );
                return Err(Failure::new(FailureKind::Forked, why));
            }
        };
        let history = match log {
            Log::V1(log) => log.compare(before, head).await,
            Log::V2(log) => log.compare(before, head).await,
        };
        match history {
            Ok(history) => compared.push(Compared {
                seen: remembered,
                history,
            }),
            Err(ReadError::History(error)) => {
                let evidence = Evidence::of_history(url, observed, before, head, &error, None);
                let evidence = seen.keep_evidence(&evidence)?;
                let why = format_args!("{error}. Both heads are in {}", evidence.display());
                return Err(Failure::new(FailureKind::Forked, why));
            }
            Err(error) => return Err(failure(error)),
        }
    }
    Ok(compared)
}

fn show(
    flags: &HeadFlags,
    log: &Log,
    seen: &Seen,
    now: &Now,
    compared: &[Compared],
) -> Outcome<()> {
    let active = &now.active;
    let known = compared
        .iter()
        .find(|known| known.seen.head.origin() == active.origin());
    let mut text = Text::default();
    text.verified(format_args!(
        "the head of {} ({})",
        flags.log.url,
        log.api().name
    ));
    describe::head(&mut text, active);
    for head in &now.earlier {
        text.fact(
            "earlier tree",
            format_args!("{}, size {}", head.origin(), head.size()),
        );
    }
    text.fact("history", history(known, seen, compared));
    let seen_json = known.map(|known| {
        json!({"size": known.seen.head.size().0, "root": known.seen.head.root().to_string(), "time": known.seen.time})
    });
    let json = json!({
        "url": flags.log.url,
        "api": log.api().name,
        "head": describe::head_json(active),
        "earlier": now.earlier.iter().map(describe::head_json).collect::<Vec<Value>>(),
        "history": word(known),
        "seen": seen_json,
        "state": seen.path().display().to_string(),
    });
    show::print(flags.log.trust.format, &text, &json)
}

fn word(known: Option<&Compared>) -> &'static str {
    match known.map(|known| &known.history) {
        None => "new",
        Some(History::Same) => "same",
        Some(History::Extends(_)) => "extends",
        Some(History::Older(_)) => "older",
    }
}

fn history(known: Option<&Compared>, seen: &Seen, compared: &[Compared]) -> String {
    let Some(Compared {
        seen: before,
        history,
    }) = known
    else {
        let others = match compared.len() {
            0 => "",
            _ => "; earlier trees are as they were",
        };
        return format!(
            "seen for the first time, remembered in {}{others}",
            seen.path().display()
        );
    };
    let (size, time) = (before.head.size(), show::time(before.time));
    match history {
        History::Same => format!("the same as seen at {time}"),
        History::Extends(_) => format!("continues size {size}, seen at {time}"),
        History::Older(_) => {
            format!("older than size {size}, seen at {time}, which continues it")
        }
    }
}
