//! The checks of evidence.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tlog::{Hash, LeafIndex, TileId, TileTree};

use super::{Claim, EvidenceError, Finding, Prefix, Tile, Weight};
use crate::error::VerifyError;
use crate::head::SignedHead;
use crate::kept;
use crate::key::LogKey;
use crate::proof::{Consistency, Inclusion};
use crate::verified_tiles::VerifiedTiles;
use crate::{tiles, v1};

type Result<T> = std::result::Result<T, EvidenceError>;

pub(super) fn check(keys: &[LogKey], claim: &Claim) -> Result<Finding> {
    let open = |note: &str| SignedHead::open(keys, note);
    match claim {
        Claim::Fork {
            seen,
            now,
            prefix,
            offered,
            ..
        } => fork(open(seen)?, open(now)?, prefix.as_ref(), offered.as_deref()),
        Claim::WentBack { seen, now, .. } => went_back(open(seen)?, open(now)?),
        Claim::LostTree { seen, now } => lost_tree(open(seen)?, open(now)?),
        Claim::Stale { head, why, .. } => {
            let head = open(head)?;
            let (origin, size) = (head.origin(), head.size());
            let text = format!("the newest head of {origin} that was seen has size {size}: {why}");
            Ok(reported(text, vec![head]))
        }
        Claim::BadAnswer { url, answer, why } => bad_answer(keys, url, answer, why),
        Claim::BadEntry {
            head,
            leaf_index,
            leaf_hash,
            hashes,
            served,
        } => {
            let hashes = hashes.iter().map(|text| hash(text));
            let hashes: Vec<_> = hashes.collect::<Result<_>>()?;
            let index = LeafIndex(*leaf_index);
            let proof = Inclusion::verify(hash(leaf_hash)?, index, hashes, open(head)?)?;
            bad_entry(proof, served.as_deref())
        }
        Claim::BadTile { head, tiles } => bad_tile(open(head)?, tiles),
    }
}

fn fork(
    seen: SignedHead,
    now: SignedHead,
    prefix: Option<&Prefix>,
    offered: Option<&[String]>,
) -> Result<Finding> {
    same_tree(&seen, &now)?;
    let (first, second) = match seen.size() <= now.size() {
        true => (&seen, &now),
        false => (&now, &seen),
    };
    let (origin, size) = (first.origin().to_owned(), first.size());
    if first.size() == second.size() {
        if first.root() == second.root() {
            return Err(refuted("both are the same head"));
        }
        let text = format!("{origin} forked: the log signed two roots of size {size}");
        return Ok(proved(text, vec![seen, now]));
    }
    if let Some(Prefix { first_root, hashes }) = prefix {
        let hashes = hashes.iter().map(|text| hash(text));
        let hashes: Vec<_> = hashes.collect::<Result<_>>()?;
        let proof = Consistency::verify(size, hash(first_root)?, hashes, second.clone())?;
        if proof.first_root == *first.root() {
            return Err(refuted("the larger head continues the smaller one"));
        }
        let (root, other) = (first.root(), proof.first_root);
        let text = format!(
            "{origin} forked: the log signed root {root} of size {size}, and its head of size {} begins with a tree \
             of root {other}",
            second.size()
        );
        return Ok(proved(text, vec![seen, now]));
    }
    let hashes = offered.unwrap_or_default().iter().map(|text| hash(text));
    let hashes: Vec<_> = hashes.collect::<Result<_>>()?;
    if Consistency::verify(size, *first.root(), hashes, second.clone()).is_ok() {
        return Err(refuted("the larger head continues the smaller one"));
    }
    let text = format!(
        "the log signed heads of {origin} of size {size} and {}, and offered a proof that does not lead from one to \
         the other",
        second.size()
    );
    Ok(reported(text, vec![seen, now]))
}

fn went_back(seen: SignedHead, now: SignedHead) -> Result<Finding> {
    same_tree(&seen, &now)?;
    if now.size() >= seen.size() {
        return Err(refuted("the tree did not become smaller"));
    }
    let text = format!(
        "the log signed a head of {} of size {}, and then showed size {} without a proof up to the larger one",
        seen.origin(),
        seen.size(),
        now.size()
    );
    Ok(reported(text, vec![seen, now]))
}

fn lost_tree(seen: SignedHead, now: SignedHead) -> Result<Finding> {
    if seen.origin() == now.origin() {
        return Err(refuted("both heads are of the same tree"));
    }
    let text = format!(
        "the log signed a head of {} of size {}, and no longer lists that tree",
        seen.origin(),
        seen.size()
    );
    Ok(reported(text, vec![seen, now]))
}

