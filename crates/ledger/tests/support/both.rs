//! A ledger of a log of Rekor v1 and one of Rekor v2.

use ledger::{DEFAULT_NAME, KeyRing, Ledger, NewLog, OpenError, Settings, V2, create_logs};
use ring::rand::SystemRandom;
use tlog::SigningKey;

use crate::support::{self, checkpoint_key, key};

/// The keys of both logs, and those of the trees that come next.
pub(crate) struct Keys {
    pub(crate) v1: [Vec<u8>; 2],
    pub(crate) v2: [Vec<u8>; 2],
}

impl Keys {
    pub(crate) fn new() -> Self {
        let rng = SystemRandom::new();
        let p256 = || SigningKey::generate_p256_pkcs8(&rng).unwrap();
        let ed25519 = || SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
        Self {
            v1: [p256(), p256()],
            v2: [ed25519(), ed25519()],
        }
    }

    pub(crate) fn ring(&self) -> KeyRing {
        let log_keys = self.v1.iter().chain(&self.v2).map(|pkcs8| key(pkcs8));
        KeyRing::new(log_keys.chain([checkpoint_key()]))
    }

    pub(crate) fn logs(&self) -> [NewLog; 2] {
        let v2 = NewLog {
            api: &V2,
            origin: None,
            log_key: key(&self.v2[0]).verifying_key().clone(),
            checkpoint_key: None,
        };
        [support::new_v1(&self.v1[0]), v2]
    }

    /// Opens the ledger of a database. If there is none, makes it.
    pub(crate) async fn open(&self, settings: Settings) -> Result<Ledger, OpenError> {
        let (store, rng) = (settings.store.as_ref(), SystemRandom::new());
        // If the database has the ledger, or another server makes it, this does nothing.
        create_logs(store, DEFAULT_NAME, &self.logs(), &rng).await?;
        let keys = self.ring();
        support::open(Settings { keys, ..settings }).await
    }
}
