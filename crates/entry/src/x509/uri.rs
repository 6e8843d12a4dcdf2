//! URIs in certificates.

/// Whether a URI is well-formed (RFC 3986) in the one way of writing it that Go's `net/url` reads and writes back
/// unchanged. Rekor indexes what Go writes, so anything else would be found under another name there than here; no CA
/// is known to issue it.
pub(super) fn is_plain(uri: &str) -> bool {
    let (uri, fragment) = split(uri, '#');
    let (uri, query) = split(uri, '?');
    let (scheme, rest) = match uri.split_once(':') {
        Some((scheme, rest)) if !scheme.contains('/') => (Some(scheme), rest),
        _ => (None, uri),
    };
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or((Some(rest), ""), |at| (Some(&rest[..at]), &rest[at..])),
        None => (None, rest),
    };
    scheme.is_none_or(is_scheme)
        // `file:///x` has an empty authority; where there is no path as well, Go writes it otherwise.
        && match authority {
            Some("") => scheme.is_some() && !path.is_empty(),
            Some(authority) => is_authority(authority),
            None => !path.is_empty(),
        }
        && is_path(path)
        && query.is_none_or(|query| query.bytes().all(is_path_byte))
        && fragment.is_none_or(|fragment| !fragment.is_empty() && is_path(fragment))
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// A host name, perhaps with a port and a user.
fn is_authority(authority: &str) -> bool {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let (host, port) = split(host, ':');
    user.is_none_or(|user| !user.is_empty() && user.bytes().all(is_unreserved))
        && host.split('.').all(|label| !label.is_empty() && label.bytes().all(is_unreserved))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Characters that stand for themselves in a path, and `%` before two hexadecimal digits.
fn is_path(path: &str) -> bool {
    path.bytes().all(is_path_byte)
        && path
            .split('%')
            .skip(1)
            .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()))
}

fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@/?%".contains(&byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_real_issuers_are_plain() {
        for uri in [
            "https://github.com/o/r/.github/workflows/x.yml@refs/heads/main",
            "https://github.com/o/r/.github/workflows/x.yml@refs/tags/v1.0+%231",
            "https://accounts.example.com/User",
            "spiffe://example.org/ns/x",
            "https://user@host.example:8443/a?b=c?d&%#e/?",
            "file:///etc/x",
            "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "mailto:a@b.example",
            "relative/path",
        ] {
            assert!(is_plain(uri), "{uri}");
        }
    }

    #[test]
    fn what_go_refuses_or_writes_otherwise_is_not_plain() {
        for uri in [
            "",
            "#",
            "a#",
            "//",
            "a://",
            "1a:b",
            ":a",
            "https://h/a b",
            "https://h/%zz",
            "https://h/%4",
            "https://h/a|b",
            "https://h/a`b",
            "https://h/\u{7f}",
            "https://h./",
            "https://h..i/",
            "https://h:x/",
            "https://h:/",
            "https://@h/",
            "https://u%41@h/",
            "https://[::1]/",
            "https://h/a#b#c",
            "https://h%41/",
        ] {
            assert!(!is_plain(uri), "{uri}");
        }
    }
}
