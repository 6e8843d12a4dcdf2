//! The key files, against the keys of the stored logs.

use client::explain::Report;
use ledger::store::TreeRow;

use super::words::name_of;
use crate::config::Config;
use crate::key_files::KeyFiles;

/// Reads the key of each active tree.
pub(super) fn check(report: &mut Report, config: &Config, trees: &[TreeRow]) {
    let files = match KeyFiles::locate(config) {
        Ok(files) => files,
        Err(failure) => return unusable(report, "", failure),
    };
    report.fact("folder of further keys", files.folder().display());
    let found = match files.read_found(trees) {
        Ok(found) => found,
        Err(failure) => return unusable(report, "", failure),
    };
    for tree in trees {
        match files.check_held(tree, &found) {
            Ok(()) => report.fact(
                format_args!("keys of the {}", name_of(tree)),
                "there, and those of the log",
            ),
            Err(failure) => unusable(report, &name_of(tree), failure),
        }
    }
}

fn unusable(report: &mut Report, place: &str, failure: impl std::fmt::Display) {
    let remedy = "the line before says what to do; without the key the log cannot go on. Run this \
        as the user of the server: it must \
                  be able to read the files (docs/KEYS.md)";
    report.error("key-file", &[], place, failure, remedy);
}
