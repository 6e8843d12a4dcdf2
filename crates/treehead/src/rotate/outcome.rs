//! The report of a rotation.

use ledger::store::{HeadRow, TreeRow};

use super::flags::RotateFlags;
use super::target::Target;
use crate::banner::print;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::key_files;

/// Prints which tree was frozen and which one is active now.
pub(crate) fn report(
    target: &Target<'_>,
    frozen: &TreeRow,
    final_head: &HeadRow,
    next: &TreeRow,
) -> Outcome<()> {
    let HeadRow { size, root, .. } = final_head;
    let TreeRow {
        tree_id,
        origin,
        first_log_index,
        ..
    } = next;
    print(format_args!(
        "rotated the {} log of {}:",
        target.api, next.name
    ))?;
    print(format_args!(
        "  frozen  tree {}, {size} entries, root {root}",
        frozen.tree_id
    ))?;
    let log_id = key_files::log_id(next).map(|log_id| log_id.to_string());
    print(format_args!(
        "  active  tree {tree_id}, log ID {}, origin {origin}, first log index {first_log_index}",
        log_id.unwrap_or_default(),
    ))
}

/// Returns the failure of a run that reported an earlier rotation: scripts must not take it for a
/// run that rotated the log.
pub(crate) fn only_reported(flags: &RotateFlags) -> Failure {
    let origin = flags.origin.as_ref();
    let unused = origin.map(|origin| format!("; --origin {origin} is not used"));
    Failure::new(
        FailureKind::NotRotated,
        format_args!(
            "this run rotated nothing: it reported an earlier rotation{}. To rotate once more, run \
             it again",
            unused.unwrap_or_default()
        ),
    )
}
