//! The places that the setting `guard` names.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;

use super::s3::ObjectUrl;

/// A place of the setting `guard`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamedPlace {
    /// A file.
    File(PathBuf),
    /// An object in an S3-compatible store.
    Object(ObjectUrl),
    /// The URL of another server of the ledger, which is only read.
    Peer(String),
}

impl FromStr for NamedPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, _)) = text.split_once("://") else {
            return match text {
                "" => Err("an empty place".to_owned()),
                path => Ok(Self::File(PathBuf::from(path))),
            };
        };
        match scheme {
            "s3" => text.parse().map(Self::Object),
            "http" | "https" => peer(text).map(Self::Peer),
            _ => Err(format!(
                "{text:?} is not a path, nor a URL that begins with s3://, https:// or http://"
            )),
        }
    }
}

/// Checks the URL of a server. Its guard is at the path `/guard` below it.
fn peer(text: &str) -> Result<String, String> {
    let url: Uri = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    let names_user = url
        .authority()
        .is_none_or(|authority| authority.as_str().contains('@'));
    if names_user || url.query().is_some() {
        return Err(format!(
            "{text:?}: the URL of a server has a host, and no user or query"
        ));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

impl fmt::Display for NamedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Object(url) => url.fmt(f),
            Self::Peer(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_path_an_object_or_a_server() {
        let parsed = |text: &str| text.parse::<NamedPlace>();
        let path = PathBuf::from("/srv/guard");
        assert_eq!(parsed("/srv/guard"), Ok(NamedPlace::File(path)));
        assert_eq!(
            parsed("https://log2.example.org/"),
            Ok(NamedPlace::Peer("https://log2.example.org".into()))
        );
        assert!(matches!(
            parsed("s3://bucket/log/guard"),
            Ok(NamedPlace::Object(_))
        ));
        for wrong in [
            "",
            "ftp://x/y",
            "https://",
            "https://user:secret@log.example.org",
            "https://log.example.org?x=1",
            "s3://bucket",
            "s3:///key",
        ] {
            parsed(wrong).unwrap_err();
        }
    }
}
