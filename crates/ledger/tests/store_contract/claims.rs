//! Claims: the first one of each name and aspect counts, in all trees.

use ledger::TreeId;
use ledger::store::{
    AuditCounts, Claim, Claimant, Commit, NameKey, NewClaims, Round, Store, StoreError,
    StoredClaim, Taken, TreeRow,
};
use tlog::{LeafIndex, TreeSize};

use crate::database::Database;
use crate::rotation::{NEXT_SPKI, next_tree};
use crate::samples::{LOG, entries, one_tree, round, tree};

/// Rounds of the race; each may be decided otherwise.
const TURNS: u64 = 20;

fn claim(name: &str, aspect: i16, value: &str) -> Claim {
    claim_of(name, &[(aspect, value)])
}

fn claim_of(name: &str, values: &[(i16, &str)]) -> Claim {
    let values = values.iter();
    Claim {
        key: NameKey::of("a", name),
        name: name.to_owned(),
        values: values
            .map(|(aspect, value)| (*aspect, value.as_bytes().to_vec()))
            .collect(),
    }
}

/// A round of one entry that makes these claims.
async fn claiming(
    store: &dyn Store,
    tree: TreeId,
    size: u64,
    text: &str,
    taken: Taken,
    claims: &[Claim],
) -> Round {
    let rows = claims.iter().cloned();
    let rows = rows.map(|claim| (claim, LeafIndex(size)));
    let claims = NewClaims {
        rows: rows.collect(),
        taken,
    };
    Round {
        claims,
        ..round(store, tree, size, entries(text, 1)).await
    }
}

/// The log index of the first leaf of each tree.
const FIRST_LOG_INDEX: u64 = 7;

fn stored(claim: &Claim, round: &Round) -> StoredClaim {
    let leaf_index = LeafIndex(round.head.prev_size.0);
    StoredClaim {
        key: claim.key,
        values: claim.values.clone(),
        entry: Claimant {
            tree: round.tree_id,
            leaf_index,
            log_index: FIRST_LOG_INDEX + leaf_index.0,
            leaf_hash: round.entries[0].leaf_hash,
        },
    }
}

async fn find(store: &dyn Store, names: &[&str]) -> Vec<StoredClaim> {
    let names: Vec<NameKey> = names.iter().map(|name| NameKey::of("a", name)).collect();
    let mut found = store.reader().find_claims(&names).await.unwrap();
    found.sort_by_key(|claim| (claim.key, claim.values.len()));
    found
}

pub(crate) async fn the_claims_of_a_round_are_found_and_shown_to_fsck(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let claims = [
        claim_of("named", &[]),
        claim_of("lower", &[(1, "x"), (2, "y")]),
        claim("Upper", 1, "\0"),
    ];
    let sent = claiming(store, tree, 0, "entry", Taken::Refused, &claims).await;
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    let lower = [stored(&claims[1], &sent)];
    assert_eq!(find(store, &["lower", "absent"]).await, lower);
    assert_eq!(find(store, &["named"]).await, [stored(&claims[0], &sent)]);
    assert_eq!(find(store, &["Upper"]).await, [stored(&claims[2], &sent)]);
    // Another name, though its hash is the same.
    assert_eq!(find(store, &["upper"]).await, []);
    let other_ledger = [NameKey::of("b", "lower")];
    assert_eq!(writer.find_claims(&other_ledger).await.unwrap(), []);

    let shown = store.audit_entries(tree, 0..1).await.unwrap();
    let mut found = shown[0].claims.clone();
    found.sort_by_key(|claim| (claim.name.clone(), claim.values.len()));
    assert_eq!(
        found,
        [claims[2].clone(), claims[1].clone(), claims[0].clone()]
    );
    let hashes = ["lower", "upper", "absent"].map(|name| NameKey::of("a", name).hash);
    let mut claimed = store.audit_claimed(&hashes).await.unwrap();
    claimed.sort_unstable();
    let mut expected = hashes[..2].to_vec();
    expected.sort_unstable();
    assert_eq!(claimed, expected);
    database
        .execute("UPDATE claim SET leaf_index = 1 WHERE length(packed_values) > 4")
        .await;
    let counts = store.audit_counts(tree, TreeSize(1)).await.unwrap();
    assert_eq!((counts.claims, counts.beyond_newest_head), (2, 1));
    assert!(matches!(
        store.reader().find_claims(&[claims[1].key]).await,
        Err(StoreError::Damaged(_))
    ));
}

