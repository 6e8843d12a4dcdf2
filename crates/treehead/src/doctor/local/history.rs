//! When the ledger was last checked, and what can be known about copies of it.

use std::path::Path;

use client::explain::Report;
use ledger::store::TreeRow;
use ledger::{Clock, SystemClock};

use crate::fsck::LastCheck;

/// Older checks say little about today's disk.
const MANY_DAYS: i64 = 31;
const DAY: i64 = 24 * 60 * 60;

/// Looks at the record of the last `fsck`.
pub(super) fn check(report: &mut Report, folder: &Path, trees: &[TreeRow]) {
    let line = format!("treehead fsck --data-dir {}", folder.display());
    match LastCheck::read(folder) {
        Ok(None) => {
            let what = "`treehead fsck` was never run here, or by an older program: nobody has \
                compared the database with its trees";
            report.warning(
                "fsck-never",
                "",
                what,
                format_args!(
                    "run it at a quiet time, it may \
                run beside the server: {line} (with the settings of the server)"
                ),
            );
        }
        Ok(Some(last)) => {
            let days = (SystemClock.unix_millis().div_euclid(1_000) - last.time) / DAY;
            report.fact("last fsck", &last);
            if last.differences > 0 {
                let what = format!("the last fsck found {} differences", last.differences);
                let remedy = "keep a copy of the database as it is, run fsck again for their \
                    names, and restore a copy in which it finds none";
                report.error("fsck-differences", &[], "", what, remedy);
            } else if days > MANY_DAYS {
                let what = format!("the last fsck was {days} days ago");
                report.warning("fsck-old", "", what, line);
            }
        }
        Err(error) => {
            let what = format!("the record of the last fsck cannot be read: {error}");
            report.warning(
                "fsck-record",
                "",
                what,
                format_args!("run it again: {line}"),
            );
        }
    }
    let entries = trees.len();
    let what = format!(
        "copies are made by other programs, so nothing here says when the last one of these \
            {entries} logs was made. A copy counts once \
         `treehead fsck --data-dir COPY` finds no difference in it"
    );
    report.note("backup-unknown", &[], "", what);
}
