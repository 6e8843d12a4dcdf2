//! Hides what two logs cannot have in common. Works on the text, so that order of members, white
//! space and the final newline are compared as well.

use crate::case::TREE_HEX;

/// How much is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    /// What follows from keys, tree IDs and time.
    Keys,
    /// Also what follows from the leaves before.
    Tree,
}

const KEYS: [&str; 6] = [
    "checkpoint",
    "integratedTime",
    "logID",
    "signedEntryTimestamp",
    "signedTreeHead",
    "treeID",
];
const TREE: [&str; 4] = ["hashes", "logIndex", "rootHash", "treeSize"];

/// Digits of an entry ID.
const ID_DIGITS: usize = 80;

impl Mask {
    /// The text with what is hidden replaced by stars.
    pub(crate) fn apply(self, text: &str, our_tree: &str) -> String {
        let mut masked = hide_pem(&hide_trees(text, our_tree));
        for name in KEYS
            .iter()
            .chain(TREE.iter().filter(|_| self == Self::Tree))
        {
            masked = hide_member(&masked, name);
        }
        hide_observable(&masked)
    }
}

/// The value of each member of this name: a number, a text, or a list of texts (of which it stays
/// visible whether it is empty).
fn hide_member(text: &str, name: &str) -> String {
    let needle = format!("\"{name}\":");
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(&needle) {
        let (before, after) = rest.split_at(at + needle.len());
        masked.push_str(before);
        let end = value_end(after);
        masked.push_str(if after.starts_with("[]") { "[]" } else { "*" });
        rest = &after[end..];
    }
    masked + rest
}

fn value_end(text: &str) -> usize {
    match text.as_bytes().first() {
        Some(b'"') => text[1..].find('"').map_or(text.len(), |end| end + 2),
        Some(b'[') => text.find(']').map_or(text.len(), |end| end + 1),
        _ => text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    }
}

/// The tree in entry IDs of either log.
fn hide_trees(text: &str, our_tree: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest
        .find(our_tree)
        .into_iter()
        .chain(rest.find(TREE_HEX))
        .min()
    {
        let (before, after) = rest.split_at(at);
        let digits = after
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(after.len());
        masked.push_str(before);
        masked.push_str(if digits == ID_DIGITS {
            "****************"
        } else {
            &after[..TREE_HEX.len()]
        });
        rest = &after[TREE_HEX.len()..];
    }
    masked + rest
}

/// The key in a PEM text: its length stays visible.
fn hide_pem(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
    let (Some(begin), Some(end)) = (text.find(BEGIN), text.find("-----END PUBLIC KEY-----")) else {
        return text.to_owned();
    };
    let begin = begin + BEGIN.len();
    // Line ends, escaped or not, stay.
    let key = text[begin..end].split("\\n").map(|line| {
        line.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "+/=".contains(c) {
                    '*'
                } else {
                    c
                }
            })
            .collect::<String>()
    });
    format!(
        "{}{}{}",
        &text[..begin],
        key.collect::<Vec<_>>().join("\\n"),
        &text[end..]
    )
}

/// The size in Rekor's message about a size that is too large.
fn hide_observable(text: &str) -> String {
    const BEFORE: &str = "currently observable(";
    match text.split_once(BEFORE) {
        Some((before, after)) => format!(
            "{before}{BEFORE}*{}",
            after.trim_start_matches(|c: char| c.is_ascii_digit())
        ),
        None => text.to_owned(),
    }
}

#[test]
fn hides_no_more_than_it_should() {
    let id = format!("{TREE_HEX}{}", "a".repeat(64));
    let text = format!(
        r#"{{"{id}":{{"body":"x","logIndex":7,"hashes":["ab","cd"],"logID":"ef"}},"other":"{TREE_HEX}"}}"#
    );
    let hidden_id = format!("****************{}", "a".repeat(64));
    assert_eq!(
        Mask::Tree.apply(&text, "0000000000000001"),
        format!(
            r#"{{"{hidden_id}":{{"body":"x","logIndex":*,"hashes":*,"logID":*}},"other":"{TREE_HEX}"}}"#
        )
    );
    assert_eq!(
        Mask::Keys.apply(&text, "0000000000000001"),
        format!(
            r#"{{"{hidden_id}":{{"body":"x","logIndex":7,"hashes":["ab","cd"],"logID":*}},"other":"{TREE_HEX}"}}"#
        )
    );
    assert_eq!(
        Mask::Tree.apply(r#"{"hashes":[],"x":1}"#, "0000000000000001"),
        r#"{"hashes":[],"x":1}"#
    );
}
