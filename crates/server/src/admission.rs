//! Whether an operation may be done here: asked first by every API, before a body is read.

use host::Access;
use http::HeaderMap;

use crate::app::App;
use crate::operation::Operation;

/// Why an operation is not done here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The operator left it out of `enabled-api-endpoints`.
    SwitchedOff,
    /// It writes, and this server only reads.
    ReadOnly,
    /// It writes, and comes from a web page that may not write.
    ForeignPage,
}

/// What a browser is told that writes for a page of another origin.
pub(crate) const FOREIGN_PAGE: &str = "web pages of this origin may not write to this log";

/// Lets an operation in, or says why not.
///
/// Browsers send some requests that write without asking first, so that CORS does not keep them
/// out: what they name as the origin of the page does.
pub(crate) fn admit(app: &App, operation: Operation, headers: &HeaderMap) -> Result<(), Closed> {
    if !app.operations.have(operation) {
        return Err(Closed::SwitchedOff);
    }
    match operation.access() {
        Access::Write if app.read_only => Err(Closed::ReadOnly),
        Access::Write if !app.cors.may_write(headers) => Err(Closed::ForeignPage),
        _ => Ok(()),
    }
}
