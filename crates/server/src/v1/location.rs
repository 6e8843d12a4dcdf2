//! The `Location` of an entry.

use http::Uri;

use crate::query;

/// Returns the `Location` of an entry that was sent to `uri`: the path of the request, a slash and
/// the entry ID. The query is kept, except `apiKey`, which is a secret.
///
/// Leading slashes become one, so that no client reads the first segment as a host.
pub(crate) fn location(uri: &Uri, entry_id: &str) -> String {
    let mut location = format!("/{}/{entry_id}", uri.path().trim_start_matches('/'));
    let mut separator = '?';
    let kept = uri.query().into_iter().flat_map(|query| query.split('&'));
    for pair in kept.filter(|pair| !pair.is_empty() && query::key_of(pair) != "apiKey") {
        location.push(separator);
        location.push_str(pair);
        separator = '&';
    }
    location
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_mirrors_the_request() {
        for (uri, expected) in [
            ("/api/v1/log/entries", "/api/v1/log/entries/ID"),
            ("/api/v1/log/entries/?x=1", "/api/v1/log/entries//ID?x=1"),
            (
                "/api/v1/log/entries?apiKey=s&b=2&%61piKey=t&a=1",
                "/api/v1/log/entries/ID?b=2&a=1",
            ),
            ("/api/v1/log/entries?apiKey=s", "/api/v1/log/entries/ID"),
            ("//evil.example/api", "/evil.example/api/ID"),
            ("http://host:1/api/v1/log/entries", "/api/v1/log/entries/ID"),
        ] {
            let uri: Uri = uri.parse().expect("a URI");
            assert_eq!(location(&uri, "ID"), expected);
        }
    }
}
