//! Notices: what somebody is told.

use serde::{Deserialize, Serialize};
use tlog::Hash;

use crate::facts::Facts;
use crate::rules::{Hit, Matched};

mod timestamp;

/// Names and digests of an entry that a notice repeats. The entry itself has all of them.
const MAX_VALUES: usize = 20;
/// Characters of one value. Longer ones are cut.
const MAX_VALUE_CHARACTERS: usize = 512;

/// Something that happened in a log, once for each thing and rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The ID: the same for the same thing, also after a crash and on another server. Receivers
    /// drop a notice whose ID they have.
    pub id: String,
    /// When the monitor made it, in Unix seconds. Written as RFC 3339.
    #[serde(rename = "timestamp", with = "timestamp")]
    pub time: i64,
    /// The name of the log in the configuration.
    pub log: String,
    /// Whether the notice may have been delivered before.
    pub repeated: bool,
    /// One line for people.
    pub message: String,
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
}

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "lowercase")]
pub enum About {
    /// A new entry that a rule matches.
    Entry(Box<EntryNotice>),
    /// A fault of a log.
    Alarm(AlarmNotice),
}

/// A new entry that a rule matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryNotice {
    /// The name of the rule.
    pub rule: String,
    /// The values by which it matches.
    pub matched: Vec<Matched>,
    /// The origin of the tree's checkpoints.
    pub origin: String,
    /// The index in the log.
    pub log_index: u64,
    /// The index in the tree.
    pub leaf_index: u64,
    /// The RFC 6962 hash of the leaf in hexadecimal digits.
    pub leaf_hash: String,
    /// The ID in Rekor v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The time that the log gave it, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrated_time: Option<i64>,
    /// Kind and version, `hashedrekord:0.0.1`.
    pub kind: String,
    /// Digests of artifacts and payloads, some of them if there are many.
    pub digests: Vec<String>,
    /// Names of the signers, some of them if there are many.
    pub subjects: Vec<String>,
}

/// A fault of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmNotice {
    /// The kind of alarm, `fork`.
    pub alarm: String,
    /// The file with the evidence, if the alarm has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// Whether a notice may have been delivered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Nothing was delivered yet.
    First,
    /// It is read again after a crash.
    Repeated,
}

impl Notice {
    /// Makes the notice of an entry that matches a rule. `now` is in Unix seconds.
    pub fn of_entry(facts: &Facts<'_>, hit: &Hit<'_>, now: i64, delivery: Delivery) -> Self {
        let kind = format!("{}:{}", facts.summary.kind, facts.summary.version);
        let names = facts.summary.signers.iter();
        let names = names.flat_map(|signer| &signer.names);
        let matched = hit.matched.iter().take(MAX_VALUES).map(|matched| Matched {
            condition: matched.condition.clone(),
            value: shown(&matched.value),
        });
        let entry = EntryNotice {
            rule: hit.rule.to_owned(),
            matched: matched.collect(),
            origin: shown(facts.origin),
            log_index: facts.log_index,
            leaf_index: facts.leaf_index,
            leaf_hash: facts.leaf_hash.to_string(),
            uuid: facts.uuid.map(str::to_owned),
            integrated_time: facts.time,
            kind: shown(&kind),
            digests: some(facts.summary.digests.iter()),
            subjects: some(names),
        };
        let message = format!(
            "{}: entry {} ({}) matches the rule {:?}",
            facts.log, entry.log_index, entry.kind, entry.rule
        );
        Self {
            id: entry_id(facts, hit.rule),
            time: now,
            log: facts.log.to_owned(),
            repeated: delivery == Delivery::Repeated,
            message,
            about: About::Entry(Box::new(entry)),
        }
    }

    /// Makes the notice of an alarm. `id` is the same whenever the same thing is found again.
    pub fn of_alarm(id: String, log: &str, now: i64, message: &str, alarm: AlarmNotice) -> Self {
        Self {
            id,
            time: now,
            log: log.to_owned(),
            repeated: false,
            message: shown(message),
            about: About::Alarm(alarm),
        }
    }

    /// Returns the name of the rule or the kind of the alarm.
    pub fn reason(&self) -> &str {
        match &self.about {
            About::Entry(entry) => &entry.rule,
            About::Alarm(alarm) => &alarm.alarm,
        }
    }

    /// Returns the notice in one line, for people.
    pub fn text(&self) -> String {
        let repeated = if self.repeated { " [repeated]" } else { "" };
        let time = timestamp::text(self.time);
        let Self { log, message, .. } = self;
        match &self.about {
            About::Entry(entry) => {
                let values = entry.matched.iter();
                let values: Vec<String> = values
                    .map(|matched| format!("{} {}", matched.condition, matched.value))
                    .collect();
                let id = match &entry.uuid {
                    Some(uuid) => format!(", UUID {uuid}"),
                    None => String::new(),
                };
                let values = values.join(", ");
                format!("{time}{repeated} {message}: {values}{id}")
            }
            About::Alarm(alarm) => {
                let evidence = match &alarm.evidence {
                    Some(file) => format!(" (evidence: {file})"),
                    None => String::new(),
                };
                let kind = &alarm.alarm;
                format!("{time}{repeated} ALARM {kind} {log}: {message}{evidence}")
            }
        }
    }

    /// Returns the JSON form, in one line.
    pub fn json(&self) -> String {
        // A notice has no map with other keys than texts, so that it always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The ID of the notice: the first 128 bits of a hash over what it is about.
fn entry_id(facts: &Facts<'_>, rule: &str) -> String {
    let leaf_index = facts.leaf_index.to_string();
    let Hash(leaf_hash) = &facts.leaf_hash;
    let parts: [&[u8]; 5] = [
        b"entry",
        facts.origin.as_bytes(),
        leaf_index.as_bytes(),
        leaf_hash,
        rule.as_bytes(),
    ];
    let hash = tlog::sha256(&parts.join(&0));
    hash.to_string()[..32].to_owned()
}

fn some<'a>(values: impl Iterator<Item = &'a String>) -> Vec<String> {
    values.take(MAX_VALUES).map(|value| shown(value)).collect()
}

/// The text without control characters, and not too long.
pub(crate) fn shown(text: &str) -> String {
    let characters = text.chars().take(MAX_VALUE_CHARACTERS);
    characters
        .map(|letter| {
            if letter.is_control() {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .collect()
}
