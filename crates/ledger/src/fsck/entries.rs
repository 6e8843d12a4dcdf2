//! The rows of one entry, table by table.

use std::collections::BTreeSet;

use tlog::Hash;

use super::Check;
use crate::api::HeadForm;
use crate::ids::lower_case;
use crate::store::AuditEntry;
use crate::store::hash_rows::prefix;
use crate::writing::contradiction::is_mark;
use crate::{IndexKeyHash, Tree, timestamps};

impl Check<'_> {
    /// Compares tables `entry`, `body`, `leaf` and `attestation`; returns the leaf hash that the
    /// tree is recomputed from.
    pub(super) fn entry(&mut self, entry: &AuditEntry) -> Hash {
        let at = entry.leaf_index;
        let leaf_hash = match &entry.body {
            Some(body) => tlog::leaf_hash(body),
            None => {
                self.report
                    .add(format!("table body: leaf index {at} is missing"));
                entry.leaf_hash
            }
        };
        if leaf_hash != entry.leaf_hash {
            let stored = entry.leaf_hash;
            self.report.add(format!(
                "table entry: leaf index {at} has leaf hash {stored}, its body gives {leaf_hash}"
            ));
        }
        if !entry.has_checksum {
            self.report.add(format!(
                "table entry: the row of leaf index {at} does not have its checksum: time, kind, \
                 leaf_hash, attested or checksum was changed"
            ));
        }
        if entry.leaf_rows.as_slice() != [prefix(&leaf_hash)] {
            self.report.add(format!(
                "table leaf: leaf index {at} is not found under its leaf hash"
            ));
        }
        if entry.time < self.last_time {
            self.report.add(format!(
                "table entry: the time of leaf index {at} is before that of its predecessor"
            ));
        }
        self.last_time = self.last_time.max(entry.time);
        self.attestation(entry);
        leaf_hash
    }

    fn attestation(&mut self, entry: &AuditEntry) {
        let at = entry.leaf_index;
        self.expected.attestations += u64::from(entry.attestation.is_some());
        match &entry.attestation {
            None if !entry.attested => {}
            None => self
                .report
                .add(format!("table attestation: leaf index {at} is missing")),
            Some(_) if !entry.attested => {
                self.report.add(format!(
                    "table attestation: leaf index {at} was stored without one"
                ));
            }
            Some(stored) if stored.is_erased() => self.report.erased_attestations += 1,
            Some(stored) if tlog::sha256(&stored.data) != stored.digest => {
                self.report.add(format!(
                    "table attestation: the digest of leaf index {at} does not fit its data"
                ));
            }
            Some(_) => {}
        }
    }

    /// Compares the key texts with what follows from the body, and table `index_key` with the key
    /// texts.
    pub(super) fn keys(&mut self, entry: &AuditEntry) {
        let at = entry.leaf_index;
        let mut stored: BTreeSet<&str> = entry.index_keys.iter().map(String::as_str).collect();
        let hashes: BTreeSet<IndexKeyHash> =
            stored.iter().map(|key| IndexKeyHash::of(key)).collect();
        self.expected.index_keys += hashes.len() as u64;
        if hashes != entry.index_key_rows.iter().copied().collect() {
            self.report.add(format!(
                "table index_key: the rows of leaf index {at} are not those of its keys"
            ));
        }
        let Some(body) = &entry.body else { return };
        // Marks follow from other entries.
        stored.retain(|key| !is_mark(key));
        match (self.derive_keys)(&entry.kind, body) {
            Ok(None) => {}
            Ok(Some(derived)) => {
                let derived = derived.iter().map(|key| lower_case(key));
                let derived: BTreeSet<String> = derived.filter(|key| !is_mark(key)).collect();
                if derived.iter().map(String::as_str).collect::<BTreeSet<_>>() != stored {
                    self.report.add(format!(
                        "table entry: the index keys of leaf index {at} do not follow from its body"
                    ));
                }
            }
            Err(reason) => {
                self.report.add(format!(
                    "table entry: the kind of leaf index {at} is {:?}, which its body is not: {reason}",
                    entry.kind
                ));
            }
        }
    }

    pub(super) fn timestamp(&mut self, entry: &AuditEntry, tree: &Tree) {
        let Some(signature) = &entry.signed_entry_timestamp else {
            return;
        };
        self.expected.timestamps += 1;
        if !entry.timestamp_has_checksum {
            self.report.add(format!(
                "table signed_entry_timestamp: the row of leaf index {} does not have its checksum",
                entry.leaf_index
            ));
        }
        if tree.api.heads != HeadForm::RekorV1 {
            self.report.add(format!(
                "table signed_entry_timestamp: leaf index {} is in a tree of the API {}, which has \
                 none",
                entry.leaf_index, tree.api
            ));
            return;
        }
        let Some(body) = &entry.body else { return };
        let payload = timestamps::payload(tree, entry.leaf_index, entry.time, body);
        if tree.log_key.verify(payload.as_bytes(), signature).is_err() {
            self.report.add(format!(
                "table signed_entry_timestamp: leaf index {} does not verify",
                entry.leaf_index
            ));
        }
    }
}
