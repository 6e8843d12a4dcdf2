//! The host that a request was sent to.

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

/// Returns host and port as the client names them. HTTP/2, and requests to a proxy, carry them in
/// the target; other requests carry them in the header.
pub fn authority(head: &Parts) -> Option<Authority> {
    let header = || {
        head.headers
            .get(HOST)
            .and_then(|host| Authority::try_from(host.as_bytes()).ok())
    };
    head.uri.authority().cloned().or_else(header)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn the_host_is_that_of_the_target_or_of_the_header() {
        for (target, header, expected) in [
            ("/checkpoint", "log.example", Some("log.example")),
            ("/checkpoint", "Log.Example:3000", Some("Log.Example")),
            ("/checkpoint", "[::1]:3000", Some("[::1]")),
            (
                "http://a.example:80/checkpoint",
                "b.example",
                Some("a.example"),
            ),
            ("/checkpoint", "", None),
            ("/checkpoint", "a b", None),
        ] {
            let request = Request::get(target)
                .header(HOST, header)
                .body(())
                .expect("a request");
            let host = authority(&request.into_parts().0);
            assert_eq!(
                host.as_ref().map(Authority::host),
                expected,
                "{target} {header}"
            );
        }
    }
}
