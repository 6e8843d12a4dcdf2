//! A witness over HTTP, case by case as C2SP tlog-witness has them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use futures_util::future::join_all;
use http::{Request, StatusCode};
use ring::rand::SystemRandom;
use tlog::{
    AddCheckpoint, Checkpoint, EMPTY_ROOT, Edge, Hash, Note, NoteKey, SigningKey, TileId, TileTree,
    TreeSize, WitnessKey,
};
use tower::ServiceExt as _;
use witness::{Logs, State, Witness};

const ORIGIN: &str = "log.example";
const NAME: &str = "witness.example";
const NOW: u64 = 1_800_000_000;

fn new_key() -> SigningKey {
    let rng = SystemRandom::new();
    SigningKey::from_pkcs8(&SigningKey::generate_ed25519_pkcs8(&rng).unwrap(), &rng).unwrap()
}

/// A log, and the witness of it.
struct World {
    log: SigningKey,
    /// PKCS#8 of its key.
    witness: Vec<u8>,
    folder: tempfile::TempDir,
    leaves: Vec<Hash>,
}

impl World {
    fn new(leaves: u64) -> Self {
        let leaves = (0..leaves)
            .map(|n| tlog::leaf_hash(&n.to_be_bytes()))
            .collect();
        let witness = SigningKey::generate_ed25519_pkcs8(&SystemRandom::new()).unwrap();
        Self {
            log: new_key(),
            witness,
            folder: tempfile::tempdir().unwrap(),
            leaves,
        }
    }

    /// The witness as it is after a restart.
    async fn serve(&self) -> Router {
        self.serve_at(Box::new(|| NOW)).await
    }

    async fn serve_at(&self, clock: Box<dyn Fn() -> u64 + Send + Sync>) -> Router {
        let vkey = NoteKey::new(ORIGIN, self.log.verifying_key().clone()).unwrap();
        let logs = Logs::parse(&format!("# ours\n\n{vkey}\n{vkey} {ORIGIN} - 17\n")).unwrap();
        let state = State::open(&self.path()).await.unwrap();
        let witness = Witness::new(NAME, self.witness_key(), logs, state, clock).unwrap();
        witness::role(witness, prometheus::Registry::new())
            .unwrap()
            .router
    }

    fn path(&self) -> std::path::PathBuf {
        Path::new(self.folder.path()).join("witness.db")
    }

    fn witness_key(&self) -> SigningKey {
        SigningKey::from_pkcs8(&self.witness, &SystemRandom::new()).unwrap()
    }

    fn edge(&self, size: u64) -> Edge {
        let mut edge = Edge::empty();
        edge.append(&self.leaves[..size as usize]);
        edge
    }

    fn signed(&self, origin: &str, size: u64, root: Hash, key: &SigningKey) -> Note {
        let checkpoint = Checkpoint::new(origin, TreeSize(size), root);
        Note::parse(&checkpoint.sign(ORIGIN, key, &SystemRandom::new()).unwrap()).unwrap()
    }

    fn proof(&self, old_size: u64, size: u64) -> Vec<Hash> {
        let tiles: HashMap<TileId, Arc<TileTree>> = self.edge(size).tiles().into_iter().collect();
        tlog::consistency_proof(TreeSize(old_size), TreeSize(size), &tiles).unwrap()
    }

    /// An honest request.
    fn request(&self, old_size: u64, size: u64) -> AddCheckpoint {
        AddCheckpoint {
            old_size: TreeSize(old_size),
            proof: self.proof(old_size, size),
            checkpoint: self.signed(ORIGIN, size, self.edge(size).root(), &self.log),
        }
    }
}

async fn post(router: &Router, body: impl ToString) -> (StatusCode, String, String) {
    let request = Request::post("/add-checkpoint")
        .body(Body::from(body.to_string()))
        .unwrap();
    answer(router, request).await
}

