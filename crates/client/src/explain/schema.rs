//! The messages of Sigstore in their JSON form, and the rules that each value of them must keep.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::node::{self, Node};
use super::report::{ALL, GO, JS, PYTHON, Report};

mod messages;

pub(super) use messages::{BUNDLE, CLIENT_TRUST_CONFIG, ENTRY, SIGNING_CONFIG, TRUSTED_ROOT};

/// A message and its members.
pub(super) struct Message {
    name: &'static str,
    members: &'static [(&'static str, Kind)],
}

/// The form of a member.
enum Kind {
    Text,
    /// Bytes in base64.
    Bytes,
    /// A whole number, as a number or as a text.
    Number,
    /// A name out of a list, or its number.
    Choice,
    /// An RFC 3339 time.
    Time,
    One(&'static Message),
    Many(&'static Message),
    ManyBytes,
}

use Kind::{Bytes, Choice, Many, ManyBytes, Number, One, Text, Time};

/// Checks that a value has the form of a message, down to its last member.
pub(super) fn check(report: &mut Report, node: &Node<'_>, message: &'static Message) {
    let Some(members) = node.value.as_object() else {
        return wrong_type(report, node, "an object");
    };
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let member = Node {
            value,
            place: node.at(name),
        };
        let known = |wanted: &str| message.members.iter().find(|(name, _)| *name == wanted);
        match known(name) {
            Some((_, kind)) => check_kind(report, &member, kind),
            None => match known(&camel_case(name)) {
                Some((camel, kind)) => {
                    report.error(
                        "snake-case-member",
                        JS,
                        &member.place,
                        "the member has its name in snake case: Go reads it, sigstore-js passes \
                            over it",
                        format_args!("rename it to {camel}"),
                    );
                    check_kind(report, &member, kind);
                }
                None => unknown(report, &member, message),
            },
        }
    }
}

fn unknown(report: &mut Report, member: &Node<'_>, message: &Message) {
    report.error(
        "unknown-member",
        GO,
        &member.place,
        format_args!(
            "{} has no such member, and Go's reader of protocol buffers refuses unknown ones",
            message.name
        ),
        "remove it, or correct its name",
    );
}

fn check_kind(report: &mut Report, node: &Node<'_>, kind: &'static Kind) {
    match kind {
        Text if !node.value.is_string() => wrong_type(report, node, "a text"),
        Choice if !(node.value.is_string() || node.value.is_u64()) => {
            wrong_type(report, node, "a name");
        }
        Text | Choice => {}
        Bytes => check_bytes(report, node),
        Number => check_number(report, node),
        Time => check_time(report, node),
        One(message) => check(report, node, message),
        Many(message) => match node.value.is_array() {
            true => {
                for item in node.elements() {
                    check(report, &item, message);
                }
            }
            false => wrong_type(report, node, "a list"),
        },
        ManyBytes => match node.value.is_array() {
            true => {
                for item in node.elements() {
                    check_bytes(report, &item);
                }
            }
            false => wrong_type(report, node, "a list"),
        },
    }
}

fn wrong_type(report: &mut Report, node: &Node<'_>, wanted: &str) {
    report.error(
        "wrong-type",
        ALL,
        &node.place,
        format_args!("{wanted} is expected here"),
        "write the document again with the tool that made it",
    );
}

fn check_bytes(report: &mut Report, node: &Node<'_>) {
    let Some(text) = node.value.as_str() else {
        return wrong_type(report, node, "base64");
    };
    if STANDARD.decode(text).is_ok() {
        return;
    }
    let remedy =
        "encode the bytes in standard base64 (RFC 4648 section 4) with its padding, in one line";
    if text.contains(char::is_whitespace) {
        let what = "the base64 has white space in it: some readers pass over it, others refuse it";
        report.error("base64-white-space", PYTHON, &node.place, what, remedy);
    } else if node::base64(text).is_none() {
        let what =
            "this is not base64. sigstore-js silently reads other bytes, the others refuse it";
        report.error("base64-invalid", ALL, &node.place, what, remedy);
    } else if text.contains(['-', '_']) {
        let what =
            "this is base64 in the alphabet for URLs (- and _): Python leaves those characters out";
        report.error("base64-url-alphabet", PYTHON, &node.place, what, remedy);
    } else {
        let what = "the base64 lacks its padding (=), which Python refuses";
        report.error("base64-no-padding", PYTHON, &node.place, what, remedy);
    }
}

fn check_number(report: &mut Report, node: &Node<'_>) {
    let is_whole = match node.value {
        Value::String(text) => text.parse::<i64>().is_ok(),
        other => other.is_i64(),
    };
    if !is_whole {
        let what = "a whole number below 2^63 is expected here";
        let remedy = "write it as decimal digits, in quotes";
        report.error("number-format", ALL, &node.place, what, remedy);
    }
}

fn check_time(report: &mut Report, node: &Node<'_>) {
    let time = node.value.as_str().and_then(node::unix_time);
    if time.is_none() {
        let what = "a time in RFC 3339 is expected here";
        let remedy = "write it like 2026-01-31T00:00:00Z";
        report.error("time-format", ALL, &node.place, what, remedy);
    }
}

/// Returns a name in snake case as ProtoJSON writes it.
fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut is_after_underscore = false;
    for letter in name.chars() {
        match letter {
            '_' => is_after_underscore = true,
            _ if is_after_underscore => {
                camel.extend(letter.to_uppercase());
                is_after_underscore = false;
            }
            _ => camel.push(letter),
        }
    }
    camel
}
