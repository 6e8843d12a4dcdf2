//! Rounds with entries that contradict each other or earlier ones.

use super::*;
use crate::TreeId;
use crate::store::{Claim, ClaimRules};

const REFUSES: ClaimRules = ClaimRules {
    contradictory: OnContradiction::Refused,
    incomparable: OnIncomparable::Accepted,
};

fn claim(name: &str, aspect: i16, value: &str) -> Claim {
    Claim {
        key: NameKey::of("l", name),
        aspect,
        name: name.to_owned(),
        value: value.as_bytes().to_vec(),
    }
}

fn row(body: &str, claim_rules: ClaimRules, claims: &[(&str, i16, &str)]) -> Arc<EntryRow> {
    Arc::new(EntryRow {
        leaf_hash: tlog::leaf_hash(body.as_bytes()),
        kind: "test:1".into(),
        body: body.as_bytes().to_vec(),
        index_keys: IndexKeys::of(&["k"]),
        attestation: None,
        claims: claims
            .iter()
            .map(|(name, aspect, value)| claim(name, *aspect, value))
            .collect(),
        claim_rules,
    })
}

fn stored(name: &str, aspect: i16, value: &str) -> StoredClaim {
    let Claim {
        key, aspect, value, ..
    } = claim(name, aspect, value);
    StoredClaim {
        key,
        aspect,
        value,
        entry: place(7),
    }
}

fn place(index: u64) -> Claimant {
    Claimant {
        tree: TreeId(1),
        leaf_index: LeafIndex(index),
        log_index: 100 + index,
        leaf_hash: tlog::EMPTY_ROOT,
    }
}

/// The leaf index of a row, or the name and the first entry by which it is refused.
type Answer = Result<u64, (String, u64)>;

/// The answers to rows whose leaf indexes begin at 10, and the differences that were tolerated.
fn judged(rows: &[Arc<EntryRow>], stored: &[StoredClaim]) -> (Vec<Answer>, Vec<(Difference, u64)>) {
    let judged = Judged::new(rows, stored, &HashSet::new());
    let outcomes = (10..).zip(judged.rows.iter()).map(|(index, _)| Outcome {
        leaf_index: LeafIndex(index),
        freshness: Freshness::New { time: 1 },
    });
    let outcomes = outcomes.collect();
    let (answers, tolerated) = judged.answers(outcomes, |outcome, _| place(outcome.leaf_index.0));
    let answers = answers.into_iter().map(|answer| match answer {
        Ok(outcome) => Ok(outcome.leaf_index.0),
        Err(NotSequenced::Error(AppendError::Contradiction(found))) => {
            Err((found.name, found.first.leaf_index.0))
        }
        Err(other) => panic!("{other:?}"),
    });
    let tolerated = tolerated
        .iter()
        .map(|found| (found.difference, found.first.leaf_index.0));
    (answers.collect(), tolerated.collect())
}

#[test]
fn a_second_value_is_refused_and_others_of_the_round_are_not() {
    let rows = [
        row("a", REFUSES, &[("p", 1, "x")]),
        row("b", REFUSES, &[("q", 1, "x")]),
        row("c", REFUSES, &[("q", 1, "y")]),
        row("d", REFUSES, &[("r", 1, "x")]),
        row("e", REFUSES, &[("q", 1, "x"), ("p", 1, "z")]),
    ];
    let (answers, tolerated) = judged(&rows, &[stored("p", 1, "z")]);
    let refused = |name: &str, by| Err((name.to_owned(), by));
    assert_eq!(
        answers,
        [refused("p", 7), Ok(10), refused("q", 10), Ok(11), Ok(12)]
    );
    assert!(tolerated.is_empty());
}

#[test]
fn names_that_differ_in_case_are_different_names() {
    let rows = [
        row("a", REFUSES, &[("P", 1, "x")]),
        row("b", REFUSES, &[("p", 1, "z")]),
    ];
    let (answers, _) = judged(&rows, &[stored("p", 1, "z")]);
    assert_eq!(answers, [Ok(10), Ok(11)]);
}

#[test]
fn values_of_other_aspects_are_not_compared_and_refused_only_by_the_rules() {
    let strict = ClaimRules {
        incomparable: OnIncomparable::Refused,
        ..REFUSES
    };
    let known = [stored("p", 1, "z")];
    for (rules, claims, expected, kept) in [
        (
            REFUSES,
            &[("p", 2, "y")][..],
            Ok(10),
            vec![(Difference::OtherAspect, 7)],
        ),
        (
            REFUSES,
            &[("p", NO_VALUE, "")],
            Ok(10),
            vec![(Difference::OtherAspect, 7)],
        ),
        (strict, &[("p", 2, "y")], Err(("p".to_owned(), 7)), vec![]),
        (strict, &[("p", 2, "y"), ("p", 1, "z")], Ok(10), vec![]),
        (strict, &[("p", 1, "z"), ("p", 2, "y")], Ok(10), vec![]),
        (
            REFUSES,
            &[("p", 2, "y"), ("p", 1, "x")],
            Err(("p".to_owned(), 7)),
            vec![],
        ),
        (strict, &[("q", 2, "y")], Ok(10), vec![]),
    ] {
        let (answers, tolerated) = judged(&[row("a", rules, claims)], &known);
        assert_eq!((answers, tolerated), (vec![expected], kept), "{claims:?}");
    }
}

#[test]
fn a_second_value_is_marked_or_ignored_by_the_rules() {
    let marks = ClaimRules {
        contradictory: OnContradiction::Marked,
        ..REFUSES
    };
    let known = [stored("p", 1, "z")];
    let rows = [
        row("a", marks, &[("p", 1, "x")]),
        row("b", ClaimRules::default(), &[("p", 1, "x")]),
    ];
    let keys = |judged: &Judged<'_>, at: usize| judged.rows[at].index_keys.texts().unwrap();
    let judged_rows = Judged::new(&rows, &known, &HashSet::new());
    assert_eq!(keys(&judged_rows, 0), ["contradicts=p", "k"]);
    assert_eq!(keys(&judged_rows, 1), ["k"]);
    let (answers, tolerated) = judged(&rows, &known);
    assert_eq!(answers, [Ok(10), Ok(11)]);
    assert_eq!(tolerated, [(Difference::OtherValue, 7)]);
}

#[test]
fn an_entry_that_is_in_the_tree_is_never_refused() {
    let rows = [row("a", REFUSES, &[("p", 1, "x")])];
    let known = [stored("p", 1, "z")];
    let judged = Judged::new(&rows, &known, &HashSet::new());
    assert_eq!(judged.refused(&rows), [rows[0].leaf_hash]);
    let judged = Judged::new(&rows, &known, &HashSet::from([rows[0].leaf_hash]));
    assert!(judged.refused(&rows).is_empty());
}