pub(crate) async fn a_claim_that_is_taken_is_kept_or_refuses_the_round(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let first = claiming(store, tree, 0, "one", Taken::Refused, &[claim("p", 1, "x")]).await;
    assert_eq!(writer.commit(&first).await.unwrap(), Commit::Done);
    let known = [stored(&claim("p", 1, "x"), &first)];
    for exclusive in [false, true] {
        let mut writer = store.writer().await.unwrap();
        if exclusive {
            writer.begin_exclusive(tree).await.unwrap();
            writer.lock_claims().await.unwrap();
        }
        let both = [claim("p", 1, "y"), claim("q", 1, "y")];
        let sent = claiming(store, tree, 1, "two", Taken::Refused, &both).await;
        let before = store.audit_counts(tree, TreeSize(1)).await.unwrap();
        let refused = writer.commit(&sent).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(_))),
            "{refused:?}"
        );
        drop(writer);
        let counts = store.audit_counts(tree, TreeSize(1)).await.unwrap();
        assert_eq!(counts, before);
        assert_eq!(find(store, &["p", "q"]).await, known);
    }
    let both = [claim("p", 1, "y"), claim("q", 1, "y")];
    let sent = claiming(store, tree, 1, "two", Taken::Kept, &both).await;
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    assert_eq!(find(store, &["p"]).await, known);
    assert_eq!(find(store, &["q"]).await, [stored(&both[1], &sent)]);
    let counts = store.audit_counts(tree, TreeSize(2)).await.unwrap();
    let AuditCounts {
        entries, claims, ..
    } = counts;
    assert_eq!((entries, claims), (2, 2));
}

pub(crate) async fn claims_of_a_frozen_tree_count(database: &Database) {
    let store = &*database.store;
    let (old, mut writer) = one_tree(store).await;
    let first = claiming(store, old, 0, "one", Taken::Refused, &[claim("p", 1, "x")]).await;
    assert_eq!(writer.commit(&first).await.unwrap(), Commit::Done);
    assert!(store.register_next_key(LOG, NEXT_SPKI).await.unwrap());
    store.freeze(old, &next_tree()).await.unwrap();
    let known = [stored(&claim("p", 1, "x"), &first)];
    assert_eq!(find(store, &["p"]).await, known);
}

pub(crate) async fn one_of_two_logs_is_first(database: &Database) {
    let store = &*database.store;
    let other_store = database.open_again().await;
    let of_api = |id, api: &str| TreeRow {
        api: api.to_owned(),
        ..tree(id, "a")
    };
    let rows = [of_api(1, "v1"), of_api(2, "v2")];
    assert!(store.create_trees(&rows).await.unwrap());
    let mut sizes = [0, 0];
    for turn in 0..TURNS {
        let (mut one, mut other) = (
            store.writer().await.unwrap(),
            other_store.writer().await.unwrap(),
        );
        let name = format!("p{turn}");
        // Whether in one aspect or in two.
        let aspect = 1 + (turn % 2) as i16;
        let claims = [[claim(&name, 1, "x")], [claim(&name, aspect, "y")]];
        let left = claiming(
            store,
            TreeId(1),
            sizes[0],
            &name,
            Taken::Refused,
            &claims[0],
        )
        .await;
        let right = claiming(
            store,
            TreeId(2),
            sizes[1],
            &name,
            Taken::Refused,
            &claims[1],
        )
        .await;
        let outcomes = tokio::join!(one.commit(&left), other.commit(&right));
        let (winner, value) = match outcomes {
            (Ok(Commit::Done), Err(StoreError::Conflict(_)) | Ok(Commit::LostRace)) => (0, &left),
            (Err(StoreError::Conflict(_)) | Ok(Commit::LostRace), Ok(Commit::Done)) => (1, &right),
            neither => panic!("{neither:?}"),
        };
        sizes[winner] += 1;
        let found = find(store, &[&name]).await;
        assert_eq!(found, [stored(&claims[winner][0], value)]);
    }
    for (tree, size) in [TreeId(1), TreeId(2)].into_iter().zip(sizes) {
        let counts = store.audit_counts(tree, TreeSize(size)).await.unwrap();
        assert_eq!((counts.entries, counts.claims), (size, size));
        assert_eq!(counts.beyond_newest_head, 0);
    }
}

/// Within the section of one log no round of another one stores claims, and rounds without claims go
/// on where the database takes rounds of several trees.
pub(crate) async fn a_lock_keeps_other_claims_out(database: &Database) {
    let store = &*database.store;
    let of_api = |id, api: &str| TreeRow {
        api: api.to_owned(),
        ..tree(id, "a")
    };
    let rows = [of_api(1, "v1"), of_api(2, "v2")];
    assert!(store.create_trees(&rows).await.unwrap());
    let (mut one, mut other) = (store.writer().await.unwrap(), store.writer().await.unwrap());
    one.begin_exclusive(TreeId(1)).await.unwrap();
    one.lock_claims().await.unwrap();
    let claims = [claim("p", 1, "x")];
    let sent = claiming(store, TreeId(2), 0, "other", Taken::Refused, &claims).await;
    if store.is_shared() {
        assert_eq!(other.commit(&sent).await.unwrap(), Commit::LostRace);
        let plain = round(store, TreeId(2), 0, entries("plain", 1)).await;
        assert_eq!(other.commit(&plain).await.unwrap(), Commit::Done);
    }
    let own = claiming(store, TreeId(1), 0, "own", Taken::Refused, &claims).await;
    assert_eq!(one.find_claims(&[claims[0].key]).await.unwrap(), []);
    assert_eq!(one.commit(&own).await.unwrap(), Commit::Done);
    assert_eq!(find(store, &["p"]).await, [stored(&claims[0], &own)]);
    // The lock ended with the section.
    let size = u64::from(store.is_shared());
    let free = claiming(
        store,
        TreeId(2),
        size,
        "free",
        Taken::Refused,
        &[claim("q", 1, "x")],
    )
    .await;
    assert_eq!(other.commit(&free).await.unwrap(), Commit::Done);
}
