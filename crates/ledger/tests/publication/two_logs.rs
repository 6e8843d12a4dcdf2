//! The witness policy of a ledger covers all its logs.

use std::time::Duration;

use ledger::events::{Filter, Position};
use ledger::rotation;
use ledger::store::{
    ClaimRules, ClaimValues, FinalCheckpoint, OnContradiction, OnIncomparable, Rotation as _, Store,
};
use ledger::{
    AppendError, Appended, EntryClaims, HeadForm, Ledger, Log, NewClaim, NewEntry, V1, V2,
};
use ring::rand::SystemRandom;
use tlog::{Checkpoint, Note};

use super::both::Keys;
use super::readers::Readers;
use super::support::key;
use super::witness::Behaviour;
use super::{TWO_OF_THREE, World, assert_one_head, entry, run, seeds};

/// A world whose ledger has two logs.
struct Both {
    world: World,
    keys: Keys,
}

impl Both {
    fn new(world: World) -> Self {
        let keys = Keys::new();
        Self { world, keys }
    }

    async fn open(&self) -> Ledger {
        let settings = self.world.settings(TWO_OF_THREE, None);
        self.keys.open(settings).await.unwrap()
    }

    fn behave(&self, behaviours: [Behaviour; 3]) {
        for (witness, behaviour) in behaviours.into_iter().enumerate() {
            self.world.witnesses.behave(witness, behaviour);
        }
    }
}

/// The text that witnesses cosign is the C2SP checkpoint of the tree, without an extension line.
fn assert_cosigned_form(log: &Log) {
    let head = log.head();
    let note = Note::parse(&head.checkpoint).unwrap();
    let stated = Checkpoint::parse(note.text()).unwrap();
    assert_eq!(stated.origin, head.tree.origin);
    assert!(stated.extensions.is_empty(), "{note}");
    let has_rekor_text = log.api().heads == HeadForm::RekorV1;
    assert_eq!(head.rekor_checkpoint.is_some(), has_rekor_text);
}

#[test]
fn both_logs_are_cosigned_and_fail_closed() {
    use Behaviour::{Dead, Honest};
    run(1, async |store| {
        let both = Both::new(World::new(store.clone(), 3));
        let ledger = both.open().await;
        let place = format!("{}/trees/{}", ledger.name(), ledger.logs()[0].tree().id);
        let origins = ledger.logs().iter().map(|log| log.tree().origin.clone());
        assert_eq!(
            origins.collect::<Vec<_>>(),
            [place, ledger.name().to_owned()]
        );
        for log in ledger.logs() {
            log.append(entry(1)).await.unwrap();
            assert!(both.world.cosignatures(log) >= 2, "{}", log.api());
            assert_cosigned_form(log);
        }

        both.behave([Honest, Dead, Dead]);
        for log in ledger.logs() {
            for n in 2..4 {
                let refused = log.append(entry(n)).await;
                let is_refused = matches!(refused, Err(AppendError::Unpublished { .. }));
                assert!(is_refused, "{}: {refused:?}", log.api());
            }
            log.newest_head().await.unwrap();
            assert_eq!(log.head().size.0, 1, "{}", log.api());
            // Both entries are durable, and one is published.
            let events = ledger.events();
            let reader = events.reader(Position::START, Filter::default()).await;
            let page = reader.unwrap().read(100).await.unwrap();
            assert_eq!(
                (page.events.len(), page.more),
                (2, false),
                "one of each log"
            );
            assert!(both.world.cosignatures(log) >= 2, "{}", log.api());
        }

        both.behave([Honest, Dead, Honest]);
        tokio::time::sleep(Duration::from_secs(2)).await;
        for log in ledger.logs() {
            // The first of the refused ones was stored.
            assert_eq!(log.head().size.0, 2, "{}", log.api());
            let duplicate = log.append(entry(2)).await;
            assert!(
                matches!(duplicate, Ok(Appended::Duplicate(_))),
                "{duplicate:?}"
            );
            let new = log.append(entry(3)).await;
            assert!(matches!(new, Ok(Appended::Sequenced(_))), "{new:?}");
            assert_eq!(both.world.cosignatures(log), 2, "{}", log.api());
        }
        ledger.ready().await.unwrap();
    });
}

