//! Responses of time stamp authorities (RFC 3161).

use crate::x509::der::{Elements, SEQUENCE};

/// Returns the contents of the status and of the token of a response. None unless the response ends
/// with its token: otherwise one token would have any number of responses.
pub fn response(response: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let mut outer = Elements(response);
    let mut fields = outer.inside(SEQUENCE)?;
    let status = fields.inside(SEQUENCE)?.small_integer()?.contents;
    let token = fields.optional(SEQUENCE)?;
    (outer.is_empty() && fields.is_empty()).then_some((status, token))
}
