//! Looking something up: in the heads that this process knows, then in the newest ones.
//!
//! Another server of the same log may have written meanwhile, so "absent" and "too large" are
//! answers of the newest heads only.

use ledger::{ReadError, Shards};

use crate::app::App;

/// Returns the result of `look` in the known heads, or else in the newest ones.
pub(crate) async fn find<T, E, Looking>(
    app: &App,
    look: impl Fn(Shards) -> Looking,
) -> Result<Option<T>, E>
where
    E: From<ReadError>,
    Looking: Future<Output = Result<Option<T>, E>>,
{
    until(app, look, Option::is_some).await
}

/// Returns the result of `look` in the known heads if it is complete, or else the result in the
/// newest ones.
pub(crate) async fn until<T, E, Looking>(
    app: &App,
    look: impl Fn(Shards) -> Looking,
    is_all: impl Fn(&T) -> bool,
) -> Result<T, E>
where
    E: From<ReadError>,
    Looking: Future<Output = Result<T, E>>,
{
    let known = look(app.ledger.shards()).await?;
    if is_all(&known) {
        return Ok(known);
    }
    look(app.ledger.newest_shards().await?).await
}
