//! A log on SQLite in a folder of its own, behind the router.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use ledger::store::sqlite::SqliteStore;
use ledger::{Apis, Clock, KeyRing, Ledger, SystemClock, key_file, rotation};
use ring::rand::SystemRandom;
use server::{BuildInfo, Settings};
use tempfile::TempDir;
use tlog::{KeyAlgorithm, SigningKey};
use tower::ServiceExt as _;

/// Name of the log: the one that the recordings have.
pub(crate) const NAME: &str = "rekor-lab";

/// A running log.
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

/// An empty log with its settings, before a server is made of it.
pub(crate) async fn open_log() -> (Ledger, Settings, TempDir) {
    open_log_for(Apis::Both).await
}

/// The same, for some of the APIs.
pub(crate) async fn open_log_for(apis: Apis) -> (Ledger, Settings, TempDir) {
    open_log_by(Arc::new(SystemClock), apis).await
}

/// The same by this clock.
pub(crate) async fn open_log_by(clock: Arc<dyn Clock>, apis: Apis) -> (Ledger, Settings, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let rng = SystemRandom::new();
    let key = SigningKey::generate_p256_pkcs8(&rng).expect("randomness");
    let key = SigningKey::from_pkcs8(&key, &rng).expect("the key just made");
    let store = SqliteStore::open(&database(folder.path()))
        .await
        .expect("a database");
    ledger::create_tree(&store, NAME, apis, key.verifying_key(), None, &rng)
        .await
        .expect("a tree");
    let metrics = prometheus::Registry::new();
    let ledger = Ledger::open(ledger::Settings {
        store: Arc::new(store),
        name: Some(NAME.to_owned()),
        keys: KeyRing::new([key]).with_folder(keys(folder.path()), &rng),
        place: "test".into(),
        cosigner: None,
        witnessing: None,
        clock,
        rng,
        metrics: metrics.clone(),
    })
    .await
    .expect("an empty log opens");
    let build = BuildInfo {
        version: "0.0.0".into(),
        revision: "unknown".into(),
        build_date: "unknown".into(),
        compiler: "rustc".into(),
    };
    (ledger, Settings::new(metrics, build, "test".into()), folder)
}

fn database(folder: &Path) -> PathBuf {
    folder.join("log.sqlite")
}

fn keys(folder: &Path) -> PathBuf {
    folder.join("keys")
}

/// Rotates the log in this folder, as `treehead rotate` does beside a server, and waits until the
/// server has moved on and finished the frozen tree.
pub(crate) async fn rotate(ledger: &Ledger, folder: &Path, origin_v2: &str) {
    let rng = SystemRandom::new();
    let store = SqliteStore::open(&database(folder))
        .await
        .expect("the database");
    let active = ledger
        .trees()
        .await
        .expect("readable")
        .pop()
        .expect("an active tree");
    fs::create_dir_all(keys(folder)).expect("a folder of keys");
    let path = keys(folder).join(format!("{}.pem", active.tree_id));
    let (key, _) = key_file::read_or_make(&path, KeyAlgorithm::EcdsaP256, &rng).expect("a key");
    let key = key.verifying_key();
    rotation::register(&store, &active.name, key)
        .await
        .expect("registered");
    rotation::freeze(&store, &active, key, origin_v2, &rng)
        .await
        .expect("frozen");
    let has_moved = || ledger.tree().id != active.tree_id;
    let is_finished = || {
        ledger
            .head_of(active.tree_id)
            .is_some_and(|head| head.checkpoint_v2.contains("Log frozen"))
    };
    while !(has_moved() && is_finished()) {
        tokio::task::yield_now().await;
    }
}

impl TestLog {
    /// An empty log with the default settings.
    pub(crate) async fn start() -> Self {
        Self::of(open_log().await)
    }

    /// A log that was opened.
    pub(crate) fn of((ledger, settings, folder): (Ledger, Settings, TempDir)) -> Self {
        let router = server::router(ledger.clone(), &settings).expect("fresh metrics");
        Self {
            ledger,
            router,
            folder,
        }
    }

    /// Goes on in a new tree with this v2 origin.
    pub(crate) async fn rotate(&self, origin_v2: &str) {
        rotate(&self.ledger, self.folder.path(), origin_v2).await;
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
