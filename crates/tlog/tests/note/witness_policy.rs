//! Policies: what the specification says of each line, and quorums against a second, naive
//! evaluation.

use std::collections::HashSet;

use proptest::prelude::*;
use ring::rand::SystemRandom;
use tlog::{Note, NoteKey, SigningKey, UntrustedError, WitnessKey, WitnessPolicy, cosign};

use crate::keys::{ed25519, p256, rng};

fn key() -> SigningKey {
    let pkcs8 = SigningKey::generate_ed25519_pkcs8(&SystemRandom::new()).expect("randomness");
    SigningKey::from_pkcs8(&pkcs8, &rng()).expect("own key")
}

fn vkey(name: &str, key: &SigningKey) -> String {
    WitnessKey::new(name, key.verifying_key().clone())
        .expect("an Ed25519 key")
        .to_string()
}

/// `witness` lines X1 … of this many new keys.
fn witnesses(prefix: &str, count: usize) -> String {
    (1..=count)
        .map(|n| {
            format!(
                "witness {prefix}{n} {}\n",
                vkey(&format!("w/{prefix}{n}"), &key())
            )
        })
        .collect()
}

fn met(policy: &WitnessPolicy, names: &[&str]) -> bool {
    let place = |name: &&str| {
        policy
            .witnesses()
            .iter()
            .position(|witness| witness.name == **name)
            .expect("a name")
    };
    policy.is_quorum(&names.iter().map(place).collect())
}

#[test]
fn the_example_of_the_specification() {
    let log = NoteKey::new("log.example", p256().verifying_key().clone()).expect("a key");
    let text = format!(
        "log {log}\n\n{}group X-witnesses 2 X1 X2 X3\n\n{}group Y-witnesses any Y1 Y2 Y3\n\n\
         group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n",
        witnesses("X", 3),
        witnesses("Y", 3)
    );
    let policy = WitnessPolicy::parse(&text).expect("the example");
    assert_eq!((policy.logs().len(), policy.witnesses().len()), (1, 6));
    for (names, is_met) in [
        (&["X1", "X3", "Y2"][..], true),
        (&["X1", "X2", "X3", "Y1", "Y2", "Y3"], true),
        (&["X1", "X2", "X3"], false),
        (&["X1", "Y1", "Y2", "Y3"], false),
        (&[], false),
    ] {
        assert_eq!(met(&policy, names), is_met, "{names:?}");
    }
}

#[test]
fn white_space_comments_urls_and_none() {
    let text = format!(
        " \t\n# comment\n\t # comment\nwitness\ta  {}\thttp://a.example/ \nquorum none\n",
        vkey("a", &key())
    );
    let policy = WitnessPolicy::parse(&text).expect("a policy");
    assert_eq!(
        policy.witnesses()[0].url.as_deref(),
        Some("http://a.example/")
    );
    assert!(policy.is_quorum(&HashSet::new()));
    WitnessPolicy::parse("quorum none").expect("without a final newline");
}

/// As the policies of rekor-tiles and the key generator of omniwitness write it.
#[test]
fn a_witness_may_come_with_the_vkey_of_a_plain_key() {
    let plain = NoteKey::new("w.example", ed25519().verifying_key().clone()).expect("a key");
    let log_key = p256();
    let log = NoteKey::new("log.example", log_key.verifying_key().clone()).expect("a key");
    let text = format!("log {log}\nwitness w {plain}\nquorum w\n");
    let policy = WitnessPolicy::parse(&text).expect("a policy");
    let expected =
        WitnessKey::new("w.example", ed25519().verifying_key().clone()).expect("an Ed25519 key");
    assert_eq!(policy.witnesses()[0].key, expected);
    assert_eq!(
        policy.witnesses()[0].key.to_string(),
        expected.to_string(),
        "written as type 0x04"
    );
    let text = "log.example\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    let mut note = Note::new(text).expect("a text");
    note.sign("log.example", &log_key, &rng()).expect("signed");
    assert_eq!(policy.verify(&note), Err(UntrustedError::NoQuorum));
    note.add(cosign(text, "w.example", &ed25519(), 7, &rng()).expect("cosigned"))
        .expect("room");
    assert_eq!(policy.verify(&note), Ok(()));
}

