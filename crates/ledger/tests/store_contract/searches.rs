//! Search: by keys, by kind, by time.

use std::sync::Arc;
use std::time::Duration;

use ledger::TreeId;
use ledger::store::{Bound, Commit, Condition, IndexKeys, KeyQuery, Query, Store, search};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tlog::{LeafIndex, TreeSize};
use tokio::time::Instant;

use crate::database::Database;
use crate::samples::{SOMEONE, START, entries, entry, entry_of, index_keys, one_tree, round};

/// A bound on look-ups alone.
fn look_ups(look_ups: u32) -> Bound {
    Bound {
        look_ups,
        until: Instant::now() + Duration::from_secs(60),
    }
}

/// All of these keys, each as a condition, and one of these kinds, if there are any.
fn conditions(keys: &[String], kinds: &[&str]) -> Vec<Condition> {
    let keys = keys.iter().map(|key| Condition::Keys(vec![key.clone()]));
    let kinds: Vec<String> = kinds.iter().map(|&kind| kind.to_owned()).collect();
    keys.chain((!kinds.is_empty()).then_some(Condition::Kinds(kinds)))
        .collect()
}

/// Indexes of the newest entries below `size` that have all of `keys`, at most `limit`, call by
/// call.
pub(crate) async fn found(
    store: &dyn Store,
    tree: TreeId,
    keys: &[String],
    size: u64,
    limit: u32,
) -> Vec<u64> {
    let conditions = conditions(keys, &[]);
    pages(
        store,
        tree,
        &Query {
            conditions: &conditions,
            range: 0..size,
            limit,
        },
        look_ups(1_000),
    )
    .await
}

/// The indexes of a search up to its limit, however many calls it takes.
async fn pages(store: &dyn Store, tree: TreeId, query: &Query<'_>, bound: Bound) -> Vec<u64> {
    let mut query = query.clone();
    let mut indexes = Vec::new();
    while query.limit > 0 && query.range.start < query.range.end {
        let page = search(store, tree, &query, bound).await.unwrap();
        assert!(page.down_to < query.range.end, "each call leads on");
        indexes.extend(page.entries.iter().map(|entry| entry.leaf_index.0));
        query.limit -= u32::try_from(page.entries.len()).unwrap();
        query.range.end = page.down_to;
    }
    indexes
}

pub(crate) async fn keys_are_found_all_together_newest_first(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 9)).await;
    for (number, entry) in sent.entries.iter_mut().map(Arc::make_mut).enumerate() {
        let mut keys = vec!["all"];
        keys.extend((number % 2 == 0).then_some("even"));
        keys.extend((number % 3 == 0).then_some("third"));
        entry.index_keys = index_keys(&keys);
    }
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    for (keys, size, limit, expected) in [
        (&["all"][..], 9, 100, &[8, 7, 6, 5, 4, 3, 2, 1, 0][..]),
        (&["all"], 9, 2, &[8, 7]),
        (&["even"], 9, 100, &[8, 6, 4, 2, 0]),
        (&["even"], 5, 2, &[4, 2]),
        (&["even", "third"], 9, 100, &[6, 0]),
        (&["third", "even", "all", "all"], 9, 1, &[6]),
        (&["all", "none"], 9, 100, &[]),
        (&["none"], 9, 100, &[]),
        (&["ALL"], 9, 100, &[]),
    ] {
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        assert_eq!(
            found(store, tree, &keys, size, limit).await,
            expected,
            "{keys:?} below {size}, at most {limit}"
        );
    }
}

/// Each with a range of its own, the same key more than once, and keys that nothing has.
pub(crate) async fn keys_looked_up_at_once_are_found_as_alone(database: &Database) {
    const LIMIT: u32 = 3;
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 9)).await;
    for (number, entry) in sent.entries.iter_mut().map(Arc::make_mut).enumerate() {
        entry.index_keys = IndexKeys::of(&["all".to_owned(), format!("of {number}")]);
    }
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    let asked = [
        ("of 4", 0..9),
        ("all", 0..9),
        ("none", 0..9),
        ("all", 0..5),
        ("all", 7..9),
        ("of 4", 0..4),
        ("ALL", 0..9),
    ];
    let queries = asked.map(|(key, range)| KeyQuery {
        key: key.to_owned(),
        range,
    });
    let pages = store.search_each(tree, &queries, LIMIT).await.unwrap();
    assert_eq!(pages.len(), queries.len());
    for (query, page) in queries.iter().zip(&pages) {
        let conditions = conditions(std::slice::from_ref(&query.key), &[]);
        let alone = Query {
            conditions: &conditions,
            range: query.range.clone(),
            limit: LIMIT,
        };
        assert_eq!(
            page,
            &search(store, tree, &alone, look_ups(1)).await.unwrap(),
            "{query:?}"
        );
    }
    let found: Vec<Vec<u64>> = pages
        .iter()
        .map(|page| {
            page.entries
                .iter()
                .map(|entry| entry.leaf_index.0)
                .collect()
        })
        .collect();
    assert_eq!(
        found,
        [
            vec![4],
            vec![8, 7, 6],
            vec![],
            vec![4, 3, 2],
            vec![8, 7],
            vec![],
            vec![]
        ]
    );
    assert_eq!(store.search_each(tree, &[], LIMIT).await.unwrap(), []);
}

