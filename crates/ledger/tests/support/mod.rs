//! A ledger of one log of Rekor v1, for tests in which its API does not matter.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use ledger::guard::memory::MemoryGuard;
use ledger::store::Store;
use ledger::{
    APIS, DEFAULT_NAME, KeyRing, Ledger, Log, NewLog, OpenError, Settings, SystemClock, V1,
    create_logs, find_ledger,
};
use prometheus::Registry;
use ring::rand::SystemRandom;
use tlog::SigningKey;

/// An open ledger that is used as its only log.
#[derive(Clone)]
pub(crate) struct OneLog {
    pub(crate) whole: Ledger,
}

impl Deref for OneLog {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.whole.logs()[0]
    }
}

impl OneLog {
    pub(crate) async fn stop(&self) {
        self.whole.stop().await;
    }
}

pub(crate) fn key(pkcs8: &[u8]) -> SigningKey {
    SigningKey::from_pkcs8(pkcs8, &SystemRandom::new()).unwrap()
}

/// The key for C2SP checkpoints of every log of Rekor v1 in this process.
pub(crate) fn checkpoint_key() -> SigningKey {
    static PKCS8: OnceLock<Vec<u8>> = OnceLock::new();
    key(PKCS8.get_or_init(|| SigningKey::generate_ed25519_pkcs8(&SystemRandom::new()).unwrap()))
}

/// The settings of a server that has the keys of a log of Rekor v1.
pub(crate) fn settings(store: impl Store, pkcs8: &[u8]) -> Settings {
    Settings {
        store: Arc::new(store),
        apis: &APIS,
        name: None,
        keys: KeyRing::new([key(pkcs8), checkpoint_key()]),
        place: "test".into(),
        witnessing: None,
        guard: Arc::new(MemoryGuard::new(DEFAULT_NAME)),
        created: Vec::new(),
        clock: Arc::new(SystemClock),
        rng: SystemRandom::new(),
        metrics: Registry::new(),
    }
}

/// A new log of Rekor v1 with this log key.
pub(crate) fn new_v1(pkcs8: &[u8]) -> NewLog {
    NewLog {
        api: &V1,
        origin: None,
        log_key: key(pkcs8).verifying_key().clone(),
        checkpoint_key: Some(checkpoint_key().verifying_key().clone()),
    }
}

/// Opens the ledger of a database. If there is none, makes one whose log has this key.
pub(crate) async fn open_v1(settings: Settings, pkcs8: &[u8]) -> Result<OneLog, OpenError> {
    let (store, rng) = (settings.store.as_ref(), SystemRandom::new());
    // If the database has the log, or another server makes it, this does nothing.
    create_logs(store, DEFAULT_NAME, &[new_v1(pkcs8)], &rng).await?;
    let whole = open(settings).await?;
    Ok(OneLog { whole })
}

/// Opens a ledger as if this start had created it, unless its guard knows better.
pub(crate) async fn open(settings: Settings) -> Result<Ledger, OpenError> {
    let active = find_ledger(settings.store.as_ref(), settings.name.as_deref()).await?;
    let active = active.unwrap_or_default();
    let created = active.iter().map(|tree| tree.tree_id).collect();
    Ledger::open(Settings {
        created,
        ..settings
    })
    .await
}
