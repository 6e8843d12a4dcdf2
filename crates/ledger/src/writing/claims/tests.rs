//! Rounds with entries that contradict each other or earlier ones.

use tlog::TreeSize;

use super::*;
use crate::TreeId;
use crate::store::{Claim, ClaimRules};

const REFUSES: ClaimRules = ClaimRules {
    contradictory: OnContradiction::Refused,
    incomparable: OnIncomparable::Accepted,
};

/// A name, and a text in each of some aspects.
type Given<'a> = (&'a str, &'a [(i16, &'a str)]);

fn claim((name, values): Given<'_>) -> Claim {
    let values = values.iter();
    Claim {
        key: NameKey::of("l", name),
        name: name.to_owned(),
        values: values
            .map(|(aspect, value)| (*aspect, value.as_bytes().to_vec()))
            .collect(),
    }
}

fn row(body: &str, claim_rules: ClaimRules, claims: &[Given<'_>]) -> Arc<EntryRow> {
    Arc::new(EntryRow {
        leaf_hash: tlog::leaf_hash(body.as_bytes()),
        kind: "test:1".into(),
        body: body.as_bytes().to_vec(),
        index_keys: IndexKeys::of(&["k"]),
        attestation: None,
        claims: claims.iter().map(|given| claim(*given)).collect(),
        claim_rules,
    })
}

fn stored(given: Given<'_>) -> StoredClaim {
    let Claim { key, values, .. } = claim(given);
    StoredClaim {
        key,
        values,
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
        .flatten()
        .map(|found| (found.difference, found.first.leaf_index.0));
    (answers.collect(), tolerated.collect())
}

/// The claims that rows whose leaf indexes begin at 10 store.
fn new_claims(rows: &[Arc<EntryRow>], stored: &[StoredClaim]) -> Vec<(Claim, u64)> {
    let judged = Judged::new(rows, stored, &HashSet::new());
    let claims = judged.new_claims(TreeSize(10), &judged.rows);
    let claims = claims.rows.into_iter();
    claims.map(|(claim, index)| (claim, index.0)).collect()
}

#[test]
fn a_second_value_is_refused_and_others_of_the_round_are_not() {
    let rows = [
        row("a", REFUSES, &[("p", &[(1, "x")])]),
        row("b", REFUSES, &[("q", &[(1, "x")])]),
        row("c", REFUSES, &[("q", &[(1, "y")])]),
        row("d", REFUSES, &[("r", &[(1, "x")])]),
        row("e", REFUSES, &[("q", &[(1, "x")]), ("p", &[(1, "z")])]),
    ];
    let (answers, tolerated) = judged(&rows, &[stored(("p", &[(1, "z")]))]);
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
        row("a", REFUSES, &[("P", &[(1, "x")])]),
        row("b", REFUSES, &[("p", &[(1, "z")])]),
    ];
    let (answers, _) = judged(&rows, &[stored(("p", &[(1, "z")]))]);
    assert_eq!(answers, [Ok(10), Ok(11)]);
}

#[test]
fn values_in_an_aspect_that_the_first_entry_lacks_are_not_compared() {
    let strict = ClaimRules {
        incomparable: OnIncomparable::Refused,
        ..REFUSES
    };
    let known = [stored(("p", &[(1, "z")])), stored(("n", &[]))];
    let not_compared = || vec![(Difference::OtherAspect, 7)];
    let refused = || Err(("p".to_owned(), 7));
    for (rules, given, expected, tolerated) in [
        (REFUSES, ("p", &[(1, "z")][..]), Ok(10), vec![]),
        (REFUSES, ("p", &[(2, "y")]), Ok(10), not_compared()),
        (REFUSES, ("p", &[]), Ok(10), not_compared()),
        (
            REFUSES,
            ("p", &[(1, "z"), (2, "y")]),
            Ok(10),
            not_compared(),
        ),
        (REFUSES, ("p", &[(1, "x"), (2, "y")]), refused(), vec![]),
        (strict, ("p", &[(1, "z")]), Ok(10), vec![]),
        (strict, ("p", &[(2, "y")]), refused(), vec![]),
        (strict, ("p", &[(1, "z"), (2, "y")]), refused(), vec![]),
        (strict, ("q", &[(2, "y")]), Ok(10), vec![]),
        // Only names have been given to this one.
        (strict, ("n", &[(2, "y")]), Ok(10), vec![]),
        (strict, ("n", &[]), Ok(10), vec![]),
    ] {
        let found = judged(&[row("a", rules, &[given])], &known);
        assert_eq!(found, (vec![expected], tolerated), "{given:?}");
    }
}

/// A value is recorded only with the entry that gives its name the first ones, so that nobody gives a
/// name values in further aspects under cover of an equal one.
#[test]
fn only_the_first_entry_gives_a_name_values() {
    let rows = [
        row("a", REFUSES, &[("p", &[(1, "z"), (2, "evil")])]),
        row("b", REFUSES, &[("p", &[(3, "evil")])]),
        row("c", REFUSES, &[("p", &[])]),
        row("d", REFUSES, &[("q", &[])]),
        row("e", REFUSES, &[("q", &[(1, "x"), (2, "y")])]),
        row("f", REFUSES, &[("q", &[(3, "evil")])]),
        row("g", REFUSES, &[("q", &[(2, "other")])]),
    ];
    let known = [stored(("p", &[(1, "z")]))];
    let found = new_claims(&rows, &known);
    let expected = [
        (claim(("q", &[])), 13),
        (claim(("q", &[(1, "x"), (2, "y")])), 14),
    ];
    assert_eq!(found, expected);
    let (answers, _) = judged(&rows, &known);
    assert_eq!(answers[6], Err(("q".to_owned(), 14)));
    // Whether they are compared or not.
    let ignored = rows.iter().map(|row| {
        let mut row = EntryRow::clone(row);
        row.claim_rules = ClaimRules::default();
        Arc::new(row)
    });
    let ignored: Vec<Arc<EntryRow>> = ignored.collect();
    let found = new_claims(&ignored, &[]);
    let expected = [
        (claim(("p", &[(1, "z"), (2, "evil")])), 10),
        (claim(("q", &[])), 13),
        (claim(("q", &[(1, "x"), (2, "y")])), 14),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_second_value_is_marked_or_ignored_by_the_rules() {
    let marks = ClaimRules {
        contradictory: OnContradiction::Marked,
        ..REFUSES
    };
    let known = [stored(("p", &[(1, "z")]))];
    let rows = [
        row("a", marks, &[("p", &[(1, "x")])]),
        row("b", ClaimRules::default(), &[("p", &[(1, "x")])]),
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
    let rows = [row("a", REFUSES, &[("p", &[(1, "x")])])];
    let known = [stored(("p", &[(1, "z")]))];
    let judged = Judged::new(&rows, &known, &HashSet::new());
    assert_eq!(judged.refused(&rows), [rows[0].leaf_hash]);
    let judged = Judged::new(&rows, &known, &HashSet::from([rows[0].leaf_hash]));
    assert!(judged.refused(&rows).is_empty());
}
