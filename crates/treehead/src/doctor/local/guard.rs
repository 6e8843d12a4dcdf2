//! The places of the guard, against the heads of the database.

use client::explain::Report;
use ledger::guard::GuardedHead;

use super::store::Found;
use super::words::{GUIDE, name_of};
use crate::config::Config;
use crate::guard::{has_place_outside, show};

/// Reads each place.
pub(super) fn check(report: &mut Report, config: &Config, found: &Found) {
    let places = match show::places(config) {
        Ok(places) => places,
        Err(failure) => {
            report.error("guard-setting", &[], "", failure, "correct --guard");
            return;
        }
    };
    let mut known = 0;
    for (label, heads) in places {
        match heads {
            Ok(Some(guarded)) => {
                let ledger = found.trees.first().map(|tree| tree.name.as_str());
                if ledger != Some(&guarded.ledger) {
                    let what = format!(
                        "the place has heads of another ledger, {:?}",
                        guarded.ledger
                    );
                    report.error(
                        "guard-other-ledger",
                        &[],
                        &label,
                        what,
                        "give each ledger a place of its own",
                    );
                    continue;
                }
                known += guarded.heads.len();
                for head in &guarded.heads {
                    report.fact(format_args!("guard {label}"), show::line_of(head));
                    compare(report, &label, head, found);
                }
            }
            Ok(None) => report.fact(format_args!("guard {label}"), "no heads yet"),
            Err(error) => {
                let what = format!("the place cannot be read: {error}");
                let remedy = format!(
                    "a start would end with 12. Repair it, or remove a damaged file if another \
                        place is whole ({GUIDE}, The guard)"
                );
                report.error("guard-unreadable", &[], label, what, remedy);
            }
        }
    }
    if known == 0 {
        let what = "no place of the guard has a head: after a restart nobody would notice that \
            the database went back";
        let remedy = "start the server once; if it ends with 12, compare the heads with what \
            monitors saw and run `treehead guard accept`";
        report.warning("guard-empty", "", what, remedy);
    }
    let is_sqlite = config.database.is_none() && config.database_file.is_none();
    if is_sqlite && matches!(has_place_outside(config), Ok(false)) {
        let what = "the only guard is in the data folder: if an older copy of that folder is put \
            back, nothing notices it, and the logs fork";
        let remedy = "name a place elsewhere, such as --guard /var/lib/treehead-guard/guard";
        report.warning("guard-inside", "", what, remedy);
    }
}

/// Compares a head of the guard with that of the database.
fn compare(report: &mut Report, label: &str, head: &GuardedHead, found: &Found) {
    let mut trees = found.trees.iter().zip(&found.heads);
    let Some((tree, stored)) = trees.find(|(tree, _)| tree.tree_id == head.tree) else {
        return;
    };
    let stored_size = stored.as_ref().map_or(0, |stored| stored.size.0);
    if head.size().0 > stored_size {
        let what = format!(
            "the guard knows {} entries and the database has {stored_size}: the database went \
                back, or is another one",
            head.size()
        );
        let remedy = format!(
            "stop all servers of the ledger, and bring the database forward: {GUIDE}, A database \
                that went back (`treehead recover`)"
        );
        report.error(
            "database-went-back",
            &[],
            format_args!("{label}: {}", name_of(tree)),
            what,
            remedy,
        );
    } else if let Some(stored) = stored
        && head.size() == stored.size
        && head.root() != stored.root
    {
        let what =
            "guard and database have two roots of one size: this is another history of the log";
        let remedy = format!(
            "stop all servers, and put the right database in its place: {GUIDE}, A database that \
                went back"
        );
        report.error(
            "database-forked",
            &[],
            format_args!("{label}: {}", name_of(tree)),
            what,
            remedy,
        );
    }
}
