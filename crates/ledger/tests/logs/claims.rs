//! Names that should have one value in the whole ledger.

use futures_util::future::join_all;
use ledger::fsck::fsck;
use ledger::store::sqlite::SqliteStore;
use ledger::store::{ClaimRules, ClaimValues, OnContradiction, OnIncomparable, Store, TreeState};
use ledger::{
    Api, AppendError, Appended, Contradiction, Difference, EntryClaims, Ledger, Log, NewClaim,
    NewEntry, Search, V1, V2, rotation,
};
use ring::rand::SystemRandom;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use super::World;
use super::support::key;

const REFUSES: ClaimRules = ClaimRules {
    contradictory: OnContradiction::Refused,
    incomparable: OnIncomparable::Accepted,
};
const MARKS: ClaimRules = ClaimRules {
    contradictory: OnContradiction::Marked,
    incomparable: OnIncomparable::Accepted,
};

/// An entry with this text that gives a name a value of one byte.
fn entry(text: &str, name: &str, value: u8, rules: ClaimRules) -> NewEntry {
    NewEntry {
        leaf_bytes: text.as_bytes().to_vec(),
        kind: "test:1".into(),
        index_keys: vec![format!("name={name}"), format!("value:{value:02x}")],
        attestation: None,
        claims: EntryClaims {
            list: vec![NewClaim {
                name: name.to_owned(),
                values: ClaimValues::from([(1, vec![value])]),
            }],
            rules,
        },
    }
}

async fn refused(log: &Log, entry: NewEntry) -> Contradiction {
    match log.append(entry).await {
        Err(AppendError::Contradiction(found)) => *found,
        other => panic!("{other:?}"),
    }
}

async fn sequenced(log: &Log, entry: NewEntry) -> u64 {
    match log.append(entry).await {
        Ok(Appended::Sequenced(logged)) => logged.leaf_index.0,
        other => panic!("{other:?}"),
    }
}

fn log<'a>(ledger: &'a Ledger, api: &Api) -> &'a Log {
    ledger.log(api).unwrap()
}

#[tokio::test]
async fn a_second_value_is_refused_with_the_first_entry_whatever_its_log() {
    let world = World::new().await;
    let ledger = world.keys.open(world.settings()).await.unwrap();
    let (v1, v2) = (log(&ledger, &V1), log(&ledger, &V2));
    // Logged while nothing was compared.
    assert_eq!(sequenced(v1, entry("zero", "other", 0, REFUSES)).await, 0);
    let first = entry("one", "p", 1, ClaimRules::default());
    assert_eq!(sequenced(v1, first.clone()).await, 1);
    for log in [v1, v2] {
        let found = refused(log, entry("two", "p", 2, REFUSES)).await;
        assert_eq!(
            (found.name.as_str(), found.difference),
            ("p", Difference::OtherValue)
        );
        let place = (
            found.first.tree,
            found.first.leaf_index.0,
            found.first.log_index,
        );
        assert_eq!(place, (v1.tree().id, 1, 1));
        assert_eq!(found.first.leaf_hash, tlog::leaf_hash(b"one"));
        assert_eq!(log.head().size.0, if log.api() == &V1 { 2 } else { 0 });
    }
    // The same value again, and the same entry again.
    assert_eq!(sequenced(v2, entry("three", "p", 1, REFUSES)).await, 0);
    let again = NewEntry {
        claims: EntryClaims {
            rules: REFUSES,
            ..first.claims.clone()
        },
        ..first
    };
    assert!(matches!(v1.append(again).await, Ok(Appended::Duplicate(_))));
    // An entry that was logged while nothing was compared is a duplicate, not a contradiction.
    let second = entry("four", "p", 2, ClaimRules::default());
    sequenced(v1, second.clone()).await;
    let again = NewEntry {
        claims: EntryClaims {
            rules: REFUSES,
            ..second.claims.clone()
        },
        ..second
    };
    assert!(matches!(v1.append(again).await, Ok(Appended::Duplicate(_))));
    // A name that differs in case alone.
    sequenced(v1, entry("five", "P", 2, REFUSES)).await;

    // A rotation changes nothing.
    let frozen = world.tree_of(&V1, TreeState::Active).await;
    let next = key(&world.keys.v1[1]);
    rotation::register(&world.store, &frozen, next.verifying_key())
        .await
        .unwrap();
    rotation::freeze(
        &world.store,
        &frozen,
        next.verifying_key(),
        None,
        &SystemRandom::new(),
    )
    .await
    .unwrap();
    while v1.tree().id == frozen.tree_id {
        v1.newest_shards().await.unwrap();
    }
    let found = refused(v1, entry("six", "p", 3, REFUSES)).await;
    assert_eq!(
        (found.first.tree, found.first.log_index),
        (frozen.tree_id, 1)
    );
    sequenced(v1, entry("seven", "q", 3, REFUSES)).await;
    ledger.stop().await;
    let frozen = world.tree_of(&V1, TreeState::Frozen).await;
    rotation::finish(world.settings(), &frozen).await.unwrap();
    check_all(&world.store, &[]).await;
}