async fn get(router: &Router, path: &str) -> (StatusCode, String, String) {
    answer(router, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn answer(router: &Router, request: Request<Body>) -> (StatusCode, String, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let content_type = response
        .headers()
        .get("content-type")
        .map(|value| value.to_str().unwrap().to_owned());
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (
        status,
        content_type.unwrap_or_default(),
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

#[tokio::test]
async fn every_case_of_the_specification_in_its_order() {
    let world = World::new(20);
    let router = world.serve().await;
    let status = async |body: String| post(&router, body).await.0.as_u16();
    let foreign = new_key();

    assert_eq!(status("nonsense".into()).await, 400);
    let mut unknown = world.request(0, 5);
    unknown.checkpoint = world.signed("other.example", 5, world.edge(5).root(), &world.log);
    assert_eq!(status(unknown.to_string()).await, 404);
    let mut unsigned = world.request(0, 5);
    unsigned.checkpoint = world.signed(ORIGIN, 5, world.edge(5).root(), &foreign);
    assert_eq!(status(unsigned.to_string()).await, 403);
    let spoiled = world.request(0, 5).to_string().replace("\n5\n", "\n6\n");
    assert_eq!(
        status(spoiled).await,
        403,
        "a known key's line that does not verify"
    );
    let mut older = world.request(0, 5);
    older.old_size = TreeSize(6);
    assert_eq!(status(older.to_string()).await, 400);
    // Never seen: its size is 0.
    let (code, content_type, body) = post(&router, world.request(3, 5)).await;
    assert_eq!(
        (code.as_u16(), content_type.as_str(), body.as_str()),
        (409, "text/x.tlog.size", "0\n")
    );
    let mut proof_from_0 = world.request(0, 5);
    proof_from_0.proof = vec![EMPTY_ROOT];
    assert_eq!(status(proof_from_0.to_string()).await, 422);
    let mut empty = world.request(0, 0);
    empty.checkpoint = world.signed(ORIGIN, 0, world.edge(5).root(), &world.log);
    assert_eq!(
        status(empty.to_string()).await,
        409,
        "an empty tree has one root"
    );

    assert_eq!(status(world.request(0, 0).to_string()).await, 200);
    assert_eq!(status(world.request(0, 5).to_string()).await, 200);
    let (code, content_type, body) = post(&router, world.request(0, 7)).await;
    assert_eq!(
        (code.as_u16(), content_type.as_str(), body.as_str()),
        (409, "text/x.tlog.size", "5\n")
    );
    assert_eq!(
        status(world.request(5, 5).to_string()).await,
        200,
        "the same again: another time"
    );
    let mut split = world.request(5, 5);
    split.checkpoint = world.signed(ORIGIN, 5, world.edge(4).root(), &world.log);
    let (code, content_type, body) = post(&router, &split).await;
    assert_eq!(
        (code.as_u16(), content_type.as_str(), body.as_str()),
        (409, "text/x.tlog.size", "5\n"),
        "another root"
    );
    split.proof = vec![EMPTY_ROOT];
    assert_eq!(
        status(split.to_string()).await,
        422,
        "a proof where there is nothing to prove"
    );
    let mut unproven = world.request(5, 9);
    unproven.proof = world.proof(4, 9);
    assert_eq!(status(unproven.to_string()).await, 422);
    assert_eq!(status(world.request(5, 9).to_string()).await, 200);
    assert_eq!(get(&router, "/add-checkpoint").await.0.as_u16(), 405);
    assert_eq!(status("x".repeat(65 * 1024)).await, 413);
}

#[tokio::test]
async fn monitors_read_what_was_cosigned_last_and_a_restart_forgets_nothing() {
    let world = World::new(20);
    let path = format!("/{}/checkpoint", tlog::sha256(ORIGIN.as_bytes()));
    let router = world.serve().await;
    assert_eq!(get(&router, &path).await.0.as_u16(), 404);
    assert_eq!(get(&router, "/00/checkpoint").await.0.as_u16(), 404);
    assert_eq!(post(&router, world.request(0, 5)).await.0.as_u16(), 200);
    drop(router);
    let router = world.serve().await;
    assert_eq!(post(&router, world.request(0, 7)).await.2, "5\n");
    let (code, _, text) = get(&router, &path).await;
    assert_eq!(code.as_u16(), 200);
    let note = Note::parse(&text).unwrap();
    note.verify(&[NoteKey::new(ORIGIN, world.log.verifying_key().clone()).unwrap()])
        .unwrap();
    assert_eq!(note.signatures().len(), 2);
    assert_eq!(Checkpoint::parse(note.text()).unwrap().size, TreeSize(5));
}

/// Two cosignatures of one head at two times would each be a statement of its own.
#[tokio::test]
async fn monitors_read_the_cosignature_that_was_given() {
    let world = World::new(7);
    let path = format!("/{}/checkpoint", tlog::sha256(ORIGIN.as_bytes()));
    let at = async |time: u64| world.serve_at(Box::new(move || time)).await;
    let (_, _, given) = post(&at(NOW).await, world.request(0, 5)).await;
    let later = at(NOW + 60).await;
    for _ in 0..2 {
        let (_, _, note) = get(&later, &path).await;
        assert!(note.ends_with(&given), "{note}");
    }
    let (_, _, given_again) = post(&later, world.request(5, 5)).await;
    assert_ne!(given_again, given, "another time");
    assert!(
        get(&at(NOW + 120).await, &path)
            .await
            .2
            .ends_with(&given_again)
    );
}

#[tokio::test]
async fn the_cosignature_is_of_this_witness_and_this_time() {
    let world = World::new(5);
    let key = WitnessKey::new(NAME, world.witness_key().verifying_key().clone()).unwrap();
    let router = world.serve().await;
    let request = world.request(0, 5);
    let (_, _, body) = post(&router, &request).await;
    let lines = tlog::parse_signature_lines(&body).unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(key.verify(request.checkpoint.text(), &lines[0]), Ok(NOW));
}

/// Of requests that race from one size, no two with other roots are cosigned, and the size never
/// goes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_race_has_one_winner() {
    let world = World::new(20);
    let router = world.serve().await;
    for size in 1..15 {
        let mut edge = world.edge(size - 1);
        edge.append(&[tlog::leaf_hash(b"another")]);
        let tiles: HashMap<TileId, Arc<TileTree>> = edge.tiles().into_iter().collect();
        let other = AddCheckpoint {
            old_size: TreeSize(size - 1),
            proof: tlog::consistency_proof(TreeSize(size - 1), TreeSize(size), &tiles).unwrap(),
            checkpoint: world.signed(ORIGIN, size, edge.root(), &world.log),
        };
        let honest = world.request(size - 1, size);
        let bodies = [
            honest.to_string(),
            other.to_string(),
            honest.to_string(),
            other.to_string(),
        ];
        let answers = join_all(bodies.iter().map(|body| post(&router, body))).await;
        let cosigned: Vec<bool> = answers
            .iter()
            .map(|answer| answer.0 == StatusCode::OK)
            .collect();
        let roots = u8::from(cosigned[0] || cosigned[2]) + u8::from(cosigned[1] || cosigned[3]);
        assert_eq!(roots, 1, "size {size}: {cosigned:?}");
        if cosigned[1] || cosigned[3] {
            // The log's lie was first: nothing of the honest tree is cosigned any more.
            assert_eq!(
                post(&router, world.request(size, size + 1))
                    .await
                    .0
                    .as_u16(),
                422
            );
            return;
        }
    }
}
