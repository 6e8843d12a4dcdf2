//! The settings of a ledger that is opened.

use std::sync::Arc;

use ring::rand::SystemRandom;

use crate::api::Api;
use crate::clock::Clock;
use crate::guard::place::Guard;
use crate::heads::publication::Witnessing;
use crate::ids::TreeId;
use crate::keys::key_ring::KeyRing;
use crate::store::Store;

/// The settings of a ledger.
pub struct Settings {
    /// The database, which holds the ledger.
    pub store: Arc<dyn Store>,
    /// The APIs whose logs are opened.
    pub apis: &'static [&'static Api],
    /// Name of the ledger. `None` takes the only one in the database.
    pub name: Option<String>,
    /// The signing keys: those of the active trees, of frozen trees that are not finished, and of
    /// the next trees.
    pub keys: KeyRing,
    /// Host and process of this server, by which a rotation names it to people.
    pub place: String,
    /// The witnesses of published heads, of all logs. `None` publishes each head as it is
    /// integrated; a tree that was ever published with witnesses needs it.
    pub witnessing: Option<Witnessing>,
    /// Keeps the newest heads outside the database. Its floor is read when the ledger is opened.
    pub guard: Arc<dyn Guard>,
    /// The trees that were created for this very start: no head of them was ever let out.
    pub created: Vec<TreeId>,
    /// The wall clock and the boot clock.
    pub clock: Arc<dyn Clock>,
    /// Random numbers, for server IDs and signatures.
    pub rng: SystemRandom,
    /// The registry of the `treehead_…` metrics of the ledger.
    pub metrics: prometheus::Registry,
}
