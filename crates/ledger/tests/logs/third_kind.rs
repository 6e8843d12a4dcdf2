//! A third kind of log, whose leaves have a format of their own, is a row and a value.

use std::ops::Range;

use futures_util::future::join_all;
use ledger::store::TreeState;
use ledger::{Api, HeadForm, KeyRing, Log, NewLog, OpenError, Settings, V1, V2};
use ring::rand::SystemRandom;
use tlog::{KeyAlgorithm, LeafIndex, SigningKey};

use super::support::{checkpoint_key, key};
use super::{World, assert_head, fill, leaf};

/// A kind of log that no release has.
static CT: Api = Api {
    name: "ct",
    log_key: &[KeyAlgorithm::EcdsaP256],
    heads: HeadForm::Checkpoint,
    max_leaf_bytes: 40_000,
};
static WITH_CT: [&Api; 3] = [&V1, &V2, &CT];

#[tokio::test]
async fn a_third_kind_of_log_is_a_row_and_a_value() {
    let world = World::new().await;
    let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
    let new_ct = NewLog {
        api: &CT,
        origin: Some("ct.localhost".to_owned()),
        log_key: key(&pkcs8).verifying_key().clone(),
        checkpoint_key: None,
    };
    let [v1, v2] = world.keys.logs();
    assert!(world.create(&[new_ct, v2, v1]).await.unwrap());
    let ring = [&world.keys.v1[0], &world.keys.v2[0], &pkcs8].map(|pkcs8| key(pkcs8));
    let settings = Settings {
        apis: &WITH_CT,
        keys: KeyRing::new(ring.into_iter().chain([checkpoint_key()])),
        ..world.settings()
    };
    let metrics = settings.metrics.clone();
    let ledger = crate::support::open(settings).await.unwrap();
    let names = ledger.logs().iter().map(|log| log.api().name);
    assert_eq!(names.collect::<Vec<_>>(), ["v1", "v2", "ct"]);

    // All three at once, with the same leaves.
    join_all(ledger.logs().iter().map(|log| fill(log, 300))).await;
    let ct = ledger.log(&CT).unwrap();
    for log in ledger.logs() {
        assert_head(log, 300);
    }
    assert_tiles(ct).await;
    let head = ct.head();
    assert_eq!(head.rekor_checkpoint, None);
    assert_eq!(head.shown_checkpoint(), head.checkpoint);
    assert_eq!(ledger.log_of(head.tree.id).unwrap().api(), &CT);
    let entry = ct.entries(&head, &[LeafIndex(7)]).await.unwrap().remove(0);
    let found = ct.find_leaves(&head, &[entry.leaf_hash]).await.unwrap();
    assert_eq!(found[0].leaf_index, LeafIndex(7));
    let proof = ct.inclusion_proof(&head, LeafIndex(7), &entry.leaf_hash);
    proof.await.unwrap();
    let families = metrics.gather();
    let sizes = families
        .iter()
        .find(|family| family.name() == "treehead_tree_size");
    let sizes = sizes.unwrap().get_metric().iter();
    let labels = sizes.map(|metric| metric.get_label()[0].value());
    assert_eq!(labels.collect::<Vec<_>>(), ["ct", "v1", "v2"]);

    ledger.stop().await;
    for api in WITH_CT {
        let tree = world.tree_of(api, TreeState::Active).await;
        assert_eq!(tree.max_leaf_bytes, api.max_leaf_bytes);
        world.assert_clean(&tree, api).await;
    }
    // A release that does not know the kind does not serve half of the ledger.
    let refused = crate::support::open(world.settings())
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(&refused, OpenError::UnknownApi(api) if api == "ct"),
        "{refused}"
    );
    assert!(refused.to_string().contains("\"ct\""), "{refused}");
}

/// The full tile and the full bundle of a log of 300 entries, and the partial ones after them.
async fn assert_tiles(log: &Log) {
    let head = log.head();
    let read = async |path: &str| {
        let tile = log.tile_resource(&head, path.parse().unwrap()).await;
        tile.unwrap().unwrap()
    };
    let hashes = |range: Range<u16>| range.map(|n| tlog::leaf_hash(&leaf(n)).0);
    let bundle =
        |range: Range<u16>| range.flat_map(|n| [&6_u16.to_be_bytes()[..], &leaf(n)].concat());
    assert_eq!(
        read("tile/0/000").await,
        hashes(0..256).collect::<Vec<_>>().concat()
    );
    assert_eq!(
        read("tile/0/001.p/44").await,
        hashes(256..300).collect::<Vec<_>>().concat()
    );
    assert_eq!(
        read("tile/entries/000").await,
        bundle(0..256).collect::<Vec<u8>>()
    );
    assert_eq!(
        read("tile/entries/001.p/44").await,
        bundle(256..300).collect::<Vec<u8>>()
    );
}
