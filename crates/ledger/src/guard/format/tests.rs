use proptest::prelude::*;
use tlog::leaf_hash;

use super::*;
use crate::guard::samples::{guarded_head, two_logs};

#[test]
fn heads_come_back_as_they_were() {
    for sizes in [(0, 0), (1, 255), (256, 257), (1000, 65_536)] {
        let heads = two_logs(sizes.0, sizes.1);
        assert_eq!(GuardedHeads::decode(&heads.encode()), Ok(heads));
    }
    let nothing = GuardedHeads {
        ledger: "log.example.org".into(),
        heads: Vec::new(),
    };
    assert_eq!(GuardedHeads::decode(&nothing.encode()), Ok(nothing));
    let mut unpublished = two_logs(0, 3);
    unpublished.heads[0].texts = None;
    assert_eq!(GuardedHeads::decode(&unpublished.encode()), Ok(unpublished));
}

#[test]
fn every_flipped_byte_and_every_cut_is_refused() {
    let bytes = two_logs(3, 258).encode();
    for at in 0..bytes.len() {
        let cut = GuardedHeads::decode(&bytes[..at]);
        assert!(cut.is_err(), "cut at {at}");
        for bit in [0x01, 0x20, 0xff] {
            let mut flipped = bytes.clone();
            flipped[at] ^= bit;
            assert!(GuardedHeads::decode(&flipped).is_err(), "byte {at} ^ {bit}");
        }
    }
    let longer = [bytes.as_slice(), b"\n"].concat();
    assert!(GuardedHeads::decode(&longer).is_err());
}

/// A checksum can be made by anybody. Behind it the right edge must still reproduce the root that
/// is signed.
#[test]
fn a_changed_byte_with_a_right_checksum_never_parts_edge_and_checkpoint() {
    let heads = two_logs(3, 258);
    let bytes = heads.encode();
    let end = bytes.len() - CHECKSUM_BYTES;
    for at in 0..end {
        let mut changed = bytes[..end].to_vec();
        changed[at] ^= 0x01;
        let Ok(read) = GuardedHeads::decode(&with_checksum(changed)) else {
            continue;
        };
        for head in &read.heads {
            let stated = head.texts.iter().flat_map(GuardedTexts::all);
            for text in stated {
                assert_eq!(stated_head(text), Some((head.size(), head.root())));
            }
        }
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let of = |heads| GuardedHeads {
        ledger: "log.example.org".into(),
        heads,
    };
    let many = (0..=MAX_HEADS).map(|n| guarded_head(&format!("v{n}"), 1));
    let many = of(many.collect());
    assert_eq!(
        GuardedHeads::decode(&many.encode()),
        Err(GuardFault::TooLarge)
    );
    let mut long = guarded_head("v2", 1);
    long.texts = Some(GuardedTexts {
        checkpoint: "x".repeat(MAX_TEXT_BYTES + 1),
        rekor_checkpoint: None,
    });
    let long = of(vec![long]);
    assert_eq!(
        GuardedHeads::decode(&long.encode()),
        Err(GuardFault::TooLarge)
    );
    let huge = vec![b'x'; MAX_GUARD_BYTES + 1];
    assert_eq!(GuardedHeads::decode(&huge), Err(GuardFault::TooLarge));
}

#[test]
fn the_largest_tree_fits() {
    let shape = Edge::shape(MAX_TREE_SIZE);
    let levels = shape
        .iter()
        .map(|(_, width)| vec![leaf_hash(b"leaf"); *width])
        .collect();
    let edge = Edge::new(MAX_TREE_SIZE, levels).unwrap();
    let largest = |n: usize| GuardedHead {
        edge: edge.clone(),
        ..crate::guard::samples::head_of(&format!("v{n}"), &edge)
    };
    let heads = GuardedHeads {
        ledger: "x".repeat(253),
        heads: (0..MAX_HEADS).map(largest).collect(),
    };
    let bytes = heads.encode();
    assert!(bytes.len() <= MAX_GUARD_BYTES);
    assert_eq!(GuardedHeads::decode(&bytes), Ok(heads));
}

#[test]
fn a_number_has_one_form_and_a_log_one_head() {
    let good = two_logs(3, 5).encode();
    let good = &good[..good.len() - CHECKSUM_BYTES];
    for (from, to) in [
        ("tree 7\n", "tree 07\n"),
        ("tree 7\n", "tree +7\n"),
        ("tree 7\n", "tree  7\n"),
        ("size 3\n", "size 9223372036854775808\n"),
        ("log v2\n", "log v1\n"),
        ("logs 2\n", "logs 1\n"),
        ("logs 2\n", "logs 3\n"),
        ("guard 1\n", "guard 2\n"),
    ] {
        let changed = replaced(good, from.as_bytes(), to.as_bytes());
        assert!(
            GuardedHeads::decode(&with_checksum(changed)).is_err(),
            "{to:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_heads_come_back(
        sizes in prop::collection::vec(0_usize..3000, 0..=3),
        ledger in "[a-z0-9.-]{1,253}",
        first in any::<u64>(),
        time in any::<i64>(),
    ) {
        let heads = sizes.iter().enumerate().map(|(n, size)| GuardedHead {
            first_log_index: first,
            time,
            ..guarded_head(&format!("v{n}"), *size)
        });
        let heads = GuardedHeads { ledger, heads: heads.collect() };
        prop_assert_eq!(GuardedHeads::decode(&heads.encode()), Ok(heads));
    }

    #[test]
    fn any_bytes_are_refused_or_encode_to_themselves(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        at in any::<prop::sample::Index>(),
    ) {
        let good = two_logs(2, 1).encode();
        let end = good.len() - CHECKSUM_BYTES;
        let mut mixed = good[..at.index(end)].to_vec();
        mixed.extend(&bytes);
        let mixed = with_checksum(mixed);
        if let Ok(heads) = GuardedHeads::decode(&mixed) {
            prop_assert_eq!(heads.encode(), mixed);
        }
    }
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = sha256(&bytes);
    line(&mut bytes, "sha256", checksum);
    bytes
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|part| part == from);
    let at = at.unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}
