//! Words that several parts of a report use.

use ledger::store::TreeRow;

/// Where the sections that are named in remedies stand.
pub(super) const GUIDE: &str = "docs/OPERATING.md";

/// Names a tree and its log.
pub(super) fn name_of(tree: &TreeRow) -> String {
    format!("{} log, tree {}", tree.api, tree.tree_id)
}
