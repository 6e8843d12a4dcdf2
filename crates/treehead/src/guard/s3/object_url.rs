//! The URL of an object: `s3://bucket/key?endpoint=https://…&region=…`.

use std::fmt;
use std::str::FromStr;

use http::Uri;

use super::signature::encoded_path;

/// The region of stores that have none, and of the first one of Amazon.
const DEFAULT_REGION: &str = "us-east-1";

/// An object in an S3-compatible store. `Display` shows bucket and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectUrl {
    bucket: String,
    key: String,
    /// Scheme, host and port. `None`: Amazon.
    endpoint: Option<String>,
    region: String,
}

impl ObjectUrl {
    /// Returns the address of the object, with the bucket in the path at an endpoint of its own, and
    /// in the host name at Amazon.
    pub(super) fn address(&self) -> String {
        let Self {
            bucket,
            key,
            endpoint,
            region,
        } = self;
        let key = encoded_path(key);
        match endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}/{key}"),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/{key}"),
        }
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }
}

impl FromStr for ObjectUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?}: {why}");
        let form = "s3://bucket/key?endpoint=https://…&region=… expected";
        let rest = text.strip_prefix("s3://").ok_or_else(|| wrong(form))?;
        let (object, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, key) = object.split_once('/').ok_or_else(|| wrong(form))?;
        // The rules of Amazon for the names of buckets.
        let is_of_name =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(is_of_name) {
            return Err(wrong(
                "a bucket has 3 to 63 letters in lower case, digits, dots and hyphens",
            ));
        }
        if key.is_empty() || key.len() > 1024 || key.chars().any(char::is_control) {
            return Err(wrong("a key has 1 to 1024 bytes"));
        }
        let mut url = Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            endpoint: None,
            region: DEFAULT_REGION.to_owned(),
        };
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("endpoint", value)) => {
                    url.endpoint = Some(endpoint(value).map_err(|why| wrong(&why))?);
                }
                Some(("region", value)) if !value.is_empty() && value.chars().all(is_of_name) => {
                    url.region = value.to_owned();
                }
                _ => return Err(wrong("the parameters are endpoint and region")),
            }
        }
        Ok(url)
    }
}

/// Checks the endpoint of a store: scheme, host and port.
fn endpoint(value: &str) -> Result<String, String> {
    let value = value.trim_end_matches('/');
    let url: Uri = value
        .parse()
        .map_err(|error| format!("endpoint: {error}"))?;
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    let has_user = url
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    if !is_http || has_user || url.path() != "/" || url.query().is_some() {
        return Err("endpoint: https://host or http://host:port expected".to_owned());
    }
    Ok(value.to_owned())
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_amazon_or_below_the_endpoint() {
        for (text, address, region) in [
            (
                "s3://bucket/log/guard",
                "https://bucket.s3.us-east-1.amazonaws.com/log/guard",
                "us-east-1",
            ),
            (
                "s3://bucket/a b?region=eu-central-1",
                "https://bucket.s3.eu-central-1.amazonaws.com/a%20b",
                "eu-central-1",
            ),
            (
                "s3://bucket/guard?endpoint=http://127.0.0.1:9000/&region=garage",
                "http://127.0.0.1:9000/bucket/guard",
                "garage",
            ),
        ] {
            let url: ObjectUrl = text.parse().unwrap();
            assert_eq!((url.address().as_str(), url.region()), (address, region));
            assert!(!url.to_string().contains('?'));
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for text in [
            "s3://",
            "s3://bucket",
            "s3://bucket/",
            "s3://Bucket/key",
            "s3://b/key",
            "s3://bucket/key?endpoint=example.org",
            "s3://bucket/key?endpoint=ftp://example.org",
            "s3://bucket/key?endpoint=https://user@example.org",
            "s3://bucket/key?endpoint=https://example.org/path",
            "s3://bucket/key?region=",
            "s3://bucket/key?secret=x",
        ] {
            assert!(text.parse::<ObjectUrl>().is_err(), "{text}");
        }
    }
}
