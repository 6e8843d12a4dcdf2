use std::collections::HashMap;
use std::sync::Arc;

use ring::rand::SystemRandom;
use tlog::{Checkpoint, Edge, LeafIndex, SigningKey, TileTree, TreeSize};

use super::*;
use crate::proof::Inclusion;
use crate::verified_tiles::VerifiedTiles;

struct Log {
    key: SigningKey,
    trusted: [LogKey; 1],
}

/// A tree with its head and all its tiles.
struct Tree {
    head: SignedHead,
    tiles: HashMap<TileId, Arc<TileTree>>,
    leaves: Vec<Vec<u8>>,
}

impl Log {
    fn new() -> Self {
        let rng = SystemRandom::new();
        let pkcs8 = SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
        let key = SigningKey::from_pkcs8(&pkcs8, &rng).unwrap();
        let trusted = [LogKey::new(key.verifying_key().clone())];
        Self { key, trusted }
    }

    /// Leaves are numbers; from `forked` on they are others.
    fn tree(&self, size: u32, forked: u32) -> Tree {
        let leaf = |number| match number < forked {
            true => format!("leaf {number}"),
            false => format!("other {number}"),
        };
        let leaves: Vec<_> = (0..size).map(|number| leaf(number).into_bytes()).collect();
        let hashes: Vec<_> = leaves.iter().map(|leaf| tlog::leaf_hash(leaf)).collect();
        let mut edge = Edge::empty();
        let full = edge.append(&hashes);
        let mut tiles: HashMap<_, _> = edge.tiles().into_iter().collect();
        for tile in full {
            tiles.insert(tile.id, Arc::new(TileTree::new(&tile.hashes).unwrap()));
        }
        Tree {
            head: self.sign("log.example", edge.size(), edge.root()),
            tiles,
            leaves,
        }
    }

    fn sign(&self, origin: &str, size: TreeSize, root: Hash) -> SignedHead {
        let rng = SystemRandom::new();
        let note = Checkpoint::new(origin, size, root).sign("log.example", &self.key, &rng);
        SignedHead::open(&self.trusted, &note.unwrap()).unwrap()
    }

    /// Checks evidence after a way through its text, and that strangers' keys show nothing.
    fn check(&self, evidence: &Evidence) -> Result<Finding, EvidenceError> {
        let read = Evidence::read(evidence.to_json().as_bytes()).unwrap();
        assert_eq!(read, *evidence);
        if !matches!(evidence.claim, Claim::BadAnswer { .. }) {
            read.verify(&Self::new().trusted).unwrap_err();
        }
        read.verify(&self.trusted)
    }
}

impl Tree {
    fn edge(&self) -> HashMap<TileId, Arc<TileTree>> {
        let edge = VerifiedTiles::edge_of(self.head.size());
        let tile = |(id, _)| (id, Arc::clone(&self.tiles[&id]));
        edge.into_iter().map(tile).collect()
    }
}

/// The error that a comparison of two heads ends with.
fn error(seen: &Tree, now: &Tree, with_root: bool) -> HistoryError {
    let (first, second) = match seen.head.size() <= now.head.size() {
        true => (seen, now),
        false => (now, seen),
    };
    let sizes = (first.head.size(), second.head.size());
    let hashes = tlog::consistency_proof(sizes.0, sizes.1, &second.tiles).unwrap();
    let root = tlog::root_at(sizes.0, &second.tiles).unwrap();
    HistoryError {
        origin: "log.example".to_owned(),
        first: seen.head.size(),
        first_root: *seen.head.root(),
        second: now.head.size(),
        second_root: *now.head.root(),
        fault: match sizes.0 == sizes.1 {
            true => Fault::TwoRoots,
            false => Fault::NotProved {
                hashes,
                first_root: with_root.then_some(root),
                error: VerifyError::Mismatch("no".into()),
            },
        },
    }
}

#[test]
fn forks_are_proved_by_signatures_alone() {
    let log = Log::new();
    // (seen, now, whether tiles showed the earlier root, what follows)
    for (first, second, with_root, weight) in [
        (300, 300, true, Weight::Proved),
        (300, 700, true, Weight::Proved),
        (300, 700, false, Weight::Proved),
        (700, 300, false, Weight::Proved),
        (256, 700, true, Weight::Proved),
        // The proof from a power of two leaves out the earlier root.
        (256, 700, false, Weight::Reported),
    ] {
        let (seen, now) = (log.tree(first, 700), log.tree(second, 200));
        let error = error(&seen, &now, with_root);
        let evidence = Evidence::of_history("u", 1, &seen.head, &now.head, &error, None);
        let finding = log.check(&evidence).unwrap();
        assert_eq!(finding.weight, weight, "{first} {second}: {finding:?}");
        assert_eq!(finding.heads.len(), 2);

        // An honest log refutes it, whatever is claimed.
        let honest = log.tree(second, 700);
        let fault = self::error(&seen, &honest, with_root);
        let evidence = Evidence::of_history("u", 1, &seen.head, &honest.head, &fault, None);
        let refuted = log.check(&evidence);
        assert!(refuted.is_err(), "{first} {second}: {refuted:?}");
    }
}

