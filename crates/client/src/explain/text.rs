//! Texts of C2SP: verifier keys and proofs.

use tlog::{NoteKey, TlogProof};

use super::checkpoint;
use super::report::{Report, list};

/// First words of a proof.
pub(super) const PROOF: &str = "c2sp.org/tlog-proof@";
/// Most lines that are looked at.
const MAX_LINES: usize = 1_000;

/// Returns whether a text has vkeys, one a line.
pub(super) fn has_vkeys(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| is_content(line));
    lines
        .next()
        .is_some_and(|line| line.splitn(3, '+').count() == 3 && !line.contains(char::is_whitespace))
}

fn is_content(line: &str) -> bool {
    !line.trim().is_empty() && !line.trim_start().starts_with('#')
}

/// Explains vkeys.
pub(super) fn explain_vkeys(report: &mut Report, text: &str) {
    report.what = "C2SP verifier keys (vkeys)".to_owned();
    for (number, line) in (1..).zip(text.lines().take(MAX_LINES)) {
        if !is_content(line) {
            continue;
        }
        let place = format!("line {number}");
        match line.trim().parse::<NoteKey>() {
            Ok(key) => {
                report.fact(
                    &place,
                    format_args!("{}, key hint {}", key.name(), hex::encode(key.key_id())),
                );
                report.fact(format_args!("{place} as v2 log ID"), key.key_hash());
            }
            Err(error) => {
                let what = format_args!(
                    "{error}: name, key ID and key do not belong together, or it is a key of \
                        another type"
                );
                let remedy = "copy the line again from the log's operator (treehead: \
                    /trust/checkpoint.vkey); the three parts are joined by +";
                report.error("vkey-invalid", &[], place, what, remedy);
            }
        }
    }
}

/// Explains a proof.
pub(super) fn explain_proof(report: &mut Report, text: &str) {
    report.what = "C2SP tlog-proof".to_owned();
    match text.parse::<TlogProof>() {
        Ok(proof) => {
            checkpoint::explain(report, &proof.checkpoint);
            report.what = format!("C2SP tlog-proof over a {}", report.what);
            report.fact("leaf index", proof.index);
            report.fact("proof", format_args!("{} hashes", proof.hashes.len()));
            report.fact(
                "first hashes",
                list(proof.hashes.get(..2).unwrap_or(&proof.hashes)),
            );
            let what = "to check it: treehead verify --tlog-proof FILE --leaf LEAF --trust VKEYS";
            report.note("tlog-proof-check", &[], "", what);
        }
        Err(error) => {
            let remedy = "fetch it again: GET /trees/TREE-ID/entries/INDEX/tlog-proof of a \
                treehead, or treehead proof --tlog-proof FILE";
            report.error("tlog-proof-malformed", &[], "", error, remedy);
        }
    }
}
