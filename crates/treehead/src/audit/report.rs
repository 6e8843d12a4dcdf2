//! The report of an audit, as a file and as text.

use std::fs;
use std::path::Path;

use client::SignedHead;
use serde_json::{Value, json};

use super::ask::{Asked, Outcomes};
use crate::check::describe::head_json;
use crate::check::show::{Style, Text};
use crate::failure::{Explain, FailureKind, Outcome};

/// Differences that the text names; the file has more.
const SHOWN: usize = 10;

/// All that an audit found.
pub(super) struct Report<'a> {
    pub(super) url: &'a str,
    pub(super) key_text: Option<&'a str>,
    /// The head of each tree, oldest first.
    pub(super) heads: &'a [SignedHead],
    pub(super) asked: &'a Asked,
    /// Pairs of a key and an entry that were derived.
    pub(super) derived: u64,
    pub(super) outcomes: &'a Outcomes,
    /// Unix seconds.
    pub(super) began: i64,
    pub(super) ended: i64,
}

impl Report<'_> {
    pub(super) fn differs(&self) -> bool {
        self.outcomes.missing_count + self.outcomes.surplus_count > 0
    }

    pub(super) fn json(&self) -> Value {
        let trees = self
            .heads
            .iter()
            .zip(&self.asked.trees)
            .map(|(head, tree)| {
                json!({
                    "id": tree.id.get(),
                    "head": head_json(head),
                    "partlyDerived": tree.entries.partly,
                    "unreadable": tree.entries.unreadable,
                })
            });
        let outcomes = self.outcomes;
        json!({
            "url": self.url,
            "api": self.asked.api,
            "keyText": self.key_text,
            "began": self.began,
            "ended": self.ended,
            "trees": trees.collect::<Vec<_>>(),
            "derived": self.derived,
            "keys": outcomes.keys,
            "skippedKeys": outcomes.skipped,
            "beyondLeaves": outcomes.beyond,
            "missingCount": outcomes.missing_count,
            "missing": outcomes.missing,
            "surplusCount": outcomes.surplus_count,
            "surplus": outcomes.surplus,
        })
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Path) -> Outcome<()> {
        let written = fs::write(path, format!("{:#}\n", self.json()));
        written.explain(FailureKind::Other, path.display())
    }

    pub(super) fn text(&self, path: &Path) -> Text {
        let mut text = Text::default();
        let outcomes = self.outcomes;
        match self.differs() {
            true => text.item(Style::Bad, "differs", self.url),
            false => text.item(Style::Good, "complete", self.url),
        }
        for (head, tree) in self.heads.iter().zip(&self.asked.trees) {
            text.fact(
                "tree",
                format_args!("{}, size {}", head.origin(), head.size()),
            );
            let (partly, unreadable) = (tree.entries.partly, tree.entries.unreadable);
            if partly > 0 {
                let what = "entries with keys of statements, which the log does not hold";
                text.fact("partly", format_args!("{partly} {what}"));
            }
            if unreadable > 0 {
                text.fact("unreadable", format_args!("{unreadable} entries"));
            }
        }
        text.fact("keys", outcomes.keys);
        if outcomes.skipped > 0 {
            let what = "keys that the search of this log does not take";
            text.fact("not asked", format_args!("{} {what}", outcomes.skipped));
        }
        text.fact(
            "expected",
            format_args!("{} entries under them", self.derived),
        );
        text.fact("missing", outcomes.missing_count);
        text.fact("surplus", outcomes.surplus_count);
        let missing = outcomes.missing.iter().map(|one| ("missing", one));
        let surplus = outcomes.surplus.iter().map(|one| ("surplus", one));
        for (what, difference) in missing.take(SHOWN).chain(surplus.take(SHOWN)) {
            text.item(Style::Bad, what, difference);
        }
        text.fact("report", path.display());
        text
    }
}
