//! The names of logs on the command line: a log is named by its API.

use ledger::Api;

/// Reads the name of a log.
pub(crate) fn api(name: &str) -> Result<&'static Api, &'static str> {
    Api::by_name(name).ok_or("known are v1, v2")
}