#[test]
fn heads_of_different_trees_are_no_fork() {
    let log = Log::new();
    let (one, other) = (tlog::leaf_hash(b"1"), tlog::leaf_hash(b"2"));
    let fork = |origin: &str, other_origin: &str| {
        let seen = log.sign(origin, TreeSize(1), one);
        let now = log.sign(other_origin, TreeSize(1), other);
        let claim = Claim::Fork {
            seen: seen.note.clone(),
            now: now.note.clone(),
            shown_by: None,
            prefix: None,
            offered: None,
        };
        Evidence::new("u", 1, &[&seen, &now], claim)
    };
    log.check(&fork("log.example - 7", "log.example - 7"))
        .unwrap();
    let refuted = log.check(&fork("log.example - 7", "log.example - 8"));
    assert!(matches!(refuted, Err(EvidenceError::Refuted(_))));
}

#[test]
fn what_no_signature_covers_is_reported() {
    let log = Log::new();
    let (seen, now) = (log.tree(700, 700), log.tree(300, 700));
    let error = HistoryError {
        fault: Fault::WentBack,
        ..error(&seen, &now, true)
    };
    let back = Evidence::of_history("u", 1, &seen.head, &now.head, &error, Some("peer"));
    assert_eq!(log.check(&back).unwrap().weight, Weight::Reported);
    let forward = Evidence::of_history("u", 1, &now.head, &seen.head, &error, None);
    log.check(&forward).unwrap_err();
    let stale = Claim::Stale {
        head: seen.head.note.clone(),
        since: 1,
        why: "nothing new".to_owned(),
    };
    let stale = Evidence::new("u", 1, &[&seen.head], stale);
    assert_eq!(log.check(&stale).unwrap().weight, Weight::Reported);
    let answer = |answer: &str| {
        let claim = Claim::BadAnswer {
            url: "u/checkpoint".to_owned(),
            answer: STANDARD.encode(answer),
            why: "wrong".to_owned(),
        };
        Evidence::new("u", 1, &[], claim)
    };
    let wrong = seen.head.note.replace("\n700\n", "\n701\n");
    log.check(&answer(&wrong)).unwrap();
    log.check(&answer(&seen.head.note)).unwrap_err();
}

#[test]
fn an_entry_that_its_tile_contradicts_is_shown() {
    let log = Log::new();
    let tree = log.tree(700, 700);
    let index = LeafIndex(256);
    let hashes = tlog::inclusion_proof(index, tree.head.size(), &tree.tiles).unwrap();
    let leaf_hash = tlog::leaf_hash(&tree.leaves[256]);
    let inclusion = Inclusion::verify(leaf_hash, index, hashes, tree.head.clone()).unwrap();
    let bad = |served: Option<&[u8]>| BadEntry {
        inclusion: inclusion.clone(),
        served: served.map(<[u8]>::to_vec),
    };
    for served in [None, Some(&b"another"[..])] {
        let evidence = Evidence::of_entry("u", 1, &bad(served));
        assert_eq!(log.check(&evidence).unwrap().weight, Weight::Reported);
    }
    let right = Evidence::of_entry("u", 1, &bad(Some(&tree.leaves[256])));
    let refuted = log.check(&right);
    assert!(matches!(refuted, Err(EvidenceError::Refuted(_))));
}

#[test]
fn a_tile_that_does_not_lead_to_the_head_is_shown() {
    let log = Log::new();
    let (tree, other) = (log.tree(700, 700), log.tree(700, 200));
    let hashes = |tree: &Tree, id: TileId| (id, tree.tiles[&id].hashes().collect::<Vec<_>>());
    let edge = |of: &Tree| {
        let mut edge: Vec<_> = tree.edge().into_keys().collect();
        edge.sort_unstable();
        edge.into_iter()
            .map(|id| hashes(of, id))
            .collect::<Vec<_>>()
    };
    let evidence = |tiles| {
        let fault = VerifyError::Mismatch(String::new());
        let bad = BadTile {
            head: tree.head.clone(),
            tiles,
            fault,
        };
        Evidence::of_tile("u", 1, &bad)
    };
    log.check(&evidence(edge(&other))).unwrap();
    log.check(&evidence(edge(&tree))).unwrap_err();
    log.check(&evidence(Vec::new())).unwrap_err();
    let full = TileId { level: 0, index: 1 };
    let with = |of: &Tree| [edge(&tree), vec![hashes(of, full)]].concat();
    log.check(&evidence(with(&other))).unwrap();
    log.check(&evidence(with(&tree))).unwrap_err();
}

#[test]
fn other_files_are_refused() {
    assert!(matches!(Evidence::read(b"{}"), Err(EvidenceError::Json(_))));
    let log = Log::new();
    let head = log.tree(1, 1).head;
    let claim = Claim::LostTree {
        seen: head.note.clone(),
        now: head.note.clone(),
    };
    let evidence = Evidence::new("u", 1, &[&head], claim);
    log.check(&evidence).unwrap_err();
    let later = evidence.to_json().replace(FORMAT, "treehead-evidence/2");
    assert!(matches!(
        Evidence::read(later.as_bytes()),
        Err(EvidenceError::Format(_))
    ));
}