/// Two keys on many entries each, which meet on few: a call goes no further than its bound.
pub(crate) async fn frequent_keys_are_found_together(database: &Database) {
    const ROUNDS: u64 = 3;
    const WITH_BOTH: u64 = 600;
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    for prev_size in (0..ROUNDS).map(|number| number * 1024) {
        let mut sent = round(
            store,
            tree,
            prev_size,
            entries(&format!("from {prev_size}:"), 1024),
        )
        .await;
        for (index, entry) in (prev_size..).zip(sent.entries.iter_mut().map(Arc::make_mut)) {
            let of_two = if index % 2 == 0 { "even" } else { "odd" };
            entry.index_keys = match index < WITH_BOTH {
                true => index_keys(&["even", "odd"]),
                false => index_keys(&[of_two]),
            };
        }
        assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    }
    let keys = ["even".to_owned(), "odd".to_owned()];
    let expected: Vec<u64> = (WITH_BOTH - 500..WITH_BOTH).rev().collect();
    assert_eq!(
        found(store, tree, &keys, ROUNDS * 1024, 500).await,
        expected
    );
    // The newest 500 of one of them are 1,000 entries.
    let conditions = conditions(&keys, &[]);
    let query = Query {
        conditions: &conditions,
        range: 0..ROUNDS * 1024,
        limit: 500,
    };
    let first = search(store, tree, &query, look_ups(500)).await.unwrap();
    assert_eq!(first.entries, []);
    assert!(
        (ROUNDS * 1024 - 1_100..ROUNDS * 1024 - 250).contains(&first.down_to),
        "{}",
        first.down_to
    );
    // A time that is over has one step done nevertheless.
    let late = Bound {
        look_ups: u32::MAX,
        until: Instant::now(),
    };
    let first = search(store, tree, &query, late).await.unwrap();
    assert!(
        (ROUNDS * 1024 - 300..ROUNDS * 1024).contains(&first.down_to),
        "{}",
        first.down_to
    );
    // Reading the entries that were found is bounded as well.
    let long = Query {
        conditions: &conditions[..1],
        limit: 1_000,
        ..query
    };
    let first = search(store, tree, &long, late).await.unwrap();
    let last = first.entries.last().map(|entry| entry.leaf_index);
    assert_eq!(first.entries.len(), 256);
    assert_eq!(first.down_to, ROUNDS * 1024 - 512);
    assert_eq!(last, Some(LeafIndex(first.down_to)));
}

/// Few enough texts that all kinds of meeting occur: a key is on half of the entries, on a tenth,
/// on one, or on none.
const TEXTS: [&str; 6] = ["half", "third", "tenth", "late", "once", "never"];
const TAGS: [&str; 3] = ["hashedrekord:0.0.1", "rare:0.0.1", "none:0.0.1"];

fn has(index: u64, text: &str) -> bool {
    match text {
        "half" => index.is_multiple_of(2),
        "third" => index.is_multiple_of(3),
        "tenth" => index % 10 == 3,
        "late" => index > 500,
        "once" => index == 123,
        tag => tag == if index % 50 == 7 { TAGS[1] } else { TAGS[0] },
    }
}