/// An answer that names the first entry of a name waits until that entry is published, in its own log.
#[test]
fn a_contradiction_is_told_once_the_first_entry_is_published() {
    use Behaviour::{Dead, Honest};
    run(1, async |store| {
        let both = Both::new(World::new(store.clone(), 3));
        let ledger = both.open().await;
        let [v1, v2] = [&V1, &V2].map(|api| ledger.log(api).unwrap());
        let claiming = |n: u64, value: u8| NewEntry {
            claims: EntryClaims {
                list: vec![NewClaim {
                    name: "p".into(),
                    values: ClaimValues::from([(1, vec![value])]),
                }],
                rules: ClaimRules {
                    contradictory: OnContradiction::Refused,
                    incomparable: OnIncomparable::Accepted,
                },
            },
            ..entry(n)
        };
        both.behave([Honest, Dead, Dead]);
        let waits = v1.append(claiming(1, 1)).await;
        assert!(
            matches!(waits, Err(AppendError::Unpublished { .. })),
            "{waits:?}"
        );
        let refused = v2.append(claiming(2, 2)).await;
        let Err(AppendError::Contradiction(found)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(found.first.tree, v1.tree().id);
        let waits = ledger.wait_shown(&found).await;
        assert!(
            matches!(waits, Err(AppendError::Unpublished { .. })),
            "{waits:?}"
        );
        both.behave([Honest, Honest, Dead]);
        ledger.wait_shown(&found).await.unwrap();
        assert_eq!(v1.head().size.0, 1);
    });
}

/// The one that is frozen keeps the cosignatures of its last head, and only the note of the freeze,
/// which no witness signs, says that it is frozen.
#[test]
fn servers_with_faults_publish_both_logs_and_rotate_one() {
    for seed in seeds() {
        run(seed, async |store| {
            let both = Both::new(World::new(store.clone(), 3));
            let servers = [both.open().await, both.open().await];
            let readers = Readers::start(&servers, &store, seed, 4);
            store.with(|state| state.fault_every = 5);
            both.world.witnesses.fail_one_in(4);
            let frozen = servers[0].log(&V2).unwrap().tree().id;
            for step in 0..4 {
                let mut writers = Vec::new();
                for n in 0..20 {
                    let log = servers[n % 2].logs()[n / 10].clone();
                    let entry = entry(step * 20 + n as u64);
                    writers.push(tokio::spawn(async move {
                        let answer = log.append(entry).await;
                        assert_one_head(&log);
                        answer
                    }));
                }
                if step == 1 {
                    both.rotate_v2().await;
                }
                for writer in writers {
                    let answer = writer.await.unwrap();
                    let Ok(Appended::Sequenced(logged) | Appended::Duplicate(logged)) = answer
                    else {
                        continue;
                    };
                    let last = store.with(|state| {
                        let publications = &state.tables.of(logged.tree).publications;
                        publications.last().unwrap().size
                    });
                    assert!(
                        logged.leaf_index.0 < last.0,
                        "answered before it was published"
                    );
                }
                for log in servers.iter().flat_map(Ledger::logs) {
                    log.newest_head().await.ok();
                    assert_eq!(log.halted(), None);
                    assert_cosigned_form(log);
                    assert!(log.head().size.0 == 0 || both.world.cosignatures(log) >= 2);
                }
            }
            store.with(|state| state.fault_every = 0);
            both.world.witnesses.fail_one_in(0);
            tokio::time::sleep(Duration::from_secs(20)).await;
            let last = store.final_checkpoint(frozen).await.unwrap().unwrap();
            assert_frozen_texts(&last);
            for server in &servers {
                for log in server.logs() {
                    log.newest_shards().await.unwrap();
                    assert_one_head(log);
                }
                let head = server.log(&V2).unwrap().head_of(frozen).unwrap();
                assert_eq!(head.checkpoint, last.checkpoint);
                assert_eq!(head.freeze_note.as_ref(), Some(&last.freeze_note));
            }
            readers.assert_each_saw_all(&servers[0]).await;
        });
    }
}

fn assert_frozen_texts(last: &FinalCheckpoint) {
    assert_eq!(last.rekor_checkpoint, None);
    let checkpoint = Note::parse(&last.checkpoint).unwrap();
    let stated = Checkpoint::parse(checkpoint.text()).unwrap();
    // No witness is asked for the head of an empty tree.
    let is_cosigned = checkpoint.signatures().len() >= 3;
    assert!(is_cosigned || stated.size.0 == 0, "{checkpoint}");
    assert!(stated.extensions.is_empty(), "{checkpoint}");
    let freeze = Note::parse(&last.freeze_note).unwrap();
    assert_eq!(freeze.signatures().len(), 1, "{freeze}");
    let note = Checkpoint::parse(freeze.text()).unwrap();
    assert!(
        note.extensions[0].starts_with("Log frozen \u{2014} "),
        "{freeze}"
    );
    assert_eq!((note.size, note.root), (stated.size, stated.root));
}

impl Both {
    /// Freezes the tree of v2 and opens its next one.
    async fn rotate_v2(&self) {
        let store = &self.world.store;
        let trees = store.trees().await.unwrap();
        let tree = trees.iter().find(|tree| tree.api == V2.name).unwrap();
        let (next, rng) = (key(&self.keys.v2[1]), SystemRandom::new());
        let next = next.verifying_key();
        rotation::register(store, tree, next).await.unwrap();
        let origin = rotation::default_origin(&tree.origin, 2);
        while store.trees().await.unwrap().len() == trees.len() {
            let frozen = rotation::freeze(store, tree, next, Some(&origin), &rng).await;
            drop(frozen);
        }
        let v1 = trees.iter().find(|tree| tree.api == V1.name).unwrap();
        assert_eq!(rotation::registered(store, v1).await.unwrap(), None);
    }
}
