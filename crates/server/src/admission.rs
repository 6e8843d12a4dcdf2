//! Admission of operations. Every API checks it first, before a body is read.

use host::Access;
use http::HeaderMap;

use crate::app::App;
use crate::operation::{Api, Operation};

/// Why this server does not do an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The ledger has no log of its API.
    NoLog,
    /// The operator left it out of `enabled-api-endpoints`.
    SwitchedOff,
    /// It writes, and this server is read-only.
    ReadOnly,
    /// It writes, and a browser sent it for a web page that may not write.
    ForeignPage,
}

/// The refusal of a write that a browser sends for a page of another origin.
pub(crate) const FOREIGN_PAGE: &str = "web pages of this origin may not write to this log";

/// Admits an operation, or returns why not.
///
/// Browsers send some writing requests without asking first, so CORS does not stop them. The origin
/// of the page, which the browser names, does.
pub(crate) fn admit(app: &App, operation: Operation, headers: &HeaderMap) -> Result<(), Closed> {
    if lacks_log(app, operation) {
        return Err(Closed::NoLog);
    }
    if !app.operations.have(operation) {
        return Err(Closed::SwitchedOff);
    }
    match operation.access() {
        Access::Write if app.read_only => Err(Closed::ReadOnly),
        Access::Write if !app.cors.may_write(headers) => Err(Closed::ForeignPage),
        _ => Ok(()),
    }
}

/// Whether an operation is about the log of its API alone, and the ledger has no such log.
fn lacks_log(app: &App, operation: Operation) -> bool {
    match operation.api() {
        _ if operation.covers_all_logs() => false,
        Api::V1 => app.v1().is_err(),
        Api::V2 | Api::Tiles => app.v2().is_err(),
        Api::Trees | Api::Trust | Api::Pages | Api::Probes => false,
    }
}
