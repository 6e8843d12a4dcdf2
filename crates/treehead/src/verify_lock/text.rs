//! The report as text: a line for each artefact, and a summary.

use client::lock::Verdict;
use client::lookup::{KeyHit, SearchApi};

use super::known::Shown;
use super::report::{Report, ids, title};
use crate::check::show::{Style, Text};

pub(super) fn text(report: &Report<'_>) -> Text {
    let mut text = Text::default();
    for (artefact, judgement) in report.lines() {
        let title = title(artefact);
        match &judgement.verdict {
            Verdict::Logged(hits) => {
                // Others might be there by the word of the index.
                let is_shown = |hit: &&KeyHit| report.shown(artefact, hit) == Shown::ByEntry;
                let shown: Vec<KeyHit> = hits.iter().filter(is_shown).cloned().collect();
                let signers = report.signers(&shown);
                text.item(Style::Good, "logged", format_args!("{title} by {signers}"));
            }
            Verdict::Indexed(hits) => {
                let signers = report.signers(hits);
                let style = match report.trusts_index {
                    true => Style::Plain,
                    false => Style::Bad,
                };
                let what = format_args!("{title} by {signers}, by the log's index alone");
                text.item(style, "indexed", what);
            }
            Verdict::Absent => text.item(Style::Bad, "absent", &title),
            Verdict::NotCheckable(why) => {
                text.item(Style::Plain, "unchecked", format_args!("{title}: {why}"));
            }
        }
        if !judgement.contradicting.is_empty() {
            let ids = ids(&judgement.contradicting);
            let signers = report.signers(&judgement.contradicting);
            let why = format_args!("{title}: another digest was logged by {signers}, in {ids}");
            text.item(Style::Bad, "contradicted", why);
        }
        if !judgement.beside.is_empty() {
            let (signers, ids) = (report.signers(&judgement.beside), ids(&judgement.beside));
            let (name, version) = (&artefact.name, &artefact.version);
            let what = format_args!(
                "{name} {version}: a digest that is not locked was logged by {signers}, in {ids}"
            );
            text.item(Style::Plain, "note", what);
        }
    }
    summary(&mut text, report);
    text
}

fn summary(text: &mut Text, report: &Report<'_>) {
    let counts = report.counts();
    let total = counts.logged + counts.indexed + counts.absent + counts.not_checkable;
    text.line(format_args!("{} in {}", report.file, report.url));
    text.fact("artefacts", total);
    text.fact("logged", counts.logged);
    text.fact("indexed", counts.indexed);
    text.fact("absent", counts.absent);
    text.fact("contradicted", counts.contradicted);
    text.fact("unchecked", counts.not_checkable);
    if report.search == SearchApi::RekorV1 {
        let why = "other digests of a name: this log cannot be searched by the name of a package";
        text.fact("not asked", why);
    }
    let claims = "who made the certificates of signers: their names are what entries claim";
    text.fact("not checked", claims);
}
