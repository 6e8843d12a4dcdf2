//! URIs in certificates.

use std::net::{IpAddr, Ipv6Addr};

/// Whether Go's `net/url`, of Go 1.27, reads a URI of ASCII and writes it back unchanged, letter
/// case of the scheme aside. Rekor indexes what Go writes, so that anything else would be found
/// under another name there than here; no CA is known to issue it.
pub(super) fn is_written_back(uri: &str) -> bool {
    if uri.bytes().any(|byte| byte.is_ascii_control()) {
        return false;
    }
    let (uri, fragment) = split(uri, '#');
    Parts::of(uri).is_some_and(|parts| parts.are_written_back())
        && fragment.is_none_or(|fragment| {
            !fragment.is_empty() && is_component(fragment, Component::Fragment)
        })
}

/// The host of a URI that [`is_written_back`], without its port; none if it has no host or an IP
/// address.
pub(super) fn host(uri: &str) -> Option<&str> {
    let authority = Parts::of(split(uri, '#').0)?.authority?;
    let host = authority.rsplit('@').next()?;
    // In brackets there is an address. Whatever else has two colons cannot be told from its port.
    let (host, port) = split(host, ':');
    let is_name = !host.is_empty() && !host.starts_with('[') && host.parse::<IpAddr>().is_err();
    (is_name && port.is_none_or(|port| !port.contains(':'))).then_some(host)
}

/// A URI without its fragment and query, of which Go keeps any.
struct Parts<'u> {
    scheme: Option<&'u str>,
    authority: Option<&'u str>,
    /// The rest; or all, where it does not begin with a slash after a scheme.
    path: &'u str,
}

impl<'u> Parts<'u> {
    /// None where there is a colon with nothing before it.
    fn of(uri: &'u str) -> Option<Self> {
        let is_of_scheme = |(at, byte): (usize, u8)| {
            byte.is_ascii_alphabetic()
                || (at > 0 && (byte.is_ascii_digit() || b"+-.".contains(&byte)))
        };
        let end = uri
            .bytes()
            .enumerate()
            .position(|letter| !is_of_scheme(letter));
        let (scheme, rest) = match end.filter(|at| uri[*at..].starts_with(':')) {
            Some(0) => return None,
            Some(at) => (Some(&uri[..at]), &uri[at + 1..]),
            None => (None, uri),
        };
        let (rest, _) = split(rest, '?');
        // Without a scheme, more slashes than two are a path.
        let after = rest
            .strip_prefix("//")
            .filter(|after| scheme.is_some() || !after.starts_with('/'));
        let (authority, path) = match after {
            Some(after) => {
                let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
                (Some(authority), path)
            }
            None => (None, rest),
        };
        Some(Self {
            scheme,
            authority,
            path,
        })
    }

