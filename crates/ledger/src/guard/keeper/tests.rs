use std::sync::{Condvar, Mutex};

use tlog::Edge;

use super::*;
use crate::guard::samples::{guarded_head, head_of, two_logs};
use crate::guard::{FilePlace, GuardedHeads};
use crate::ids::TreeId;

const LEDGER: &str = "log.example.org";

/// A place in memory. Its clones are handles to it.
#[derive(Clone, Default)]
struct Memory(Arc<(Mutex<Content>, Condvar)>);

#[derive(Default)]
struct Content {
    heads: Option<GuardedHeads>,
    writes: usize,
    mode: Mode,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Works,
    Fails,
    Hangs,
    Panics,
}

impl Memory {
    fn set(&self, mode: Mode) {
        self.0.0.lock().unwrap().mode = mode;
        self.0.1.notify_all();
    }

    fn heads(&self) -> Option<GuardedHeads> {
        self.0.0.lock().unwrap().heads.clone()
    }

    fn size(&self, api: &str) -> Option<u64> {
        let heads = self.heads()?.heads;
        let head = heads.iter().find(|head| head.api == api)?;
        Some(head.size().0)
    }

    fn writes(&self) -> usize {
        self.0.0.lock().unwrap().writes
    }
}

impl Place for Memory {
    fn label(&self) -> String {
        format!("memory {:p}", Arc::as_ptr(&self.0))
    }

    fn read(&mut self) -> Result<Option<GuardedHeads>, PlaceError> {
        Ok(self.heads())
    }

    fn write(&mut self, heads: &GuardedHeads) -> Result<(), PlaceError> {
        let (content, changed) = &*self.0;
        let content = content.lock().unwrap();
        let hangs = |content: &mut Content| content.mode == Mode::Hangs;
        let mut content = changed.wait_while(content, hangs).unwrap();
        content.writes += 1;
        match content.mode {
            Mode::Fails => return Err(PlaceError("out of order".into())),
            Mode::Panics => {
                drop(content);
                panic!("for this test");
            }
            Mode::Works | Mode::Hangs => {}
        }
        content.heads = Some(heads.clone());
        Ok(())
    }
}

fn start(places: &[Memory]) -> Arc<Keeper> {
    let places = places.iter().map(|place| Box::new(place.clone()) as _);
    Keeper::start(LEDGER, places.collect(), Vec::new(), &Registry::new()).unwrap()
}

#[tokio::test]
async fn a_head_is_at_each_place_before_it_is_kept() {
    let places = [Memory::default(), Memory::default()];
    let keeper = start(&places);
    assert!(keeper.heads().heads.is_empty());
    keeper.keep(guarded_head("v1", 5)).await.unwrap();
    keeper.keep(guarded_head("v2", 3)).await.unwrap();
    for place in &places {
        assert_eq!(place.heads().unwrap(), two_logs(5, 3));
    }
    assert_eq!(keeper.heads(), two_logs(5, 3));
    assert_eq!(keeper.fault(), None);
}

#[tokio::test]
async fn only_a_newer_head_is_written() {
    let place = Memory::default();
    let keeper = start(std::slice::from_ref(&place));
    keeper.keep(guarded_head("v1", 5)).await.unwrap();
    let writes = place.writes();
    for size in [5, 4, 0] {
        keeper.keep(guarded_head("v1", size)).await.unwrap();
    }
    assert_eq!((place.writes(), place.size("v1")), (writes, Some(5)));
    // A head of the next tree, and then a late one of the tree before it.
    let mut next = guarded_head("v1", 1);
    (next.tree, next.first_log_index) = (TreeId(8), 5);
    keeper.keep(next.clone()).await.unwrap();
    keeper.keep(guarded_head("v1", 5)).await.unwrap();
    assert_eq!(place.heads().unwrap().heads, [next]);
}

#[tokio::test]
async fn a_second_head_of_one_size_is_refused() {
    let place = Memory::default();
    let keeper = start(std::slice::from_ref(&place));
    keeper.keep(guarded_head("v1", 2)).await.unwrap();
    let mut edge = Edge::empty();
    edge.append(&[tlog::leaf_hash(b"a"), tlog::leaf_hash(b"b")]);
    keeper.keep(head_of("v1", &edge)).await.unwrap_err();
    assert_eq!(place.heads().unwrap().heads, [guarded_head("v1", 2)]);
}

#[tokio::test]
async fn heads_that_come_together_share_a_write() {
    let place = Memory::default();
    place.set(Mode::Hangs);
    let keeper = start(std::slice::from_ref(&place));
    let kept: Vec<_> = (1..=20)
        .map(|size| {
            let keeper = Arc::clone(&keeper);
            tokio::spawn(async move { keeper.keep(guarded_head("v1", size)).await })
        })
        .collect();
    while keeper.board.version() < 20 {
        tokio::task::yield_now().await;
    }
    place.set(Mode::Works);
    for kept in kept {
        kept.await.unwrap().unwrap();
    }
    assert_eq!(place.size("v1"), Some(20));
    assert!(place.writes() <= 2, "{} writes", place.writes());
}

#[tokio::test]
async fn a_place_that_fails_is_left_behind_and_catches_up() {
    let (good, bad) = (Memory::default(), Memory::default());
    bad.set(Mode::Fails);
    let keeper = start(&[good.clone(), bad.clone()]);
    let begin = Instant::now();
    for size in 1..=5 {
        keeper.keep(guarded_head("v1", size)).await.unwrap();
        assert_eq!(good.size("v1"), Some(size as u64));
    }
    assert!(begin.elapsed() < PLACE_PATIENCE);
    assert_eq!((bad.size("v1"), keeper.fault()), (None, None));
    bad.set(Mode::Works);
    while bad.size("v1") != Some(5) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    keeper.keep(guarded_head("v1", 6)).await.unwrap();
    assert_eq!(bad.size("v1"), Some(6), "it is waited for again");
}

