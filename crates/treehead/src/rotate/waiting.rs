//! Waits until every running server shows that it holds the next key.

use std::time::Duration;

use ledger::rotation::{self, RotateError};
use ledger::store::ServerRow;
use tokio::time::{Instant, sleep};

use super::key_folder::readers;
use super::next_key::NextKey;
use super::target::Target;
use crate::banner::print;
use crate::failure::Outcome;

/// How often the list of servers is read.
const POLL: Duration = Duration::from_millis(250);
/// A server that can read the key has shown that after one or two seconds.
const HINT_AFTER: Duration = Duration::from_secs(5);

/// Waits until every running server holds the key. Ends with an error if the rotation is aborted
/// or replaced meanwhile.
pub(super) async fn wait_for_servers(target: &Target<'_>, next: &NextKey) -> Outcome<()> {
    let (digest, started) = (next.digest(), Instant::now());
    let (mut printed, mut is_explained) = (None, false);
    loop {
        if target.registered().await? != Some(digest) {
            return Err(target.failure(&RotateError::Overtaken));
        }
        let servers = running_servers(target).await?;
        let lacking: Vec<&ServerRow> = servers
            .iter()
            .filter(|server| !server.keys.contains(&digest))
            .collect();
        if lacking.is_empty() {
            return print(match servers.len() {
                0 => "no server runs, so none is waited for".to_owned(),
                1 => "one server runs, and it holds the next key".to_owned(),
                count => format!("{count} servers run, and all hold the next key"),
            });
        }
        let places: Vec<&str> = lacking.iter().map(|server| server.place.as_str()).collect();
        let text = format!(
            "waiting for {} of {} servers, which do not hold the next key yet: {}",
            lacking.len(),
            servers.len(),
            places.join("; ")
        );
        if printed.as_ref() != Some(&text) {
            print(&text)?;
            printed = Some(text);
        }
        if !is_explained && started.elapsed() >= HINT_AFTER {
            print(hint(target, next))?;
            is_explained = true;
        }
        sleep(POLL).await;
    }
}

/// Returns the servers of the ledger that are alive.
pub(super) async fn running_servers(target: &Target<'_>) -> Outcome<Vec<ServerRow>> {
    let servers = rotation::servers(target.store.as_ref(), &target.active.name).await;
    servers.map_err(|error| target.database.failure(&error))
}

/// Explains why a server may not take the key up, and what may be done.
fn hint(target: &Target<'_>, next: &NextKey) -> String {
    format!(
        "  Each server reads the .pem files of its key folder once a second, as its own user, and \
         logs why it does not use a file.\n  {}. If a server has another key folder, put a copy \
         there that its user can read.\n  A server that died is waited for 30 s at most. Nothing \
         is frozen yet: this command may be stopped and run again; `treehead rotate --log {} \
         --abort` takes the rotation back.",
        readers(&next.path),
        target.api
    )
}
