//! A configuration of `treehead monitor` that follows the logs of this ledger.

use host::PublicUrl;
use serde::Serialize;

use super::documents::{Shard, json, url_of_v2};

/// Folder in which the monitor keeps its state, beside where it is started.
const STATE: &str = "treehead-monitor";
/// Longest name of a log in such a file.
const MAX_NAME: usize = 60;

/// The file, in the structure that it also has as TOML.
#[derive(Serialize)]
struct MonitorConfig {
    state: &'static str,
    log: Vec<LogSection>,
}

#[derive(Serialize)]
struct LogSection {
    name: String,
    /// The log for v1 has one, the log for v2 one for each tree, oldest first.
    url: Vec<String>,
    api: &'static str,
    /// PEM for v1, vkeys for v2, oldest tree first.
    keys: Vec<String>,
}

/// Returns the document for the trees of both logs, oldest first. A log without trees is left out.
pub(super) fn monitor_config(v1: &[&Shard<'_>], v2: &[&Shard<'_>], url: &PublicUrl) -> String {
    let of_v1 = LogSection {
        name: name(v1, "v1"),
        url: vec![url.to_string()],
        api: "v1",
        keys: v1
            .iter()
            .map(|s| s.tree.public_key_pem.to_string())
            .collect(),
    };
    let of_v2 = LogSection {
        name: name(v2, "v2"),
        url: v2
            .iter()
            .map(|s| url_of_v2(&s.tree, url).to_string())
            .collect(),
        api: "v2",
        keys: v2.iter().map(|s| s.checkpoint_key.to_string()).collect(),
    };
    let mut log = vec![of_v1, of_v2];
    log.retain(|log| !log.keys.is_empty());
    json(&MonitorConfig { state: STATE, log })
}

/// `log.example.org-v1`.
fn name(shards: &[&Shard<'_>], api: &str) -> String {
    let ledger = shards.first().map(|shard| shard.tree.name.as_str());
    let mut name = ledger.unwrap_or_default().to_owned();
    // Host names are ASCII.
    name.truncate(MAX_NAME - 1 - api.len());
    format!("{name}-{api}")
}
