//! Properties of the whole way from JSON to leaf bytes.

use entry::{Policy, ProposedEntry, index_keys_of_leaf};
use proptest::prelude::*;
use serde_json::Value;

use crate::submission::{NOW, SEEDS};

/// What is accepted is RFC 8785, is its own canonical form, and tells its keys. A second
/// implementation of RFC 8785 judges the typed writer.
#[test]
fn leaf_bytes_are_canonical_and_a_fixed_point() {
    for seed in SEEDS.iter() {
        let (name, entry) = (&seed.name, &seed.entry);
        let leaf = entry.leaf_bytes();
        let value: Value = serde_json::from_slice(leaf).unwrap();
        assert_eq!(
            leaf,
            serde_json_canonicalizer::to_vec(&value).unwrap(),
            "{name}"
        );
        let again = verify(leaf).unwrap();
        assert_eq!(
            (again.leaf_bytes(), again.index_keys()),
            (leaf, entry.index_keys()),
            "{name}"
        );
        assert_eq!(
            index_keys_of_leaf(leaf).unwrap().as_deref(),
            Some(entry.index_keys()),
            "{name}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_bytes_are_an_entry_or_a_refusal(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = verify(&bytes);
        let _ = index_keys_of_leaf(&bytes);
    }

    #[test]
    fn any_spec_is_an_entry_or_a_refusal(spec in json(), kind in "hashedrekord|[a-z]{0,5}", version in "0.0.1|[0-9.]{0,6}") {
        let body = format!("{{\"kind\":{kind:?},\"apiVersion\":{version:?},\"spec\":{spec}}}");
        prop_assert!(verify(body.as_bytes()).is_err());
    }

    /// Unknown members, white space, other order and escapes are no part of an entry.
    #[test]
    fn the_same_entry_written_otherwise(at in any::<prop::sample::Index>(), extra in json(), order in any::<[bool; 4]>(), tail in ".{0,5}") {
        let seed = &SEEDS[at.index(SEEDS.len())];
        let value: Value = serde_json::from_slice(seed.entry.leaf_bytes()).unwrap();
        let written = write(&value, &extra, &order);
        let other = verify(format!(" \r\n{written}\t{tail}").as_bytes()).unwrap();
        prop_assert_eq!(other.leaf_bytes(), seed.entry.leaf_bytes(), "{}", seed.name);
        prop_assert_eq!(other.index_keys(), seed.entry.index_keys(), "{}", seed.name);
    }
}

fn verify(json: &[u8]) -> Result<entry::VerifiedEntry, entry::Refusal> {
    ProposedEntry::from_json(json)?.verify(&Policy::default(), NOW)
}

/// JSON with the members of entries among others.
fn json() -> impl Strategy<Value = Value> {
    let name = "signature|content|publicKey|data|hash|algorithm|value|[a-z]{0,3}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "sha256|[0-9a-f]{64}|AA==|LS0tLS1CRUdJTg==|.{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes an object with its members in another order, an unknown member and a wrong duplicate
/// before the right one, at every level.
fn write(value: &Value, extra: &Value, order: &[bool; 4]) -> String {
    let Value::Object(object) = value else {
        return value
            .to_string()
            .replace('4', "\\u0034")
            .replace('/', "\\/");
    };
    let depth = order.iter().filter(|flag| **flag).count();
    let mut members: Vec<String> = object
        .iter()
        .map(|(name, value)| {
            let duplicate = if depth % 2 == 0 && object.contains_key("content") {
                format!("{name:?}:{extra},")
            } else {
                String::new()
            };
            format!("{duplicate}{name:?} : {}", write(value, extra, order))
        })
        .chain([format!("\"unknown\":{extra}")])
        .collect();
    if order[0] {
        members.reverse();
    }
    if order[1] {
        members.rotate_left(1);
    }
    format!("{{ {}\n}}", members.join(" ,"))
}