    fn are_written_back(&self) -> bool {
        match (self.scheme, self.authority) {
            // "mailto:a@b.example": kept as it is.
            (Some(_), None) if !self.path.starts_with('/') => true,
            (Some(_), None) => is_component(self.path, Component::Path),
            // What is before a colon would be a scheme.
            (None, None) => {
                let first = self.path.split('/').next().unwrap_or_default();
                // A lone asterisk is written without its escape.
                !first.contains(':')
                    && self.path != "%2A"
                    && is_component(self.path, Component::Path)
            }
            // "file:///x" has an empty authority. Where there is no path as well, Go writes none.
            (_, Some("")) if self.path.is_empty() => false,
            (scheme, Some(authority)) => {
                is_authority(scheme.unwrap_or_default(), authority)
                    && is_component(self.path, Component::Path)
            }
        }
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at)
        .map_or((text, None), |(before, after)| (before, Some(after)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Component {
    Path,
    Fragment,
}

/// Whether this is well-formed and kept as it is: characters that stand for themselves, and `%`
/// before two hexadecimal digits.
fn is_component(text: &str, component: Component) -> bool {
    let stands_for_itself = |byte: u8| {
        is_unreserved(byte)
            || b"!$&'()*+,;=:@[]%/".contains(&byte)
            || (byte == b'?' && component == Component::Fragment)
    };
    text.bytes().all(stands_for_itself)
        && text.split('%').skip(1).all(|rest| escaped(rest).is_some())
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The byte whose two hexadecimal digits are at the beginning.
fn escaped(text: &str) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice(text.as_bytes().get(..2)?, &mut byte).ok()?;
    Some(byte[0])
}

/// A host, perhaps with a port and a user with or without a password.
fn is_authority(scheme: &str, authority: &str) -> bool {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    user.is_none_or(|user| {
        let (name, password) = split(user, ':');
        [Some(name), password].into_iter().flatten().all(is_user)
    }) && is_host(scheme, host)
}

/// Whether a name or password has each character in the one way in which Go writes it: with an
/// escape, in capitals, only if it has to have one.
fn is_user(text: &str) -> bool {
    let stands_for_itself = |byte: u8| is_unreserved(byte) || b"$&+,;=".contains(&byte);
    let mut parts = text.split('%');
    parts
        .next()
        .unwrap_or_default()
        .bytes()
        .all(stands_for_itself)
        && parts.all(|part| {
            let is_needed = escaped(part).is_some_and(|byte| !stands_for_itself(byte));
            is_needed
                && !part.as_bytes()[..2].iter().any(u8::is_ascii_lowercase)
                && part.bytes().skip(2).all(stands_for_itself)
        })
}

/// Whether this is a host that may be in a certificate, with or without a port.
fn is_host(scheme: &str, host: &str) -> bool {
    // The only escape that there may be: of a percent sign.
    let unescaped = host.replace("%25", "%");
    let is_whole = match host.rfind('[') {
        Some(0) => is_literal(host),
        Some(_) => false,
        None => {
            is_name_and_port(scheme, host)
                && unescaped.matches('%').count() == host.matches("%25").count()
        }
    };
    // Of the host as Go keeps it.
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_graphic());
    is_whole && (unescaped.is_empty() || unescaped.split('.').all(is_label))
}

fn is_name_and_port(scheme: &str, host: &str) -> bool {
    let stands_for_itself =
        |byte: u8| is_unreserved(byte) || b"!$&'()*+,;=:[]<>\"%".contains(&byte);
    // Of these two Go admits one colon only.
    let is_strict = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let colon = if is_strict {
        host.find(':')
    } else {
        host.rfind(':')
    };
    host.bytes().all(stands_for_itself) && colon.is_none_or(|at| is_digits(&host[at + 1..]))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `[address]` or `[address%25zone]` of IPv6, with or without a port.
fn is_literal(host: &str) -> bool {
    let Some((literal, port)) = host[1..].rsplit_once(']') else {
        return false;
    };
    let (address, zone) = literal
        .split_once("%25")
        .map_or((literal, None), |(address, zone)| (address, Some(zone)));
    let stands_for_itself = |byte: u8| is_unreserved(byte) || b"!$&'()*+,;=:[]<>\"".contains(&byte);
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_digits))
        && address.parse::<Ipv6Addr>().is_ok()
        && zone.is_none_or(|zone| {
            !zone.is_empty() && zone.replace("%25", "").bytes().all(stands_for_itself)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these was read by `net/url` and `crypto/x509` of Go 1.27 and written back unchanged.
    #[test]
    fn uris_that_go_writes_back_are_accepted() {
        for uri in [
            "https://github.com/o/r/.github/workflows/x.yml@refs/heads/main",
            "https://github.com/o/r/.github/workflows/x.yml@refs/tags/v1.0+%231",
            "https://github.com/o/r/.github/workflows/[release].yml@refs/heads/main",
            "https://accounts.example.com/User",
            "spiffe://example.org/ns/x",
            "spiffe://example.org/ns/[a]",
            "https://user@host.example:8443/a?b=c?d&%#e/?",
            "https://user:secret+%40@h/",
            "https://@h/",
            "https://a:@h/",
            "https://[2001:db8::1]:8443/ns",
            "https://[fe80::1%25eth0]/",
            "https://h!$&'()*+,;=/",
            "https://h%25/",
            "https://h:/",
            "https://:80",
            "db://a:1,b:2/",
            "https://h/?a b",
            "https://h/?",
            "https://h/#[a]",
            "file:///etc/x",
            "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "mailto:a@b.example",
            "opaque:a b",
            "a:",
            "a:/b",
            "///a",
            "//h/a",
            "relative/path",
            "*",
            "",
        ] {
            assert!(is_written_back(uri), "{uri}");
        }
    }

    /// Each of these was refused by Go 1.27 or written back otherwise.
    #[test]
    fn uris_that_go_refuses_or_changes_are_refused() {
        for uri in [
            "#",
            "a#",
            "//",
            "a://",
            "1a:b",
            ":a",
            "a:b/c:d#",
            "%2A",
            "https://h/a b",
            "https://h/%zz",
            "https://h/%4",
            "https://h/a|b",
            "https://h/a^b",
            "https://h/`x`",
            "https://h/\u{7f}",
            "https://h./",
            "https://h..i/",
            "https://h:x/",
            "https://h:1:2/",
            "https://u%41@h/",
            "https://u%3b@h/",
            "https://u!@h/",
            "https://u:p:q@h/",
            "https://[::1/",
            "https://[::1]x/",
            "https://[1.2.3.4]/",
            "https://[fe80::1%25]/",
            "https://[fe80::1%25%41]/",
            "https://a[::1]/",
            "https://h/a#b#c",
            "https://h%41/",
            "https://h%20/",
        ] {
            assert!(!is_written_back(uri), "{uri}");
        }
    }

    #[test]
    fn hosts_that_constraints_are_about() {
        for (uri, expected) in [
            ("https://u@h.example:1/p@q", Some("h.example")),
            ("https://h.example?q", Some("h.example")),
            ("//h.example/", Some("h.example")),
            ("https://1.2.3.4/", None),
            ("https://[::1]/", None),
            ("db://a:1,b:2/", None),
            ("mailto:a@b", None),
            ("opaque:a//b", None),
            ("file:///x", None),
            ("a/b", None),
        ] {
            assert_eq!(host(uri), expected, "{uri}");
        }
    }
}
