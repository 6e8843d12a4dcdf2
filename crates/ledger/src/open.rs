//! Opening a log: its settings, and the tree that they name.

use std::sync::Arc;

use ring::rand::SystemRandom;
use tlog::SigningKey;

use crate::apis::Apis;
use crate::clock::Clock;
use crate::heads::publication::Witnessing;
use crate::keys::key_ring::KeyRing;
use crate::open_error::OpenError;
use crate::shards::trees::{DEFAULT_NAME, create_tree, find_log};
use crate::store::{Store, TreeRow};

/// The settings of a log.
pub struct Settings {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Name of the log. It MUST equal the stored one if the database holds a log; `None` takes the
    /// only log there. An empty database gets a new tree of this name, or of [`DEFAULT_NAME`].
    pub name: Option<String>,
    /// The P-256 log keys: the key of the active tree, keys of frozen trees that are not finished,
    /// the next key. A new log takes the first.
    pub keys: KeyRing,
    /// Host and process of this server, by which a rotation names it to people.
    pub place: String,
    /// The Ed25519 key of a second line below the v2 text. It MUST be given for a tree that was
    /// created with one, and only then.
    pub cosigner: Option<SigningKey>,
    /// The witnesses of published heads. `None` publishes each head as it is integrated; a tree
    /// that was ever published with witnesses needs it.
    pub witnessing: Option<Witnessing>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Random numbers, for tree IDs and signatures.
    pub rng: SystemRandom,
    /// The registry of the `treehead_…` metrics of the ledger.
    pub metrics: prometheus::Registry,
}

/// Returns the active tree of the log that the settings name. In an empty database it creates that
/// tree first.
pub(crate) async fn find_or_create_tree(settings: &Settings) -> Result<TreeRow, OpenError> {
    if let Some(row) = find_log(settings.store.as_ref(), settings.name.as_deref()).await? {
        return Ok(row);
    }
    let name = settings.name.as_deref().unwrap_or(DEFAULT_NAME);
    let cosigner = settings.cosigner.as_ref().map(SigningKey::verifying_key);
    let key = settings
        .keys
        .first()
        .ok_or_else(|| OpenError::System("there is no key for a new log".into()))?;
    create_tree(
        settings.store.as_ref(),
        name,
        Apis::Both,
        key.verifying_key(),
        cosigner,
        &settings.rng,
    )
    .await?;
    // This may be the tree of a server that started at the same moment; then the key decides.
    let row = find_log(settings.store.as_ref(), settings.name.as_deref()).await?;
    row.ok_or_else(|| OpenError::System("the new tree cannot be read".into()))
}
