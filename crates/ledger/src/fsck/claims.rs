//! Table `claim`: what entries claim, and nothing else.

use std::collections::BTreeSet;

use super::Check;
use crate::store::{AuditEntry, NameKey, StoreError};
use crate::writing::contradiction::{CONTRADICTS_KEY, is_mark};

impl Check<'_> {
    /// Compares the claims of some entries with their index keys, both ways: a claim has its name and
    /// its value among them, and a name among them is claimed, by its entry or an earlier one.
    pub(super) async fn claims(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        let ledger = self.tree.name.clone();
        let mut wanted: Vec<(u64, [u8; 16], String)> = Vec::new();
        for entry in entries {
            let at = entry.leaf_index.0;
            self.expected.claims += entry.claims.len() as u64;
            for claim in &entry.claims {
                if let Some(fault) = claim.fault(&ledger, &entry.index_keys) {
                    let name = claim.name.escape_debug();
                    self.report.add(format!(
                        "table claim: the row of leaf index {at} and {name} {fault}"
                    ));
                }
            }
            let derived = (self.derive_names)(&entry.index_keys).into_iter();
            // A mark says that an earlier entry claimed the name.
            let marks = entry.index_keys.iter().filter(|key| is_mark(key));
            let marked = marks.map(|key| key[CONTRADICTS_KEY.len()..].to_owned());
            for name in derived.chain(marked) {
                wanted.push((at, NameKey::of(&ledger, &name).hash, name));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let hashes: BTreeSet<[u8; 16]> = wanted.iter().map(|(_, hash, _)| *hash).collect();
        let hashes: Vec<[u8; 16]> = hashes.into_iter().collect();
        let claimed: BTreeSet<[u8; 16]> = self
            .store
            .audit_claimed(&hashes)
            .await?
            .into_iter()
            .collect();
        for (at, _, name) in wanted.iter().filter(|(_, hash, _)| !claimed.contains(hash)) {
            let name = name.escape_debug();
            self.report.add(format!(
                "table claim: no row for {name}, which leaf index {at} names"
            ));
        }
        Ok(())
    }
}
