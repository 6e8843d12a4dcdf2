//! In what an answer differs from the recorded one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::case::{Case, Expected, TREE_HEX};
use crate::mask::Mask;
use crate::support::Answer;

/// A part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aspect {
    /// The HTTP status.
    Status,
    /// A header.
    Headers,
    /// The body, but for the message of an error whose code is the same.
    Body,
    /// The message of an error, if nothing else of the body differs.
    Message,
}

impl Aspect {
    /// Its name in docs/API.md.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Headers => "headers",
            Self::Body => "body",
            Self::Message => "text",
        }
    }
}

/// Headers that depend on the connection, the moment or the length of what is masked, and the
/// request id, which each answer of ours has.
const NOT_COMPARED: [&str; 5] = [
    "connection",
    "content-length",
    "date",
    "transfer-encoding",
    "x-request-id",
];

/// All differences, and a text that shows them.
pub(crate) fn mismatches(case: &Case, answer: &Answer, mask: Mask) -> (BTreeSet<Aspect>, String) {
    let our_tree = our_tree(answer);
    let expected = &case.expected;
    let mut found = BTreeSet::new();
    if answer.status != expected.status {
        found.insert(Aspect::Status);
    }
    let (ours, theirs) = (our_headers(answer), their_headers(expected));
    let masked = |headers: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        headers
            .iter()
            .map(|(name, value)| (name.clone(), mask.apply(value, &our_tree)))
            .collect()
    };
    let length = answer
        .headers
        .get("content-length")
        .map_or(answer.body.len().to_string(), |v| {
            v.to_str().expect("digits").into()
        });
    let is_same_text = answer.body == expected.body && case.method != "HEAD";
    let is_other_length = is_same_text
        && expected
            .headers
            .get("content-length")
            .is_some_and(|theirs| *theirs != length);
    if masked(&ours) != masked(&theirs) || is_other_length {
        found.insert(Aspect::Headers);
    }
    let (our_body, their_body) = (
        comparable(&answer.body, mask, &our_tree),
        comparable(&known_hits(case, answer), mask, &our_tree),
    );
    if our_body != their_body {
        found.insert(if is_same_code(&answer.body, &expected.body) {
            Aspect::Message
        } else {
            Aspect::Body
        });
    }
    let details = format!(
        "  ours:   {} {ours:?} {}\n  theirs: {} {theirs:?} {}",
        answer.status,
        short(&our_body),
        expected.status,
        short(&their_body)
    );
    (found, details)
}

/// Results of a search come in any order, and so do the methods of a message.
fn comparable(body: &str, mask: Mask, our_tree: &str) -> String {
    let body = with_sorted_methods(&mask.apply(body, our_tree));
    match serde_json::from_str::<Vec<String>>(&body) {
        Ok(mut hits) => {
            hits.sort();
            format!("{hits:?}{}", if body.ends_with('\n') { "\n" } else { "" })
        }
        Err(_) => body,
    }
}

fn with_sorted_methods(message: &str) -> String {
    let parts = message
        .split_once("is not allowed, but [")
        .and_then(|(before, after)| {
            let (methods, after) = after.split_once(']')?;
            Some((before, methods, after))
        });
    let Some((before, methods, after)) = parts else {
        return message.to_owned();
    };
    let mut methods: Vec<&str> = methods.split([',', ' ']).collect();
    methods.sort_unstable();
    format!("{before}is not allowed, but [{}]{after}", methods.join(","))
}

/// The recorded hits of a search without those of other kinds, which our log does not have.
fn known_hits(case: &Case, answer: &Answer) -> String {
    let (Ok(theirs), Ok(ours)) = (
        serde_json::from_str::<Vec<String>>(&case.expected.body),
        serde_json::from_str::<Vec<String>>(&answer.body),
    ) else {
        return case.expected.body.clone();
    };
    let own = case.entry_id.as_deref();
    let leaf = |id: &str| id.get(TREE_HEX.len()..).unwrap_or_default().to_owned();
    let ours: BTreeSet<String> = ours.iter().map(|id| leaf(id)).collect();
    let known: Vec<String> = theirs
        .into_iter()
        .filter(|id| ours.contains(&leaf(id)) || Some(id.as_str()) == own)
        .collect();
    format!("{}\n", serde_json::to_string(&known).expect("texts"))
}

fn our_tree(answer: &Answer) -> String {
    // Entry IDs are the only runs of 80 hex digits; all of ours have the same tree.
    let texts = [
        answer.body.as_str(),
        answer.header("location"),
        answer.header("etag"),
    ];
    let ids = texts
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_hexdigit()));
    ids.filter(|run| run.len() == 80)
        .map(|run| run[..16].to_owned())
        .next()
        .unwrap_or_else(|| TREE_HEX.to_owned())
}

fn our_headers(answer: &Answer) -> BTreeMap<String, String> {
    let all = answer
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().expect("visible ASCII")));
    compared(all)
}

fn their_headers(expected: &Expected) -> BTreeMap<String, String> {
    compared(
        expected
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

fn compared<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    let kept = headers.filter(|(name, _)| !NOT_COMPARED.contains(name));
    // Rekor lists methods in random order.
    let sorted = |value: &str| {
        let mut methods: Vec<&str> = value.split(',').collect();
        methods.sort_unstable();
        methods.join(",")
    };
    kept.map(|(name, value)| {
        (
            name.to_owned(),
            if name == "allow" {
                sorted(value)
            } else {
                value.to_owned()
            },
        )
    })
    .collect()
}

fn is_same_code(ours: &str, theirs: &str) -> bool {
    let code = |text: &str| {
        serde_json::from_str::<Value>(text)
            .ok()
            .and_then(|value| value["code"].as_u64())
    };
    let newline = |text: &str| text.ends_with('\n');
    code(ours).is_some() && code(ours) == code(theirs) && newline(ours) == newline(theirs)
}

fn short(text: &str) -> String {
    let cut: String = text.chars().take(600).collect();
    format!("{cut:?}")
}