#[tokio::test]
async fn of_those_in_one_round_the_first_one_counts_and_no_other_entry_suffers() {
    let world = World::new().await;
    let ledger = world.keys.open(world.settings()).await.unwrap();
    let logs = [log(&ledger, &V1), log(&ledger, &V2)];
    let appends = (0..200_u8).map(|n| {
        // Five values of each of twenty names, in both logs, and entries with names of their own.
        let name = match n % 2 {
            0 => format!("p{}", n / 2 % 20),
            _ => format!("own {n}"),
        };
        let entry = entry(&format!("leaf {n}"), &name, n / 40, REFUSES);
        async move { (n, logs[usize::from(n % 3 == 0)].append(entry).await) }
    });
    let mut accepted = 0;
    for (n, answer) in join_all(appends).await {
        match answer {
            Ok(Appended::Sequenced(_)) => accepted += usize::from(n % 2 == 0),
            Err(AppendError::Contradiction(found)) => {
                assert_eq!(n % 2, 0, "an entry with a name of its own");
                assert_eq!(found.name, format!("p{}", n / 2 % 20));
            }
            other => panic!("{n}: {other:?}"),
        }
    }
    // One value each: twenty names, each given once by every fifth.
    assert_eq!(accepted, 20);
    ledger.stop().await;
    check_all(&world.store, &[]).await;
}

#[tokio::test]
async fn a_marked_entry_is_found_by_its_mark() {
    let world = World::new().await;
    let ledger = world.keys.open(world.settings()).await.unwrap();
    let v2 = log(&ledger, &V2);
    sequenced(v2, entry("one", "Name", 1, MARKS)).await;
    sequenced(v2, entry("two", "Name", 2, MARKS)).await;
    let search = Search {
        keys: vec![vec!["contradicts=name".to_owned()]],
        ..Search::default()
    };
    let (_, hits) = v2.search_newest(&search, None, 10).await.unwrap();
    let found: Vec<u64> = hits.entries.iter().map(|hit| hit.log_index).collect();
    assert_eq!(found, [1]);
    // The first value counts on.
    refused(v2, entry("three", "Name", 2, REFUSES)).await;
    sequenced(v2, entry("four", "Name", 1, REFUSES)).await;
    ledger.stop().await;
    check_all(&world.store, &[]).await;
}

#[tokio::test]
async fn fsck_names_what_differs() {
    let world = World::new().await;
    let ledger = world.keys.open(world.settings()).await.unwrap();
    let v1 = log(&ledger, &V1);
    sequenced(v1, entry("one", "p", 1, MARKS)).await;
    sequenced(v1, entry("two", "p", 2, MARKS)).await;
    sequenced(v1, entry("three", "q", 3, MARKS)).await;
    ledger.stop().await;
    check_all(&world.store, &[]).await;
    let of_p = "CAST(name AS TEXT) = 'p'";
    for (damage, repair, findings) in [
        (
            format!("UPDATE claim SET packed_values = x'000101ff' WHERE {of_p}"),
            format!("UPDATE claim SET packed_values = x'00010101' WHERE {of_p}"),
            vec![
                "table claim: the row of leaf index 0 and p has a value that is not among the index keys",
            ],
        ),
        (
            format!("UPDATE claim SET name_case = 7 WHERE {of_p}"),
            format!("UPDATE claim SET name_case = 0 WHERE {of_p}"),
            vec!["table claim: the row of leaf index 0 and p is not found under its name"],
        ),
        (
            format!("UPDATE claim SET leaf_index = 2 WHERE {of_p}"),
            format!("UPDATE claim SET leaf_index = 0 WHERE {of_p}"),
            vec![
                "table claim: the row of leaf index 2 and p has a name that is not among the index keys",
            ],
        ),
        (
            format!("UPDATE claim SET leaf_index = 9 WHERE {of_p}"),
            format!("UPDATE claim SET leaf_index = 0 WHERE {of_p}"),
            vec!["table claim: 1 rows have a leaf index below 0 or beyond the newest head"],
        ),
        (
            format!("DELETE FROM claim WHERE {of_p}"),
            String::new(),
            vec![
                "table claim: no row for p, which leaf index 0 names",
                "table claim: no row for p, which leaf index 1 names",
                "table claim: no row for p, which leaf index 1 names",
            ],
        ),
    ] {
        execute(&world, &damage).await;
        check_all(&world.store, &findings).await;
        execute(&world, &repair).await;
    }
}

async fn execute(world: &World, sql: &str) {
    let file = world.folder.path().join("log.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = options.connect().await.unwrap();
    connection
        .execute(AssertSqlSafe(sql.to_owned()))
        .await
        .unwrap();
}

/// Fsck of all trees finds this.
async fn check_all(store: &SqliteStore, expected: &[&str]) {
    let mut findings = Vec::new();
    for tree in store.trees().await.unwrap() {
        let api = Api::by_name(&tree.api).unwrap();
        let names = |keys: &[String]| {
            let names = keys.iter().filter_map(|key| key.strip_prefix("name="));
            names.map(str::to_owned).collect()
        };
        let report = fsck(store, &tree, api, &|_, _| Ok(None), &names, &mut |_| {}).await;
        findings.extend(report.unwrap().findings);
    }
    assert_eq!(findings, expected);
}