/// Searches of any form, in pages that end early almost at once, against one that looks at every
/// entry.
pub(crate) async fn pages_that_end_early_are_those_of_a_naive_search(database: &Database) {
    const SIZE: u64 = 700;
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", SIZE as usize)).await;
    for (index, entry) in (0..).zip(sent.entries.iter_mut().map(Arc::make_mut)) {
        let texts: Vec<&str> = TEXTS[..5]
            .iter()
            .copied()
            .filter(|text| has(index, text))
            .collect();
        entry.index_keys = index_keys(&texts);
        entry.kind = TAGS[usize::from(has(index, TAGS[1]))].to_owned();
    }
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    let texts =
        |all: &'static [&'static str]| prop::collection::btree_set(prop::sample::select(all), 1..3);
    let keys = prop::collection::vec(texts(&TEXTS), 0..4);
    let kinds = prop::option::of(texts(&TAGS));
    let forms = (
        keys,
        kinds,
        0..SIZE,
        0..=SIZE,
        1_u32..40,
        prop::sample::select(&[0, 1, 70, 300][..]),
    );
    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let (keys, kinds, from, below, limit, bound) =
            forms.new_tree(&mut runner).unwrap().current();
        let owned = |texts: std::collections::BTreeSet<&str>| {
            texts.into_iter().map(str::to_owned).collect()
        };
        let mut conditions: Vec<Condition> = keys
            .into_iter()
            .map(|texts| Condition::Keys(owned(texts)))
            .collect();
        conditions.extend(kinds.map(|tags| Condition::Kinds(owned(tags))));
        let range = from.min(below)..below;
        let meets = |index: &u64| {
            conditions
                .iter()
                .all(|all| all.texts().iter().any(|text| has(*index, text)))
        };
        let naive: Vec<u64> = range.clone().rev().filter(meets).collect();
        // Page by page, as one who has the cursor of the page before.
        let (mut seen, mut query) = (
            Vec::new(),
            Query {
                conditions: &conditions,
                range,
                limit,
            },
        );
        while query.range.start < query.range.end {
            let page = search(store, tree, &query, look_ups(bound)).await.unwrap();
            assert!(
                page.down_to < query.range.end,
                "each page leads on: {query:?}"
            );
            assert!(page.entries.len() <= limit as usize, "{query:?}");
            seen.extend(page.entries.iter().map(|entry| entry.leaf_index.0));
            query.range.end = page.down_to;
        }
        assert_eq!(
            seen, naive,
            "{conditions:?} in {from}..{below}, {limit} a page, {bound} look-ups"
        );
    }
}

/// Rows of a key that the entry does not have, as another text with the same hash would leave them.
pub(crate) async fn a_hash_without_its_text_is_not_found(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let sent = round(store, tree, 0, entries("entry", 2)).await;
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    let stray = "INSERT INTO index_key SELECT tree_id, key_hash, 1 FROM index_key WHERE leaf_index = 0 \
        AND key_hash NOT IN (SELECT key_hash FROM index_key WHERE leaf_index = 1)";
    database.execute(stray).await;

    let key = "sha256:entry 0".to_owned();
    let of_someone = [key.clone(), SOMEONE.to_owned()];
    assert_eq!(
        store
            .newest(tree, &conditions(&of_someone, &[])[0], 0..2, 9)
            .await
            .unwrap(),
        [1, 0]
    );
    assert_eq!(
        found(store, tree, std::slice::from_ref(&key), 2, 9).await,
        [0]
    );
    assert_eq!(found(store, tree, &of_someone, 2, 1).await, [0]);
    let pages = store
        .search_each(tree, &[KeyQuery { key, range: 0..2 }], 9)
        .await
        .unwrap();
    assert_eq!(
        pages[0]
            .entries
            .iter()
            .map(|entry| entry.leaf_index.0)
            .collect::<Vec<_>>(),
        [0]
    );
}

pub(crate) async fn keys_of_any_text_are_kept(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let odd: Vec<String> = [
        "",
        "\0",
        "a\0b",
        "żółć 漢字 🦀",
        "'; --",
        &"k".repeat(10_000),
        &"\0".repeat(30_000),
    ]
    .map(str::to_owned)
    .to_vec();
    let mut sent = round(store, tree, 0, entries("entry", 2)).await;
    entry_of(&mut sent, 1).index_keys = IndexKeys::of(&odd);
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    for key in &odd {
        assert_eq!(
            found(store, tree, std::slice::from_ref(key), 2, 10).await,
            [1],
            "{key:.20?}"
        );
    }
    assert_eq!(found(store, tree, &odd, 2, 10).await, [1]);
    assert_eq!(
        store.audit_entries(tree, 1..2).await.unwrap()[0].index_keys,
        odd
    );
}

