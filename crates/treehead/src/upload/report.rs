//! What became of uploads: lines for people or JSON, and the exit code.

use serde_json::{Value, json};

use super::deliver::{Became, Delivered};
use super::destination::Destination;
use super::flags::LogToFlags;
use crate::check::describe;
use crate::check::show::{Text, print};
use crate::failure::{Failure, FailureKind, Outcome};

/// Numbers of what became of uploads.
#[derive(Default)]
struct Counts {
    pending: usize,
    refused: usize,
    unverified: usize,
}

/// Prints what became of each upload. `elsewhere` is the number of entries of the queue that are
/// for other logs.
///
/// # Errors
///
/// Not all are in the log.
pub(super) fn report(
    flags: &LogToFlags,
    to: &Destination,
    delivered: &[Delivered],
    elsewhere: usize,
) -> Outcome<()> {
    let mut text = Text::default();
    let mut counts = Counts::default();
    let mut uploads = Vec::new();
    for delivered in delivered {
        counts.add(&delivered.became);
        describe_one(&mut text, delivered);
        uploads.push(json(delivered));
    }
    if delivered.is_empty() {
        text.line(format_args!("nothing to send to {}", to.url));
    }
    if elsewhere > 0 {
        text.line(format_args!(
            "not sent: {elsewhere} entries of the queue are for other logs"
        ));
    }
    let json = json!({"url": to.url, "uploads": uploads, "elsewhere": elsewhere});
    print(flags.log.trust.format, &text, &json)?;
    counts.outcome(flags, to)
}

impl Counts {
    fn add(&mut self, became: &Became) {
        match became {
            Became::Logged(_) => {}
            Became::Pending(_) => self.pending += 1,
            Became::Refused(_) => self.refused += 1,
            Became::Unverified(_) => self.unverified += 1,
        }
    }

    fn outcome(&self, flags: &LogToFlags, to: &Destination) -> Outcome<()> {
        let Self {
            pending,
            refused,
            unverified,
        } = self;
        let url = &to.url;
        let (kind, why) = if *unverified > 0 {
            let why = format!("{unverified} answers of {url} do not verify");
            (FailureKind::NotVerified, why)
        } else if *refused > 0 {
            let why = format!("{url} refuses {refused} entries");
            (FailureKind::LogUnavailable, why)
        } else if *pending > 0
            && let Some(queue) = &flags.queue
        {
            let why = format!(
                "{pending} entries are not in the log yet and wait in {}: \
                 `treehead upload --queue` sends them",
                queue.display()
            );
            (FailureKind::Pending, why)
        } else if *pending > 0 {
            let why = format!("{pending} entries could not be sent to {url}");
            (FailureKind::LogUnavailable, why)
        } else {
            return Ok(());
        };
        Err(Failure::new(kind, why))
    }
}

fn describe_one(text: &mut Text, delivered: &Delivered) {
    let name = &delivered.upload.name;
    match &delivered.became {
        Became::Logged(logged) => {
            let entry = &logged.entry;
            let word = match logged.was_there {
                true => "is in the log already",
                false => "is in the log",
            };
            text.verified(format_args!("{name} {word}"));
            text.fact("kind", entry.kind().as_deref().unwrap_or("unknown"));
            text.fact("log index", entry.log_index);
            match &entry.uuid {
                Some(uuid) => text.fact("uuid", uuid),
                None => text.fact("leaf hash", entry.inclusion.leaf_hash),
            }
            for output in &delivered.upload.outputs {
                text.fact("written", output.path.display());
            }
        }
        Became::Pending(why) => {
            text.line(format_args!("not in the log yet: {name}"));
            text.fact("reason", why);
        }
        Became::Refused(why) => {
            text.line(format_args!("refused: {name}"));
            text.fact("reason", why);
        }
        Became::Unverified(error) => {
            text.line(format_args!("not verified: {name}"));
            text.fact("reason", error);
        }
    }
}

fn json(delivered: &Delivered) -> Value {
    let file = &delivered.upload.name;
    let (status, message) = match &delivered.became {
        Became::Logged(logged) => {
            let outputs = delivered.upload.outputs.iter();
            let written: Vec<String> = outputs
                .map(|output| output.path.display().to_string())
                .collect();
            let status = if logged.was_there {
                "duplicate"
            } else {
                "logged"
            };
            let entry = describe::entry_json(&logged.entry);
            return json!({"file": file, "status": status, "entry": entry, "written": written});
        }
        Became::Pending(why) => ("pending", why.clone()),
        Became::Refused(why) => ("refused", why.clone()),
        Became::Unverified(error) => ("unverified", error.to_string()),
    };
    json!({"file": file, "status": status, "message": message})
}
