//! Rounds of a source, each checked and committed as its server committed it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tlog::{Edge, Hash, LeafIndex};
use tokio::time::Instant;

use super::error::RecoverError;
use super::page::{CopiedEntry, CopiedRound};
use super::source::SourceError;
use crate::api::HeadForm;
use crate::heads::head::Integrated;
use crate::heads::tile_set::describe;
use crate::ids::lower_case;
use crate::store::{
    Attestation, Claim, ClaimRules, Commit, EntryRow, IndexKeys, NewClaims, Round, Store,
    StoreResult, Taken, TimestampRow, Writer,
};
use crate::timestamps;
use crate::tree::Tree;
use crate::writing::contradiction::{is_mark, shown_name};
use crate::writing::new_entry::NewClaim;

/// What leaf bytes themselves say of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Kind and version tag.
    pub kind: String,
    /// Its index keys, if they follow from the leaf bytes.
    pub index_keys: Option<Vec<String>>,
}

/// Derives kind and index keys from leaf bytes. `None` for bytes of a kind that this release does not
/// know, whose rows are taken as they are.
pub type DeriveEntry<'a> = &'a (dyn Fn(&[u8]) -> Option<Derived> + Sync);

/// The state of one tree while rounds are added to it.
pub(super) struct Replay<'a> {
    store: &'a dyn Store,
    writer: Box<dyn Writer>,
    tree: &'a Tree,
    derive: DeriveEntry<'a>,
    /// How people call the source.
    label: String,
    edge: Edge,
    time: i64,
    /// Clock of the database, which no replayed round is compared with.
    millis: i64,
    /// When that clock was read.
    read_at: Instant,
}

impl<'a> Replay<'a> {
    /// Begins at the newest head of the tree.
    pub(super) async fn new(
        store: &'a dyn Store,
        tree: &'a Tree,
        derive: DeriveEntry<'a>,
        label: String,
        base: &Integrated,
    ) -> StoreResult<Self> {
        let read_at = Instant::now();
        Ok(Self {
            store,
            read_at,
            writer: store.writer().await?,
            tree,
            derive,
            label,
            edge: base.edge.clone(),
            time: base.time,
            millis: store.now_millis().await?,
        })
    }

    /// Checks and commits a round.
    ///
    /// Dies here: the round is stored whole or not at all. The next run continues from there.
    pub(super) async fn add(&mut self, round: CopiedRound) -> Result<(), RecoverError> {
        let (mut round, edge) = self.checked(round)?;
        let mut outcome = self.writer.commit(&round).await?;
        if matches!(outcome, Commit::ClockSkew(_)) {
            // The page took longer than clocks may differ.
            self.read_at = Instant::now();
            self.millis = self.store.now_millis().await?;
            (round.local_millis, round.read_at) = (self.millis, self.read_at);
            outcome = self.writer.commit(&round).await?;
        }
        if outcome != Commit::Done {
            return Err(RecoverError::Overtaken);
        }
        (self.edge, self.time) = (edge, round.head.time);
        Ok(())
    }

    /// Returns the rows of a round, and the right edge after it.
    fn checked(&self, round: CopiedRound) -> Result<(Round, Edge), SourceError> {
        let CopiedRound { head, entries } = round;
        let follows = head.prev_size == self.edge.size()
            && head.size.0 == head.prev_size.0 + entries.len() as u64
            && head.time >= self.time;
        if !follows {
            let found = describe(head.size, &head.root);
            return Err(self.fault(format!(
                "the round of {found} does not follow size {}",
                self.edge.size()
            )));
        }
        let (mut rows, mut signed) = (Vec::with_capacity(entries.len()), Vec::new());
        for (index, mut entry) in (head.prev_size.0..).zip(entries) {
            let index = LeafIndex(index);
            if let Some(signature) = entry.signed_entry_timestamp.take() {
                self.check_timestamp(index, head.time, &entry.body, &signature)?;
                signed.push(TimestampRow {
                    leaf_index: index,
                    signature: signature.into(),
                });
            }
            rows.push(Arc::new(self.row(index, entry)?));
        }
        let leaf_hashes: Vec<Hash> = rows.iter().map(|row| row.leaf_hash).collect();
        let mut edge = self.edge.clone();
        let full_tiles = edge.append(&leaf_hashes);
        if edge.root() != head.root {
            return Err(self.fault(format!(
                "the entries of the round of {} give another root",
                describe(head.size, &head.root)
            )));
        }
        let claimed = (head.prev_size.0..).zip(&rows).flat_map(|(index, row)| {
            let claims = row.claims.iter().cloned();
            claims.map(move |claim| (claim, LeafIndex(index)))
        });
        let claims = NewClaims {
            rows: claimed.collect(),
            taken: Taken::Kept,
        };
        let round = Round {
            tree_id: self.tree.id,
            log_key_spki: self.tree.log_key.spki().to_vec(),
            prev_root: self.edge.root(),
            head,
            entries: rows,
            full_tiles,
            timestamps: signed,
            claims,
            local_millis: self.millis,
            read_at: self.read_at,
        };
        Ok((round, edge))
    }

