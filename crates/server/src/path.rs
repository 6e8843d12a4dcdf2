//! Request paths as Rekor's router sees them, and the `Location` of an entry.

use std::borrow::Cow;

use http::Uri;

/// Lexically clean form of a path: one leading slash, no empty, `.` or `..` segments, no trailing slash.
pub(crate) fn clean(path: &str) -> Cow<'_, str> {
    let segments = || path.split('/').skip(usize::from(path.starts_with('/')));
    if path.starts_with('/') && (path.len() == 1 || segments().all(|segment| !matches!(segment, "" | "." | ".."))) {
        return Cow::Borrowed(path);
    }
    let mut kept = Vec::new();
    for segment in segments() {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    Cow::Owned(format!("/{}", kept.join("/")))
}

/// `Location` of an entry that came in at `uri`: the path of the request, a slash and the entry ID; the query is kept, but for
/// `apiKey`, which is a secret.
///
/// Leading slashes become one, so that no client takes the first segment for a host.
pub(crate) fn location(uri: &Uri, entry_id: &str) -> String {
    let mut location = format!("/{}/{entry_id}", uri.path().trim_start_matches('/'));
    let mut separator = '?';
    let kept = uri.query().into_iter().flat_map(|query| query.split('&'));
    for pair in kept.filter(|pair| !pair.is_empty() && crate::query::key_of(pair) != "apiKey") {
        location.push(separator);
        location.push_str(pair);
        separator = '&';
    }
    location
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cleans_as_rekor_does() {
        for (path, expected) in [
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
            ("/api/v1/log", "/api/v1/log"),
            ("/api/v1/log/", "/api/v1/log"),
            ("//api/v1/log", "/api/v1/log"),
            ("/api//v1/./log/x/..", "/api/v1/log"),
            ("/../api", "/api"),
            ("/a/...", "/a/..."),
            ("*", "/*"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_clean_stays_and_has_nothing_to_clean(path in "[/.a%]{0,20}") {
            let once = clean(&path);
            prop_assert_eq!(&clean(&once), &once);
            prop_assert!(once.starts_with('/') && (once.len() == 1 || !once.ends_with('/')));
            prop_assert!(!once.contains("//") && once.split('/').all(|segment| !matches!(segment, "." | "..")));
        }
    }

    #[test]
    fn location_mirrors_the_request() {
        for (uri, expected) in [
            ("/api/v1/log/entries", "/api/v1/log/entries/ID"),
            ("/api/v1/log/entries/?x=1", "/api/v1/log/entries//ID?x=1"),
            ("/api/v1/log/entries?apiKey=s&b=2&%61piKey=t&a=1", "/api/v1/log/entries/ID?b=2&a=1"),
            ("/api/v1/log/entries?apiKey=s", "/api/v1/log/entries/ID"),
            ("//evil.example/api", "/evil.example/api/ID"),
            ("http://host:1/api/v1/log/entries", "/api/v1/log/entries/ID"),
        ] {
            let uri: Uri = uri.parse().expect("a URI");
            assert_eq!(location(&uri, "ID"), expected);
        }
    }
}
