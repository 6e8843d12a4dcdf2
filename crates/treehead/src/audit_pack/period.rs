//! The entries of a period, by the trees that hold them.

use client::Run;

/// The entries of one tree, which are written already.
pub(super) struct Tree {
    pub(super) run: Run,
    /// The log index of the first one.
    pub(super) log_index: u64,
    /// The file with the entries, a line for each.
    pub(super) entries: String,
}

/// The entries of the period, and one on either side of it where there is one.
pub(super) struct Period {
    pub(super) trees: Vec<Tree>,
    /// How many entries belong to the period.
    pub(super) inside: u64,
    pub(super) api: &'static str,
}
