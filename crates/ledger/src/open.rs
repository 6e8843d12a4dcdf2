//! Opening a log: its settings, and the tree that they name.

use std::sync::Arc;

use ring::rand::SecureRandom;
use tlog::SigningKey;

use crate::apis::Apis;
use crate::clock::Clock;
use crate::heads::publication::Witnessing;
use crate::keys::key_ring::KeyRing;
use crate::open_error::OpenError;
use crate::shards::trees::{DEFAULT_NAME, create_tree, find_log};
use crate::store::{Store, TreeRow};

/// What a log needs to run.
pub struct Settings {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Name of the log: MUST equal the stored one where the database holds a log; none takes the
    /// only one there. An empty database gets a new tree of this name ([`DEFAULT_NAME`] if none).
    pub name: Option<String>,
    /// The P-256 log keys: that of the active tree, those of frozen trees that are not finished,
    /// the next one. A new log takes the first.
    pub keys: KeyRing,
    /// Where this server is, for people: what a rotation calls it.
    pub place: String,
    /// The Ed25519 key of a second line below the v2 text: MUST be there for a tree that was made
    /// with one, and only then.
    pub cosigner: Option<SigningKey>,
    /// Publishes with witnesses. None publishes what is integrated; a tree that was ever published
    /// with witnesses needs it.
    pub witnessing: Option<Witnessing>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Where the `treehead_…` metrics of the ledger are registered.
    pub metrics: prometheus::Registry,
}

/// Returns the active tree of the log that the settings name. In an empty database it creates that
/// tree first.
pub(crate) async fn find_or_create_tree(
    settings: &Settings,
    rng: &dyn SecureRandom,
) -> Result<TreeRow, OpenError> {
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
        rng,
    )
    .await?;
    // Ours, or the one of a server that started at the same moment: then the key decides.
    let row = find_log(settings.store.as_ref(), settings.name.as_deref()).await?;
    row.ok_or_else(|| OpenError::System("the new tree cannot be read".into()))
}
