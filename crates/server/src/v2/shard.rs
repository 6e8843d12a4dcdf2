//! The tree that a v2 request is for. To v2 each tree is a log of its own, read under the host name
//! that is its origin.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::uri::Authority;
use ledger::{Head, Log, ReadError, Shards, Tree};

use crate::app::App;

/// The tree of a request: the one whose origin is the host name of the request, or under any other
/// name the active one.
pub(crate) struct Shard {
    host: Option<Authority>,
}

impl Shard {
    /// The tree that a request is for.
    pub(super) fn of(head: &Parts) -> Self {
        Self {
            host: host::authority(head),
        }
    }

    /// Its newest head; see [`ledger::Log::newest_heads`].
    pub(super) async fn newest_head(&self, log: &Log) -> Result<Arc<Head>, ReadError> {
        Ok(self.head_in(&log.newest_heads().await?))
    }

    /// Whether it accepts no entries any more.
    pub(super) fn is_frozen(&self, log: &Log) -> bool {
        let shards = log.shards();
        self.among(&shards).tree.id != shards.active().tree.id
    }

    /// Whether the name selects this tree. Under any other name, the active tree changes with a
    /// rotation.
    pub(super) fn is_named(&self, tree: &Tree) -> bool {
        self.host
            .as_ref()
            .is_some_and(|host| tree.origin.eq_ignore_ascii_case(host.host()))
    }

    /// Returns its head among these.
    pub(crate) fn head_in(&self, shards: &Shards) -> Arc<Head> {
        Arc::clone(self.among(shards))
    }

    fn among<'a>(&self, shards: &'a Shards) -> &'a Arc<Head> {
        let named = self
            .host
            .as_ref()
            .and_then(|host| shards.of_origin(host.host()));
        named.unwrap_or_else(|| shards.active())
    }
}

impl FromRequestParts<Arc<App>> for Shard {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Self::of(head))
    }
}