#[tokio::test]
async fn a_place_that_hangs_holds_up_one_head_for_a_second() {
    let (good, slow) = (Memory::default(), Memory::default());
    let keeper = start(&[good.clone(), slow.clone()]);
    slow.set(Mode::Hangs);
    let begin = Instant::now();
    keeper.keep(guarded_head("v1", 1)).await.unwrap();
    assert!(begin.elapsed() >= PLACE_PATIENCE);
    let begin = Instant::now();
    keeper.keep(guarded_head("v1", 2)).await.unwrap();
    assert!(begin.elapsed() < PLACE_PATIENCE / 2);
    slow.set(Mode::Works);
}

#[tokio::test]
async fn no_head_is_kept_while_no_place_works() {
    let places = [Memory::default(), Memory::default()];
    let keeper = start(&places);
    keeper.keep(guarded_head("v1", 1)).await.unwrap();
    for place in &places {
        place.set(Mode::Fails);
    }
    for _ in 0..2 {
        let error = keeper.keep(guarded_head("v1", 2)).await.unwrap_err();
        assert!(error.to_string().contains("out of order"), "{error}");
        assert!(keeper.fault().is_some());
    }
    assert_eq!(keeper.heads().heads, [guarded_head("v1", 1)]);
    places[1].set(Mode::Works);
    keeper.keep(guarded_head("v1", 2)).await.unwrap();
    assert_eq!((keeper.fault(), places[1].size("v1")), (None, Some(2)));
    let nowhere = start(&[]);
    nowhere.keep(guarded_head("v1", 1)).await.unwrap_err();
    assert!(nowhere.fault().is_some());
}

#[tokio::test]
async fn a_thread_that_panics_is_a_place_that_fails() {
    let (good, bad) = (Memory::default(), Memory::default());
    bad.set(Mode::Panics);
    let keeper = start(&[good.clone(), bad]);
    keeper.keep(guarded_head("v1", 1)).await.unwrap();
    keeper.keep(guarded_head("v1", 2)).await.unwrap();
    assert_eq!(good.size("v1"), Some(2));
    let readings = keeper.read().await;
    assert!(readings[0].found.is_ok() && readings[1].found.is_err());
}

#[tokio::test]
async fn the_head_of_a_log_that_is_read_only_stays_in_its_place() {
    let place = Memory::default();
    place.0.0.lock().unwrap().heads = Some(two_logs(100, 7));
    let keeper = start(std::slice::from_ref(&place));
    let readings = keeper.read().await;
    let found = readings[0].found.clone().unwrap();
    assert_eq!(found, Some(two_logs(100, 7)));
    keeper.keep(guarded_head("v2", 8)).await.unwrap();
    assert_eq!((place.size("v1"), place.size("v2")), (Some(100), Some(8)));
}

#[tokio::test]
async fn the_guard_of_another_ledger_is_not_overwritten() {
    let place = Memory::default();
    let mut others = two_logs(1, 1);
    others.ledger = "another.example.org".into();
    place.0.0.lock().unwrap().heads = Some(others.clone());
    let keeper = start(std::slice::from_ref(&place));
    let error = keeper.keep(guarded_head("v1", 8)).await.unwrap_err();
    assert!(error.to_string().contains("another.example.org"), "{error}");
    assert_eq!(place.heads(), Some(others));
}

struct Peer(Option<GuardedHeads>);

#[async_trait]
impl Source for Peer {
    fn label(&self) -> String {
        "peer".to_owned()
    }

    async fn read(&self) -> Result<Option<GuardedHeads>, PlaceError> {
        match &self.0 {
            Some(heads) => Ok(Some(heads.clone())),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sources_are_read_for_a_bounded_time() {
    let peers = [Some(two_logs(1, 2)), None];
    let peers = peers.map(|heads| Arc::new(Peer(heads)) as _).into();
    let keeper = Keeper::start(LEDGER, Vec::new(), peers, &Registry::new()).unwrap();
    let readings = keeper.read().await;
    let found = readings[0].found.clone().unwrap();
    assert_eq!(found, Some(two_logs(1, 2)));
    assert!(readings[1].found.is_err());
}

#[tokio::test]
async fn the_end_of_the_guard_releases_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard");
    for size in 1..=3 {
        let place = FilePlace::open(&path).unwrap();
        let keeper =
            Keeper::start(LEDGER, vec![Box::new(place)], Vec::new(), &Registry::new()).unwrap();
        keeper.keep(guarded_head("v1", size)).await.unwrap();
    }
    let mut place = FilePlace::open(&path).unwrap();
    let heads = place.read().unwrap().unwrap().heads;
    assert_eq!(heads, [guarded_head("v1", 3)]);
}

#[tokio::test]
async fn metrics_name_each_place() {
    let registry = Registry::new();
    let place = Memory::default();
    let keeper = Keeper::start(LEDGER, vec![Box::new(place)], Vec::new(), &registry).unwrap();
    keeper.keep(guarded_head("v1", 3)).await.unwrap();
    let names: Vec<_> = registry
        .gather()
        .iter()
        .map(|family| family.name().to_owned())
        .collect();
    for name in ["size", "failing", "failures_total", "write_seconds"] {
        let name = format!("treehead_guard_{name}");
        assert!(names.contains(&name), "{name} in {names:?}");
    }
}
