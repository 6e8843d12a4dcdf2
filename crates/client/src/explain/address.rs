//! URLs of logs, and the names that clients take from them.

use super::report::{GO, GO_JS, MONITOR, Report};

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Before `://`. Empty if the URL has none.
    pub scheme: String,
    /// Host name or address, without brackets.
    pub host: String,
    /// After the host and a colon.
    pub port: Option<String>,
    /// From the first slash.
    pub path: String,
}

impl Address {
    /// Takes a URL apart. Any text is some URL here: a text without scheme has only host, port and
    /// path.
    pub fn of(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, port) = inner.split_once(']').unwrap_or((inner, ""));
                (host, port.strip_prefix(':'))
            }
            None => match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        Self {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port: port.map(str::to_owned),
            path: path.to_owned(),
        }
    }

    /// Returns the URL without its scheme, as rekor-monitor takes it for the origin.
    pub fn without_scheme(url: &str) -> &str {
        url.split_once("://").map_or(url, |(_, rest)| rest)
    }
}

/// Checks the base URL of a v2 log: clients derive the origin of its checkpoints from it.
pub(super) fn check_v2(report: &mut Report, place: &str, url: &str) {
    let address = Address::of(url);
    if url.is_empty() {
        let what = "a v2 log needs its URL: clients compare the origin of its checkpoints with \
            the host in it";
        report.error(
            "base-url-missing",
            GO_JS,
            place,
            what,
            "set it to https:// and the origin",
        );
        return;
    }
    if address.scheme.is_empty() {
        let what = "the URL has no scheme, so sigstore-go finds no host in it, with which it \
            compares the origin";
        let remedy = format!("write https://{url}");
        report.error("base-url-scheme", GO, place, what, remedy);
        return;
    }
    if let Some(port) = &address.port {
        let what = format_args!(
            "the URL has the port {port}: sigstore-go wants an origin without it, rekor-monitor \
                one with it, so no v2 \
             log pleases both"
        );
        let remedy = "serve the log on the default port of a host name of its own (a proxy will \
            do), or do without rekor-monitor";
        report.warning("base-url-port", place, what, remedy);
    }
    match address.path.as_str() {
        "" => {}
        "/" => report.error(
            "base-url-trailing-slash",
            MONITOR,
            place,
            "the URL ends with a slash, and rekor-monitor takes that for a part of the origin",
            "remove the slash",
        ),
        path => report.warning(
            "base-url-path",
            place,
            format_args!(
                "the URL has the path {path}: sigstore-go wants an origin without it, \
                    rekor-monitor one with it"
            ),
            "give each v2 log a host name of its own",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, scheme, host, port, path) in [
            ("https://log.example", "https", "log.example", None, ""),
            (
                "http://localhost:3000/",
                "http",
                "localhost",
                Some("3000"),
                "/",
            ),
            ("log.example/a", "", "log.example", None, "/a"),
            ("https://[::1]:3000/a", "https", "::1", Some("3000"), "/a"),
            (
                "https://u:p@log.example?x",
                "https",
                "log.example",
                None,
                "?x",
            ),
        ] {
            let wanted = Address {
                scheme: scheme.to_owned(),
                host: host.to_owned(),
                port: port.map(str::to_owned),
                path: path.to_owned(),
            };
            assert_eq!(Address::of(url), wanted, "{url}");
        }
    }
}