/// Long texts are read one entry at a time, and decide as short ones do.
pub(crate) async fn long_key_texts_are_compared_too(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 3)).await;
    let long = |number: usize| format!("{number} {}", "long ".repeat(10_000));
    for number in [1, 2] {
        entry_of(&mut sent, number).index_keys = index_keys(&[SOMEONE, &long(number)]);
    }
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    // Entry 2 has the hash of the long text of entry 1.
    let stray = "INSERT INTO index_key SELECT tree_id, key_hash, 2 FROM index_key WHERE leaf_index = 1 \
        AND key_hash NOT IN (SELECT key_hash FROM index_key WHERE leaf_index = 2)";
    database.execute(stray).await;

    for (key, expected) in [(SOMEONE.to_owned(), vec![2, 1, 0]), (long(1), vec![1])] {
        let keys = std::slice::from_ref(&key);
        assert_eq!(found(store, tree, keys, 3, 10).await, expected);
        let query = KeyQuery { key, range: 0..3 };
        let pages = store.search_each(tree, &[query], 10).await.unwrap();
        let found = pages[0].entries.iter().map(|entry| entry.leaf_index.0);
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}

/// A log of nine entries in three rounds; every third one is of another kind.
async fn of_two_kinds(database: &Database) -> TreeId {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    for prev_size in [0, 3, 6] {
        let mut sent = round(
            store,
            tree,
            prev_size,
            entries(&format!("from {prev_size}:"), 3),
        )
        .await;
        entry_of(&mut sent, 0).kind = "rare:0.0.1".to_owned();
        let of_the_second = format!("sha256:from {prev_size}: 1");
        entry_of(&mut sent, 1).index_keys = index_keys(&[&of_the_second, SOMEONE, "second"]);
        assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    }
    tree
}

pub(crate) async fn entries_are_found_by_kind_with_and_without_keys(database: &Database) {
    let store = &*database.store;
    let tree = of_two_kinds(database).await;
    for (keys, kinds, range, limit, expected) in [
        (
            &[][..],
            &[][..],
            0..9,
            100,
            &[8, 7, 6, 5, 4, 3, 2, 1, 0][..],
        ),
        (&[], &[], 2..5, 2, &[4, 3]),
        (&[], &["rare:0.0.1"], 0..9, 100, &[6, 3, 0]),
        (&[], &["rare:0.0.1"], 1..7, 1, &[6]),
        (
            &[],
            &["rare:0.0.1", "hashedrekord:0.0.1"],
            0..9,
            4,
            &[8, 7, 6, 5],
        ),
        (&[], &["none:0.0.1"], 0..9, 4, &[]),
        (
            &["someone@example.com"],
            &["rare:0.0.1"],
            0..9,
            100,
            &[6, 3, 0],
        ),
        (
            &["someone@example.com", "second"],
            &["hashedrekord:0.0.1"],
            0..9,
            2,
            &[7, 4],
        ),
        (&["second"], &["rare:0.0.1", "none:0.0.1"], 0..9, 2, &[]),
        (&["second"], &[], 2..7, 2, &[4]),
    ] {
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        let conditions = conditions(&keys, kinds);
        let query = Query {
            conditions: &conditions,
            range,
            limit,
        };
        assert_eq!(
            pages(store, tree, &query, look_ups(10)).await,
            expected,
            "{query:?}"
        );
    }
    let conditions = conditions(&[], &["rare:0.0.1"]);
    let query = Query {
        conditions: &conditions,
        range: 0..9,
        limit: 1,
    };
    let page = search(store, tree, &query, look_ups(10)).await.unwrap();
    let [newest] = &page.entries[..] else {
        panic!("{page:?}")
    };
    assert_eq!(
        (newest.leaf_index, &newest.kind[..], newest.time),
        (LeafIndex(6), "rare:0.0.1", START + 9)
    );
    assert_eq!(
        (newest.leaf_hash, page.down_to),
        (entry("from 6: 0").leaf_hash, 6)
    );
}

pub(crate) async fn the_first_entry_of_a_time_is_found(database: &Database) {
    let store = &*database.store;
    let tree = of_two_kinds(database).await;
    // Rounds are integrated at 3, 6 and 9 seconds.
    for (time, size, expected) in [
        (i64::MIN, 9, 0),
        (START + 3, 9, 0),
        (START + 4, 9, 3),
        (START + 6, 9, 3),
        (START + 7, 9, 6),
        (START + 9, 9, 6),
        (START + 10, 9, 9),
        (i64::MAX, 9, 9),
        (START + 9, 5, 5),
        (START + 6, 0, 0),
    ] {
        let first = store.first_at(tree, time, TreeSize(size)).await.unwrap();
        assert_eq!(first, LeafIndex(expected), "{time} below {size}");
    }
    assert!(
        store.first_at(tree, START, TreeSize(1_000)).await.is_err(),
        "entries are missing"
    );
}
