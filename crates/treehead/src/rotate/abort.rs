//! `treehead rotate --abort`: takes back a rotation that has not frozen its tree.

use ledger::rotation;

use super::target::Target;
use crate::banner::print;
use crate::failure::Outcome;

/// Unregisters the next key. A run that waits for servers ends with that.
pub(super) async fn abort(target: &Target<'_>) -> Outcome<()> {
    let (name, api) = (&target.active.name, target.api);
    let removed = rotation::unregister(target.store.as_ref(), &target.active).await;
    match removed.map_err(|error| target.failure(&error))? {
        None => print(format_args!(
            "no rotation of the {api} log of {name} is begun: nothing to abort"
        )),
        Some(digest) => print(format_args!(
            "aborted the rotation of the {api} log of {name}: tree {} stays active. The key with \
             SHA-256 {digest} has signed nothing and is registered no more. Its file stays: remove \
             it if the next rotation shall have another key",
            target.active.tree_id
        )),
    }
}
