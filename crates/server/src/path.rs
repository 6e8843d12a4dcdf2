//! Request paths as Rekor's router sees them.

use std::borrow::Cow;

/// Lexically clean form of a path: one leading slash, no empty, `.` or `..` segments, no trailing
/// slash.
pub(crate) fn clean(path: &str) -> Cow<'_, str> {
    let segments = || path.split('/').skip(usize::from(path.starts_with('/')));
    if path.starts_with('/')
        && (path.len() == 1 || segments().all(|segment| !matches!(segment, "" | "." | "..")))
    {
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
}