    fn row(&self, index: LeafIndex, entry: CopiedEntry) -> Result<EntryRow, SourceError> {
        let derived = (self.derive)(&entry.body);
        let (kind, keys) = match derived {
            Some(derived) => (derived.kind, derived.index_keys),
            None => (entry.kind, None),
        };
        // The stored texts in their order, unless the leaf bytes say otherwise.
        let marks = entry.index_keys.iter().filter(|key| is_mark(key));
        let marks: BTreeSet<String> = marks.cloned().collect();
        // Marks follow from other entries.
        let whole = |derived: &Vec<String>| &distinct(derived) | &marks;
        let is_other = |derived: &BTreeSet<String>| *derived != distinct(&entry.index_keys);
        let index_keys = match keys.as_ref().map(whole).filter(is_other) {
            Some(derived) => derived.into_iter().collect(),
            None => entry.index_keys,
        };
        let claims = self.claims(index, entry.claims, &index_keys)?;
        Ok(EntryRow {
            leaf_hash: tlog::leaf_hash(&entry.body),
            kind,
            index_keys: IndexKeys::of(&index_keys),
            attestation: self.attestation(index, entry.attested, entry.attestation)?,
            claims,
            claim_rules: ClaimRules::default(),
            body: entry.body,
        })
    }

    /// Returns the claims of an entry, if they follow from its index keys. A wrong one would decide
    /// for ever on the values of a name.
    fn claims(
        &self,
        index: LeafIndex,
        claims: Vec<NewClaim>,
        index_keys: &[String],
    ) -> Result<Vec<Claim>, SourceError> {
        let ledger = &self.tree.name;
        let claims = claims.into_iter().map(|claim| claim.into_claim(ledger));
        let claims: Vec<Claim> = claims.collect();
        for claim in &claims {
            if let Some(fault) = claim.fault(ledger, index_keys) {
                let name = shown_name(&claim.name);
                return Err(
                    self.fault(format!("the claim of leaf index {index} on {name} {fault}"))
                );
            }
        }
        Ok(claims)
    }

    /// Returns the attestation to store. One that the source has lost is stored as an erased one, so
    /// that the entry still says that it had one.
    fn attestation(
        &self,
        index: LeafIndex,
        attested: bool,
        found: Option<Attestation>,
    ) -> Result<Option<Attestation>, SourceError> {
        match found {
            Some(stored) if !stored.is_erased() && tlog::sha256(&stored.data) != stored.digest => {
                Err(self.fault(format!(
                    "the digest of the attestation of leaf index {index} does not fit its data"
                )))
            }
            None if attested => {
                tracing::warn!(leaf_index = index.0, source = %self.label, "an attestation is missing in the source");
                Ok(Some(Attestation {
                    digest: tlog::sha256(b""),
                    data: Vec::new(),
                }))
            }
            found => Ok(found),
        }
    }

    /// Verifies a signed entry timestamp, and with it the time of its entry.
    fn check_timestamp(
        &self,
        index: LeafIndex,
        time: i64,
        body: &[u8],
        signature: &[u8],
    ) -> Result<(), SourceError> {
        match verifies(self.tree, index, time, body, signature) {
            true => Ok(()),
            false => Err(self.fault(format!(
                "the signed entry timestamp of leaf index {index} does not verify"
            ))),
        }
    }

    fn fault(&self, reason: String) -> SourceError {
        SourceError {
            label: self.label.clone(),
            reason,
        }
    }
}

/// Returns whether a signed entry timestamp is the one of this entry.
pub(super) fn verifies(
    tree: &Tree,
    index: LeafIndex,
    time: i64,
    body: &[u8],
    signature: &[u8],
) -> bool {
    let payload = timestamps::payload(tree, index, time, body);
    tree.api.heads == HeadForm::RekorV1
        && tree.log_key.verify(payload.as_bytes(), signature).is_ok()
}

fn distinct(keys: &[String]) -> BTreeSet<String> {
    keys.iter().map(|key| lower_case(key)).collect()
}
