//! Published heads: their compare-and-set, and whose turn it is.

use ledger::TreeId;
use ledger::store::PublicationRow;
use tlog::TreeSize;

use crate::database::Database;
use crate::samples::{START, one_tree, root};

fn publication(prev_size: Option<u64>, size: u64) -> PublicationRow {
    PublicationRow {
        prev_size: prev_size.map(TreeSize),
        size: TreeSize(size),
        root: root(size),
        time: START,
        checkpoint: format!("a\n{size}\n"),
    }
}

pub(crate) async fn each_is_larger_than_the_last_and_stored_once(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    assert_eq!(writer.newest_publication(tree).await.unwrap(), None);
    let mut publisher = store.publisher().await.unwrap();
    assert!(
        !publisher
            .publish(tree, &publication(Some(0), 1))
            .await
            .unwrap(),
        "nothing to follow"
    );
    // An empty tree can be the first.
    for (prev_size, size) in [(None, 0), (Some(0), 3), (Some(3), 300)] {
        assert!(
            publisher
                .publish(tree, &publication(prev_size, size))
                .await
                .unwrap()
        );
        assert!(
            !publisher
                .publish(tree, &publication(prev_size, size))
                .await
                .unwrap(),
            "once"
        );
    }
    for (prev_size, size) in [
        (None, 400),
        (Some(0), 400),
        (Some(2), 400),
        (Some(301), 400),
    ] {
        assert!(
            !publisher
                .publish(tree, &publication(prev_size, size))
                .await
                .unwrap(),
            "{prev_size:?}"
        );
    }
    let newest = Some(publication(Some(3), 300));
    for mut read in [
        store.reader(),
        database.open_again().await.reader(),
        writer as Box<dyn ledger::store::Read>,
    ] {
        assert_eq!(read.newest_publication(tree).await.unwrap(), newest);
        assert_eq!(read.newest_publication(TreeId(2)).await.unwrap(), None);
    }
    let all = store.publications(tree, None, 10).await.unwrap();
    assert_eq!(
        all,
        [
            publication(None, 0),
            publication(Some(0), 3),
            publication(Some(3), 300)
        ]
    );
    assert_eq!(
        store
            .publications(tree, Some(TreeSize(0)), 1)
            .await
            .unwrap(),
        all[1..2]
    );
    assert!(
        publisher
            .publish(tree, &publication(Some(300), 300))
            .await
            .is_err(),
        "one that does not grow is no publication"
    );
}

pub(crate) async fn one_of_two_publishers_wins(database: &Database) {
    let store = &*database.store;
    let (tree, _) = one_tree(store).await;
    let other_store = database.open_again().await;
    let (mut one, mut other) = (
        store.publisher().await.unwrap(),
        other_store.publisher().await.unwrap(),
    );
    assert!(one.publish(tree, &publication(None, 0)).await.unwrap());
    for size in 1..20 {
        let row = publication(Some(size - 1), size);
        let outcomes = tokio::join!(one.publish(tree, &row), other.publish(tree, &row));
        assert_eq!(
            u8::from(outcomes.0.unwrap()) + u8::from(outcomes.1.unwrap()),
            1,
            "size {size}"
        );
    }
    assert!(one.claim(tree).await.unwrap());
    if store.is_shared() {
        assert!(!other.claim(tree).await.unwrap());
        assert!(
            other.claim(TreeId(2)).await.unwrap(),
            "another tree's right is another"
        );
    }
    one.release(tree).await.unwrap();
    assert!(other.claim(tree).await.unwrap());
}
