use proptest::prelude::*;
use tlog::{
    Checkpoint, CheckpointError, Hash, LeafIndex, NoteError, TlogProof, TlogProofError, TreeSize,
    leaf_hash, node_hash,
};

use crate::keys::{ed25519, note_key, rng};

const ORIGIN: &str = "log.example/trees/7";

/// A proof of the second leaf of two.
fn proof(extra: Option<Vec<u8>>) -> TlogProof {
    let (first, second) = (leaf_hash(b"first"), leaf_hash(b"second"));
    let head = Checkpoint::new(ORIGIN, TreeSize(2), node_hash(&first, &second));
    TlogProof {
        extra,
        index: LeafIndex(1),
        hashes: vec![first],
        checkpoint: head.sign(ORIGIN, &ed25519(), &rng()).expect("signed"),
    }
}

#[test]
fn a_proof_is_written_as_the_specification_says_and_verifies() {
    let text = proof(Some(b"extra".to_vec())).to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..3],
        ["c2sp.org/tlog-proof@v1", "extra ZXh0cmE=", "index 1"]
    );
    assert_eq!((lines[4], lines[5]), ("", ORIGIN));
    let read: TlogProof = text.parse().expect("its own text");
    let keys = [note_key(ORIGIN, &ed25519())];
    let head = read.verify(&leaf_hash(b"second"), ORIGIN, &keys);
    assert_eq!(head.expect("verified").size, TreeSize(2));
    for refused in [
        read.verify(&leaf_hash(b"first"), ORIGIN, &keys),
        read.verify(&leaf_hash(b"second"), "log.example", &keys),
        read.verify(&leaf_hash(b"second"), ORIGIN, &[note_key("a", &ed25519())]),
    ] {
        assert!(refused.is_err());
    }
    let other_index = TlogProof {
        index: LeafIndex(0),
        ..read
    };
    assert!(
        other_index
            .verify(&leaf_hash(b"second"), ORIGIN, &keys)
            .is_err()
    );
}

#[test]
fn a_signature_that_does_not_verify_fails_the_proof() {
    let good = proof(None);
    let checkpoint = good.checkpoint.replacen("\n2\n", "\n3\n", 1);
    let bad = TlogProof { checkpoint, ..good };
    let keys = [note_key(ORIGIN, &ed25519())];
    assert_eq!(
        bad.verify(&leaf_hash(b"second"), ORIGIN, &keys),
        Err(TlogProofError::Checkpoint(CheckpointError::Note(
            NoteError::BadSignature
        )))
    );
}

#[test]
fn every_other_form_is_refused() {
    let good = proof(Some(b"extra".to_vec())).to_string();
    for (from, to) in [
        ("tlog-proof@v1", "tlog-proof@v2"),
        ("c2sp.org/tlog-proof@v1\n", ""),
        ("tlog-proof@v1\n", "tlog-proof@v1\r\n"),
        ("ZXh0cmE=", "ZXh0cmE"),
        ("extra ", "Extra "),
        ("index 1", "index 01"),
        ("index 1", "index +1"),
        ("index 1\n", ""),
        ("index 1\n", "index 1\nindex 1\n"),
        ("index 1\n", "index 1\nAAAA\n"),
        ("\n\n", "\n"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from:?}");
        assert!(bad.parse::<TlogProof>().is_err(), "{bad}");
    }
    let line = format!("{}\n", good.lines().nth(3).expect("a hash"));
    let long = good.replacen(&line, &line.repeat(64), 1);
    assert!(long.parse::<TlogProof>().is_err());
}

proptest! {
    #[test]
    fn reads_what_it_writes(
        extra: Option<Vec<u8>>, index in 0..u64::MAX / 2, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..63),
    ) {
        let hashes = hashes.into_iter().map(Hash).collect();
        let written = TlogProof { index: LeafIndex(index), hashes, ..proof(extra) };
        prop_assert_eq!(written.to_string().parse(), Ok(written));
    }

    #[test]
    fn reads_only_what_it_writes(text in "c2sp.org/tlog-proof@v1\n(extra [A-Za-z=]{0,4}\n)?index [0-9]{1,3}\n{1,2}(a\n)?") {
        if let Ok(read) = text.parse::<TlogProof>() {
            prop_assert_eq!(read.to_string(), text);
        }
    }
}