/// An answer that verifies in any form is no fault of the log.
fn bad_answer(keys: &[LogKey], url: &str, answer: &str, why: &str) -> Result<Finding> {
    let answer = STANDARD.decode(answer).map_err(VerifyError::from)?;
    let note = std::str::from_utf8(&answer).ok();
    let is_head = note.is_some_and(|note| SignedHead::open(keys, note).is_ok());
    let are_heads = v1::open_heads(keys, &answer).is_ok();
    let is_entry = kept::open_entry(keys, &answer).is_ok();
    let are_entries = v1::open_entries(keys, &answer).is_ok_and(|entries| !entries.is_empty());
    if is_head || are_heads || is_entry || are_entries {
        return Err(refuted("the answer verifies with these keys"));
    }
    let text = format!("an answer of {url} does not verify: {why}");
    Ok(reported(text, Vec::new()))
}

fn bad_entry(proof: Inclusion, served: Option<&str>) -> Result<Finding> {
    let (index, head) = (proof.leaf_index, proof.head);
    let origin = head.origin();
    let Some(served) = served else {
        let text = format!("{origin} contains an entry {index} that the log's bundle leaves out");
        return Ok(reported(text, vec![head]));
    };
    let served = tlog::leaf_hash(&STANDARD.decode(served).map_err(VerifyError::from)?);
    if served == proof.leaf_hash {
        return Err(refuted("the bytes are those of the entry"));
    }
    let text = format!(
        "entry {index} of {origin} has leaf hash {}, and the log's bundle shows another entry, {served}",
        proof.leaf_hash
    );
    Ok(reported(text, vec![head]))
}

fn bad_tile(head: SignedHead, shown: &[Tile]) -> Result<Finding> {
    let mut edge = HashMap::new();
    let mut way = Vec::new();
    let partial = VerifiedTiles::edge_of(head.size());
    for tile in shown {
        let id = TileId {
            level: tile.level,
            index: tile.index,
        };
        let bytes = STANDARD.decode(&tile.hashes).map_err(VerifyError::from)?;
        let tree = TileTree::new(&tiles::hashes(&bytes)?);
        let tree = tree.map_err(|error| VerifyError::Mismatch(error.to_string()))?;
        match partial.iter().any(|(edge, _)| *edge == id) {
            true => drop(edge.insert(id, Arc::new(tree))),
            false => way.push((id, Arc::new(tree))),
        }
    }
    // Tiles of other widths would be a fault of the file, not of the log.
    let is_whole = |(id, width): &(TileId, usize)| edge.get(id).map(|t| t.width()) == Some(*width);
    if !partial.iter().all(is_whole) {
        return Err(refuted("partial tiles are missing or of another width"));
    }
    let verified = VerifiedTiles::new(head.size(), head.root(), edge);
    let fault = match (verified, way.split_last()) {
        (Err(fault), None) => fault,
        (Err(fault), Some(_)) => return Err(fault.into()),
        (Ok(_), None) => return Err(refuted("the tiles lead to the root of the head")),
        (Ok(mut verified), Some(((id, tile), above))) => {
            for (id, tile) in above {
                verified.add(*id, Arc::clone(tile))?;
            }
            if verified.root_of(*id).is_none() {
                return Err(refuted("the tile above the last one is missing"));
            }
            match verified.add(*id, Arc::clone(tile)) {
                Ok(()) => return Err(refuted("the tiles lead to the root of the head")),
                Err(fault) => fault,
            }
        }
    };
    let text = format!(
        "tiles of {} do not lead to its head: {fault}",
        head.origin()
    );
    Ok(reported(text, vec![head]))
}

/// Checks that two heads are of one tree. Rekor's head of a v1 tree of treehead and its C2SP
/// checkpoint have different origins.
fn same_tree(one: &SignedHead, other: &SignedHead) -> Result<()> {
    match one.is_of_tree_of(other) {
        true => Ok(()),
        false => Err(refuted("the heads are of different trees")),
    }
}

fn hash(text: &str) -> Result<Hash> {
    let mut hash = Hash([0; 32]);
    hex::decode_to_slice(text, &mut hash.0).map_err(VerifyError::from)?;
    Ok(hash)
}

fn refuted(why: &str) -> EvidenceError {
    EvidenceError::Refuted(why.to_owned())
}

fn proved(text: String, heads: Vec<SignedHead>) -> Finding {
    Finding {
        weight: Weight::Proved,
        text,
        heads,
    }
}

fn reported(text: String, heads: Vec<SignedHead>) -> Finding {
    Finding {
        weight: Weight::Reported,
        text,
        heads,
    }
}
