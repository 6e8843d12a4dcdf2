//! A ledger on SQLite in a folder of its own, behind the router.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use ledger::guard::memory::MemoryGuard;
use ledger::store::Store as _;
use ledger::store::sqlite::SqliteStore;
use ledger::{
    APIS, Api, Clock, KeyRing, Ledger, Log, NewLog, SystemClock, V1, V2, key_file, rotation,
};
use ring::rand::SystemRandom;
use server::{BuildInfo, Settings};
use tempfile::TempDir;
use tlog::{KeyAlgorithm, SigningKey};
use tower::ServiceExt as _;

/// Name of the ledger, and origin of its v2 log: the one that the recordings have.
pub(crate) const NAME: &str = "rekor-lab";

/// The v1 log.
pub(crate) const OF_V1: Logs = &[(&V1, KeyAlgorithm::EcdsaP256)];
/// The v2 log with its usual key.
pub(crate) const OF_V2: Logs = &[(&V2, KeyAlgorithm::Ed25519)];
/// Both logs, as they are made by default.
pub(crate) const OF_BOTH: Logs = &[OF_V1[0], OF_V2[0]];

/// The logs of a ledger, each with the algorithm of its log key.
pub(crate) type Logs = &'static [(&'static Api, KeyAlgorithm)];

/// A running ledger.
pub(crate) struct TestLog {
    pub(crate) ledger: Ledger,
    router: Router,
    folder: TempDir,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The body as text, what is no text replaced.
    pub(crate) body: String,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// A header as text; empty where it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("visible ASCII"))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// An empty ledger of both logs with its settings, before a server is made of it.
pub(crate) async fn open_log() -> (Ledger, Settings, TempDir) {
    open_log_for(OF_BOTH).await
}

/// The same with these logs.
pub(crate) async fn open_log_for(logs: Logs) -> (Ledger, Settings, TempDir) {
    open_log_by(Arc::new(SystemClock), logs).await
}

/// The same by this clock.
pub(crate) async fn open_log_by(clock: Arc<dyn Clock>, logs: Logs) -> (Ledger, Settings, TempDir) {
    open_logs(clock, logs, &APIS).await
}

/// The same in a program that knows these APIs.
pub(crate) async fn open_logs(
    clock: Arc<dyn Clock>,
    logs: Logs,
    apis: &'static [&'static Api],
) -> (Ledger, Settings, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let rng = SystemRandom::new();
    let store = SqliteStore::open(&database(folder.path()))
        .await
        .expect("a database");
    let (mut keys, mut made) = (Vec::new(), Vec::new());
    for (api, algorithm) in logs {
        let log_key = key(*algorithm);
        let checkpoint_key = key(KeyAlgorithm::Ed25519);
        let name = api.name;
        made.push(NewLog {
            api,
            // v1 has none, and v2 the name of the ledger.
            origin: (![V1.name, V2.name].contains(&name)).then(|| format!("{name}.example")),
            log_key: log_key.verifying_key().clone(),
            checkpoint_key: (**api == V1).then(|| checkpoint_key.verifying_key().clone()),
        });
        keys.extend([log_key, checkpoint_key]);
    }
    let is_made = ledger::create_logs(&store, NAME, &made, &rng).await;
    assert!(is_made.expect("logs"));
    let active = ledger::find_ledger(&store, Some(NAME))
        .await
        .expect("a ledger");
    let active = active.unwrap_or_default();
    let created = active.iter().map(|tree| tree.tree_id).collect();
    let metrics = prometheus::Registry::new();
    let ledger = Ledger::open(ledger::Settings {
        store: Arc::new(store),
        apis,
        name: Some(NAME.to_owned()),
        keys: KeyRing::new(keys).with_folder(key_folder(folder.path()), &rng),
        place: "test".into(),
        witnessing: None,
        guard: Arc::new(MemoryGuard::new(NAME)),
        created,
        clock,
        rng,
        metrics: metrics.clone(),
    })
    .await
    .expect("an empty ledger opens");
    let build = BuildInfo {
        version: "0.0.0".into(),
        revision: "unknown".into(),
        build_date: "unknown".into(),
        compiler: "rustc".into(),
    };
    (ledger, Settings::new(metrics, build, "test".into()), folder)
}

