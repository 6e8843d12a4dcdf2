//! The URL of a server as its clients write it.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// A URL of `http://` or `https://`, a host, and a port if it is not the usual one. It has no path:
/// the first line of a v2 checkpoint is the host name alone, and clients compare the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    scheme: &'static str,
    host: String,
    port: Option<u16>,
}

/// Not such a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the URL of a server: http:// or https://, a host and perhaps a port, nothing after it"
)]
pub struct PublicUrlError(String);

impl PublicUrl {
    /// `https://` and the host.
    pub fn https(host: &str) -> Self {
        Self {
            scheme: "https",
            host: host.to_owned(),
            port: None,
        }
    }

    /// `http://`, the host and the port: for trying things out.
    pub fn http(host: &str, port: u16) -> Self {
        Self {
            scheme: "http",
            host: host.to_owned(),
            port: Some(port),
        }
    }

    /// The same with another host.
    pub fn with_host(&self, host: &str) -> Self {
        Self {
            host: host.to_owned(),
            ..self.clone()
        }
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let refused = || PublicUrlError(without_credentials(text));
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let scheme = match uri.scheme_str() {
            Some("https") => "https",
            Some("http") => "http",
            _ => return Err(refused()),
        };
        let authority = uri
            .authority()
            .filter(|authority| !authority.as_str().contains('@'))
            .ok_or_else(refused)?;
        let is_whole = uri.path() == "/" && uri.query().is_none() && !text.contains('#');
        // A port that is no number reads as none.
        let port_is_read = authority.port_u16().is_some() || authority.as_str() == authority.host();
        if !is_whole || !port_is_read || authority.host().is_empty() {
            return Err(refused());
        }
        Ok(Self {
            scheme,
            host: authority.host().to_ascii_lowercase(),
            port: authority.port_u16(),
        })
    }
}

/// Hides the user name and the password in a text that may be a URL.
pub(crate) fn without_credentials(text: &str) -> String {
    let Some((before, after)) = text.rsplit_once('@') else {
        return text.to_owned();
    };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…@{after}"),
        None => format!("…@{after}"),
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_host_and_port_are_all_of_it() {
        for (given, expected) in [
            ("https://rekor.example.org", "https://rekor.example.org"),
            ("https://Log.example.org/", "https://log.example.org"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            let url: PublicUrl = given.parse().expect(given);
            assert_eq!(url.to_string(), expected);
            assert_eq!(expected.parse(), Ok(url));
        }
        for refused in [
            "",
            "rekor.example.org",
            "/",
            "ftp://rekor.example.org",
            "https://",
            "https://rekor.example.org/log",
            "https://rekor.example.org/?x",
            "https://rekor.example.org#x",
            "https://user@rekor.example.org",
            "https://rekor.example.org:",
            "https://rekor.example.org:70000",
        ] {
            assert!(refused.parse::<PublicUrl>().is_err(), "{refused}");
        }
    }

    #[test]
    fn refusals_show_no_password() {
        for (refused, shown) in [
            (
                "https://user:secret@log.example.org",
                "https://…@log.example.org",
            ),
            (
                "https://user:sec@ret/@log.example.org/x",
                "https://…@log.example.org/x",
            ),
            ("user:secret@log.example.org", "…@log.example.org"),
        ] {
            let error = refused.parse::<PublicUrl>().unwrap_err().to_string();
            assert!(error.contains(&format!("{shown:?}")), "{error}");
            assert!(!error.contains("sec"), "{error}");
        }
    }

    #[test]
    fn a_shard_differs_in_its_host() {
        let url = PublicUrl::http("localhost", 3000);
        assert_eq!(
            url.with_host("log2.example").to_string(),
            "http://log2.example:3000"
        );
    }
}