#[test]
fn the_line_that_is_wrong_is_named() {
    let (one, other) = (key(), key());
    let (a, b) = (vkey("a", &one), vkey("b", &other));
    let log = NoteKey::new("l", ed25519().verifying_key().clone()).expect("a key");
    let p256 = NoteKey::new("l", p256().verifying_key().clone()).expect("a key");
    for (text, line) in [
        ("".to_owned(), 0),
        (format!("witness a {a}\n"), 0),
        ("quorum none\nquorum none\n".to_owned(), 2),
        ("quorum a\n".to_owned(), 1),
        (format!("witness none {a}\nquorum none\n"), 1),
        (format!("witness a {a}\nwitness a {b}\nquorum a\n"), 2),
        (format!("witness a {a}\nwitness b {a}\nquorum a\n"), 2),
        (
            format!(
                "witness a {a}\nwitness b {}\nquorum a\n",
                vkey("other-name", &one)
            ),
            2,
        ),
        (format!("log {log}\nlog {log}\nquorum none\n"), 2),
        (format!("witness a {p256}\nquorum a\n"), 1),
        (
            format!(
                "witness a {}\nquorum a\n",
                log.to_string().replacen('l', "m", 1)
            ),
            1,
        ),
        (format!("log {a}\nquorum none\n"), 1),
        (format!("witness a {a} u x\nquorum a\n"), 1),
        (format!("witness a {a}\ngroup g 2 a\nquorum g\n"), 2),
        (format!("witness a {a}\ngroup g 0 a\nquorum g\n"), 2),
        (format!("witness a {a}\ngroup g 01 a\nquorum g\n"), 2),
        (format!("witness a {a}\ngroup g any\nquorum g\n"), 2),
        (format!("witness a {a}\ngroup g any a a\nquorum g\n"), 2),
        (
            format!("witness a {a}\ngroup g any a\ngroup h any a\nquorum g\n"),
            3,
        ),
        ("group g any g\nquorum g\n".to_owned(), 1),
        (format!("group g any a\nwitness a {a}\nquorum g\n"), 1),
        ("group g any none\nquorum g\n".to_owned(), 1),
        ("mirror m\nquorum none\n".to_owned(), 1),
        ("quorum none\r\n".to_owned(), 1),
        ("# \u{1}\nquorum none\n".to_owned(), 1),
    ] {
        let error = WitnessPolicy::parse(&text).map(|_| ()).expect_err(&text);
        assert_eq!(error.line, line, "{text:?}: {error}");
    }
    WitnessPolicy::parse(&format!("witness a {a}\ngroup g any a\nquorum a\n"))
        .expect("a member can be the quorum too");
}

#[test]
fn a_checkpoint_needs_its_log_and_its_quorum() {
    let (log, witness, stranger) = (ed25519(), key(), key());
    let log_key = NoteKey::new("log.example", log.verifying_key().clone()).expect("a key");
    let policy = WitnessPolicy::parse(&format!(
        "log {log_key}\nwitness w {}\nquorum w\n",
        vkey("w", &witness)
    ));
    let policy = policy.expect("a policy");
    let text = "log.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let mut note = Note::new(text).expect("a text");
    note.add(cosign(text, "w", &witness, 7, &rng()).expect("signed"))
        .expect("room");
    assert!(
        matches!(policy.verify(&note), Err(UntrustedError::Note(_))),
        "nothing without the log"
    );
    let mut note = Note::new(text).expect("a text");
    note.sign("log.example", &log, &rng()).expect("signed");
    note.add(cosign(text, "w", &stranger, 7, &rng()).expect("signed"))
        .expect("room");
    assert_eq!(policy.verify(&note), Err(UntrustedError::NoQuorum));
    note.add(cosign(text, "w", &witness, 7, &rng()).expect("signed"))
        .expect("room");
    assert_eq!(policy.verify(&note), Ok(()));
}

proptest! {
    /// Two groups of thresholds below one of a threshold, against counting.
    #[test]
    fn quorums_are_counted(sizes in [1usize..5, 1..5], picks in [1usize..5, 1..5], top in 1usize..3, present: u8) {
        let threshold = [picks[0].min(sizes[0]), picks[1].min(sizes[1])];
        let names = |prefix: &str, count: usize| (1..=count).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
        let (xs, ys) = (names("X", sizes[0]), names("Y", sizes[1]));
        let text = format!(
            "{}{}group GX {} {}\ngroup GY {} {}\ngroup G {top} GX GY\nquorum G\n",
            witnesses("X", sizes[0]), witnesses("Y", sizes[1]), threshold[0], xs.join(" "), threshold[1], ys.join(" ")
        );
        let policy = WitnessPolicy::parse(&text).expect("a policy");
        let cosigned: HashSet<usize> = (0..sizes[0] + sizes[1]).filter(|place| present >> place & 1 == 1).collect();
        let x = cosigned.iter().filter(|place| **place < sizes[0]).count() >= threshold[0];
        let y = cosigned.iter().filter(|place| **place >= sizes[0]).count() >= threshold[1];
        prop_assert_eq!(policy.is_quorum(&cosigned), usize::from(x) + usize::from(y) >= top);
    }

    #[test]
    fn any_text_is_a_policy_or_an_error_in_one_of_its_lines(text in "(log|witness|group|quorum|none|any|all|[ \t\n#a+1]){0,40}") {
        if let Err(error) = WitnessPolicy::parse(&text) {
            prop_assert!(error.line <= text.split('\n').count());
        }
    }
}