fn key(algorithm: KeyAlgorithm) -> SigningKey {
    let rng = SystemRandom::new();
    let key = match algorithm {
        KeyAlgorithm::EcdsaP256 => SigningKey::generate_p256_pkcs8(&rng),
        KeyAlgorithm::Ed25519 => SigningKey::generate_ed25519_pkcs8(&rng),
    };
    SigningKey::from_pkcs8(&key.expect("randomness"), &rng).expect("the key just made")
}

fn database(folder: &Path) -> PathBuf {
    folder.join("log.sqlite")
}

fn key_folder(folder: &Path) -> PathBuf {
    folder.join("keys")
}

/// Rotates a log of the ledger in this folder, as `treehead rotate` does beside a server, and waits
/// until the server has moved on and finished the frozen tree. `origin` is that of the next tree,
/// except in the v1 log.
pub(crate) async fn rotate(log: &Log, folder: &Path, origin: Option<&str>) {
    let rng = SystemRandom::new();
    let store = SqliteStore::open(&database(folder))
        .await
        .expect("the database");
    let active = log.tree();
    let trees = store.trees().await.expect("readable");
    let row = trees.into_iter().find(|row| row.tree_id == active.id);
    let row = row.expect("the active tree");
    fs::create_dir_all(key_folder(folder)).expect("a folder of keys");
    let path = key_folder(folder).join(format!("{}.pem", active.id));
    let algorithm = active.log_key.algorithm();
    let (key, _) = key_file::read_or_make(&path, &[algorithm], &rng).expect("a key");
    let key = key.verifying_key();
    rotation::register(&store, &row, key)
        .await
        .expect("registered");
    rotation::freeze(&store, &row, key, origin, &rng)
        .await
        .expect("frozen");
    let has_moved = || log.tree().id != active.id;
    let is_finished = || {
        log.head_of(active.id)
            .is_some_and(|head| head.freeze_note.is_some())
    };
    while !(has_moved() && is_finished()) {
        tokio::task::yield_now().await;
    }
}

impl TestLog {
    /// An empty ledger with the default settings.
    pub(crate) async fn start() -> Self {
        Self::of(open_log().await)
    }

    /// A ledger that was opened.
    pub(crate) fn of((ledger, settings, folder): (Ledger, Settings, TempDir)) -> Self {
        let router = server::router(ledger.clone(), &settings).expect("fresh metrics");
        Self {
            ledger,
            router,
            folder,
        }
    }

    /// The v1 log.
    pub(crate) fn v1(&self) -> &Log {
        self.ledger.log(&V1).expect("a v1 log")
    }

    /// The v2 log.
    pub(crate) fn v2(&self) -> &Log {
        self.ledger.log(&V2).expect("a v2 log")
    }

    /// Goes on in a new tree of the v1 log.
    pub(crate) async fn rotate_v1(&self) {
        rotate(self.v1(), self.folder.path(), None).await;
    }

    /// Goes on in a new tree of the v2 log with this origin.
    pub(crate) async fn rotate_v2(&self, origin: &str) {
        rotate(self.v2(), self.folder.path(), Some(origin)).await;
    }

    /// Sends one request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("in memory").to_bytes().to_vec();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            bytes,
        }
    }

    /// GET.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(Request::get(target).body(Body::empty()).expect("a request"))
            .await
    }

    /// POST of JSON.
    pub(crate) async fn post(&self, target: &str, body: &str) -> Answer {
        let request = Request::post(target)
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .body(Body::from(body.to_owned()))
            .expect("a request");
        self.send(request).await
    }
}
