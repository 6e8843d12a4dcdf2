//! Search: by keys, by kind, by time.

use std::sync::Arc;

use ledger::store::{Commit, IndexKeys, KeyQuery, Page, Query, STRIDE, Store};
use ledger::{IndexKeyHash, TreeId};
use tlog::{LeafIndex, TreeSize};

use crate::database::Database;
use crate::samples::{SOMEONE, START, entries, entry, entry_of, index_keys, one_tree, round};

/// Indexes of the newest entries below `size` that have all of `keys`, at most `limit`, call by call.
pub(crate) async fn found(store: &dyn Store, tree: TreeId, keys: &[String], size: u64, limit: u32) -> Vec<u64> {
    pages(store, tree, &Query { keys, kinds: &[], range: 0..size, limit }).await
}

/// The indexes of a search up to its limit, however many calls it takes.
async fn pages(store: &dyn Store, tree: TreeId, query: &Query<'_>) -> Vec<u64> {
    let mut query = query.clone();
    let mut indexes = Vec::new();
    while query.limit > 0 && query.range.start < query.range.end {
        let page = store.search(tree, &query).await.unwrap();
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
        assert_eq!(found(store, tree, &keys, size, limit).await, expected, "{keys:?} below {size}, at most {limit}");
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

    let asked =
        [("of 4", 0..9), ("all", 0..9), ("none", 0..9), ("all", 0..5), ("all", 7..9), ("of 4", 0..4), ("ALL", 0..9)];
    let queries = asked.map(|(key, range)| KeyQuery { key: key.to_owned(), range });
    let pages = store.search_each(tree, &queries, LIMIT).await.unwrap();
    assert_eq!(pages.len(), queries.len());
    for (query, page) in queries.iter().zip(&pages) {
        assert_eq!(page, &store.search(tree, &query.with_limit(LIMIT)).await.unwrap(), "{query:?}");
    }
    let found: Vec<Vec<u64>> =
        pages.iter().map(|page| page.entries.iter().map(|entry| entry.leaf_index.0).collect()).collect();
    assert_eq!(found, [vec![4], vec![8, 7, 6], vec![], vec![4, 3, 2], vec![8, 7], vec![], vec![]]);
    assert_eq!(store.search_each(tree, &[], LIMIT).await.unwrap(), []);
}

/// Two keys that are both too frequent to be counted, and a walk along the one that is on every entry.
pub(crate) async fn frequent_keys_are_found_together(database: &Database) {
    const ROUNDS: u64 = 11;
    const WITH_BOTH: u64 = 1_100;
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    // Of keys that are equally frequent, the one with the smaller hash is walked along.
    let other = "on the first entries".to_owned();
    let smaller = |key: &String| IndexKeyHash::of(key) < IndexKeyHash::of(&other);
    let everywhere = (0..).map(|number| format!("on every entry {number}")).find(smaller).unwrap();
    for prev_size in (0..ROUNDS).map(|number| number * 1024) {
        let mut sent = round(store, tree, prev_size, entries(&format!("from {prev_size}:"), 1024)).await;
        for (index, entry) in (prev_size..).zip(sent.entries.iter_mut().map(Arc::make_mut)) {
            let mut keys = vec![everywhere.as_str()];
            keys.extend((index < WITH_BOTH).then_some(other.as_str()));
            entry.index_keys = index_keys(&keys);
        }
        assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    }
    let keys = [other, everywhere];
    let expected: Vec<u64> = (WITH_BOTH - 500..WITH_BOTH).rev().collect();
    assert_eq!(found(store, tree, &keys, ROUNDS * 1024, 500).await, expected);
    // One call goes no further than a stride.
    let query = Query { keys: &keys, kinds: &[], range: 0..ROUNDS * 1024, limit: 500 };
    let first = store.search(tree, &query).await.unwrap();
    assert_eq!(first, Page { entries: Vec::new(), down_to: ROUNDS * 1024 - u64::from(STRIDE) });
}

pub(crate) async fn keys_of_any_text_are_kept(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let odd: Vec<String> = ["", "\0", "a\0b", "żółć 漢字 🦀", "'; --", &"k".repeat(10_000), &"\0".repeat(30_000)]
        .map(str::to_owned)
        .to_vec();
    let mut sent = round(store, tree, 0, entries("entry", 2)).await;
    entry_of(&mut sent, 1).index_keys = IndexKeys::of(&odd);
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    for key in &odd {
        assert_eq!(found(store, tree, std::slice::from_ref(key), 2, 10).await, [1], "{key:.20?}");
    }
    assert_eq!(found(store, tree, &odd, 2, 10).await, [1]);
    assert_eq!(store.audit_entries(tree, 1..2).await.unwrap()[0].index_keys, odd);
}

/// A log of nine entries in three rounds; every third one is of another kind.
async fn of_two_kinds(database: &Database) -> TreeId {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    for prev_size in [0, 3, 6] {
        let mut sent = round(store, tree, prev_size, entries(&format!("from {prev_size}:"), 3)).await;
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
        (&[][..], &[][..], 0..9, 100, &[8, 7, 6, 5, 4, 3, 2, 1, 0][..]),
        (&[], &[], 2..5, 2, &[4, 3]),
        (&[], &["rare:0.0.1"], 0..9, 100, &[6, 3, 0]),
        (&[], &["rare:0.0.1"], 1..7, 1, &[6]),
        (&[], &["rare:0.0.1", "hashedrekord:0.0.1"], 0..9, 4, &[8, 7, 6, 5]),
        (&[], &["none:0.0.1"], 0..9, 4, &[]),
        (&["someone@example.com"], &["rare:0.0.1"], 0..9, 100, &[6, 3, 0]),
        (&["someone@example.com", "second"], &["hashedrekord:0.0.1"], 0..9, 2, &[7, 4]),
        (&["second"], &["rare:0.0.1", "none:0.0.1"], 0..9, 2, &[]),
        (&["second"], &[], 2..7, 2, &[4]),
    ] {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let (keys, kinds) = (texts(keys), texts(kinds));
        let query = Query { keys: &keys, kinds: &kinds, range, limit };
        assert_eq!(pages(store, tree, &query).await, expected, "{query:?}");
    }
    let query = Query { keys: &[], kinds: &["rare:0.0.1".to_owned()], range: 0..9, limit: 1 };
    let page = store.search(tree, &query).await.unwrap();
    let [newest] = &page.entries[..] else { panic!("{page:?}") };
    assert_eq!((newest.leaf_index, &newest.kind[..], newest.time), (LeafIndex(6), "rare:0.0.1", START + 9));
    assert_eq!((newest.leaf_hash, page.down_to), (entry("from 6: 0").leaf_hash, 6));
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
    assert!(store.first_at(tree, START, TreeSize(1_000)).await.is_err(), "entries are missing");
}
