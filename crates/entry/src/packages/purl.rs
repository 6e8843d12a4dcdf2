//! Package URLs in one spelling each.
//!
//! Two spellings of one package give one text: percent-encodings, leading and doubled slashes, an
//! encoded `@` before the version, the case of what is not case-sensitive, the order of qualifiers,
//! a subpath, and what [`types`] has for a type. The text is decoded, as people write it,
//! `pkg:npm/@scope/name@1.0.0`, and is its own canonical form. Only characters that would change
//! where it is split stay encoded.

use super::types::{self, Folded};
use crate::index_keys::lower_case_text;

/// A package URL as far as it names a package, its version and one of the files of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Purl {
    /// `pkg:type/namespace/name`.
    package: String,
    version: Option<String>,
    /// `?arch=x86_64`, or empty.
    selectors: String,
}

impl Purl {
    /// Returns `None` for a text that is no package URL.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        if !scheme.eq_ignore_ascii_case("pkg") {
            return None;
        }
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let (path, after) = rest.split_at(end);
        let (kind, path) = path.trim_start_matches('/').split_once('/')?;
        let kind = kind.to_ascii_lowercase();
        let is_of_type = |letter: u8| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || b".+-".contains(&letter)
        };
        if kind.is_empty() || !kind.bytes().all(is_of_type) {
            return None;
        }
        let (names, version) = split_version(path);
        let qualifiers = after.strip_prefix('?').unwrap_or_default();
        let qualifiers = qualifiers.split('#').next().unwrap_or_default();
        let selectors = selectors(&kind, qualifiers);
        Self::new(&kind, &names, version.as_deref(), &selectors)
    }

    /// Makes the URL of decoded parts. `names` are namespace and name.
    pub(super) fn new(
        kind: &str,
        names: &str,
        version: Option<&str>,
        selectors: &[(&str, String)],
    ) -> Option<Self> {
        let folded = types::rules(kind).folded;
        let mut segments: Vec<&str> = names.split('/').filter(|name| !name.is_empty()).collect();
        let name = segments.pop()?;
        let mut package = format!("pkg:{kind}/");
        for segment in segments {
            package += &escaped_name(&fold(segment, folded != Folded::Nothing));
            package.push('/');
        }
        let is_folded = matches!(folded, Folded::Names | Folded::All);
        let name = types::canonical_name(kind, &fold(name, is_folded));
        package += &escaped_name(&name);
        let version = version
            .filter(|version| !version.is_empty())
            .map(|version| {
                let version = fold(version, folded == Folded::All);
                escaped(&types::canonical_version(kind, &version)).replace('@', "%40")
            });
        let selectors = selectors.iter().map(|(selector, value)| {
            let value = escaped(&fold(value, true)).replace('&', "%26");
            format!("{selector}={value}")
        });
        let selectors: Vec<String> = selectors.collect();
        Some(Self {
            package,
            version,
            selectors: match selectors.is_empty() {
                true => String::new(),
                false => format!("?{}", selectors.join("&")),
            },
        })
    }

    /// Returns the text of the package in all versions.
    pub(crate) fn package(&self) -> &str {
        &self.package
    }

    /// Returns the text of the package in its version, with all files of it. `None` if the URL has
    /// no version.
    pub(crate) fn in_version(&self) -> Option<String> {
        let version = self.version.as_deref()?;
        Some(format!("{}@{version}", self.package))
    }

    /// Returns the text of exactly what the URL names.
    pub(crate) fn exact(&self) -> String {
        match self.in_version() {
            Some(text) => text + &self.selectors,
            // Files belong to versions.
            None => self.package.clone(),
        }
    }
}

/// Splits a path into names and version, both decoded.
///
/// The version begins after the last `@`. A scope that is not encoded, `@scope`, is not a version,
/// and an encoded `@` separates only where no other does: clients encode whole coordinates.
fn split_version(path: &str) -> (String, Option<String>) {
    let path = without_empty_version(path);
    if let Some(at) = last_separator(path) {
        return (decode(&path[..at]), Some(decode(&path[at + 1..])));
    }
    let path = decode(path);
    let path = without_empty_version(&path);
    match last_separator(path) {
        Some(at) => (path[..at].to_owned(), Some(path[at + 1..].to_owned())),
        None => (path.to_owned(), None),
    }
}

/// Removes each `@` at the end that no version follows.
fn without_empty_version(mut path: &str) -> &str {
    while let Some(before) = path.strip_suffix('@')
        && last_separator(path) == Some(before.len())
    {
        path = before;
    }
    path
}

fn last_separator(path: &str) -> Option<usize> {
    let mut found = path.rmatch_indices('@').map(|(at, _)| at);
    found.find(|&at| at > 0 && path.as_bytes()[at - 1] != b'/')
}

/// Returns the qualifiers that select one of several files, in alphabetic order. Of one that is
/// given twice the first counts.
fn selectors(kind: &str, qualifiers: &str) -> Vec<(&'static str, String)> {
    let known = types::rules(kind).selectors.iter().filter_map(|&selector| {
        let mut pairs = qualifiers
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(name, value)| {
            !value.is_empty() && decode(name).eq_ignore_ascii_case(selector)
        })?;
        let value = decode(value);
        let is_default = types::is_default(kind, selector, &value);
        (!is_default).then(|| (selector, types::canonical_selector(kind, value)))
    });
    known.collect()
}

fn fold(text: &str, is_folded: bool) -> String {
    match is_folded {
        true => lower_case_text(text),
        false => text.to_owned(),
    }
}

/// Encodes an `@` that would begin a version.
fn escaped_name(segment: &str) -> String {
    let at = usize::from(segment.starts_with('@'));
    format!(
        "{}{}",
        &segment[..at],
        escaped(&segment[at..]).replace('@', "%40")
    )
}

/// Encodes the characters that end a path, and a percent sign that would be read as an escape.
fn escaped(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        match letter {
            '?' => encoded += "%3F",
            '#' => encoded += "%23",
            '%' if is_escape(&text.as_bytes()[at..]) => encoded += "%25",
            letter => encoded.push(letter),
        }
    }
    encoded
}

fn is_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Percent-decodes a text. Invalid escapes stay as they are, and so does a text that would not be
/// UTF-8.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let mut decoded = [0];
        rest = match after.get(..2) {
            Some(digits) if first == b'%' && hex::decode_to_slice(digits, &mut decoded).is_ok() => {
                bytes.push(decoded[0]);
                &after[2..]
            }
            _ => {
                bytes.push(first);
                after
            }
        };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(text: &str) -> String {
        let purl = Purl::parse(text);
        purl.map_or_else(|| "none".to_owned(), |purl| purl.exact())
    }

    #[test]
    fn spellings_of_one_package_are_one_text() {
        for (expected, spellings) in [
            (
                "pkg:npm/@scope/name@1.0.0",
                &[
                    "pkg:npm/%40scope/name@1.0.0",
                    "pkg:npm/@scope/name@1.0.0",
                    "pkg:npm/%40scope%2Fname@1.0.0",
                    "pkg:npm/%40scope%2fname%401.0.0",
                    "PKG:NPM/@scope/name@1.0.0",
                    "pkg://npm/@scope/name@1.0.0",
                    "pkg:///npm//@scope//name@1.0.0",
                    "pkg:npm/@scope/name@v1.0.0",
                    "pkg:npm/@scope/name@=1.0.0",
                    "pkg:npm/@scope/name@1.0.0+build.7",
                    "pkg:npm/@scope/name@1.0.0?repository_url=https://npm.example",
                    "pkg:npm/@scope/n%61me@1%2E0.0#sub/path",
                    "pkg:npm/@scope/name@1.0.0?a=b&c=d#e",
                ][..],
            ),
            (
                "pkg:pypi/zope-interface@1.0rc1",
                &[
                    "pkg:pypi/zope.interface@1.0rc1",
                    "pkg:pypi/Zope_Interface@v1.0-RC.1",
                    "pkg:pypi/zope--interface@01.0c1",
                ],
            ),
            (
                "pkg:pypi/a-b@1.0?file_name=a_b-1.0-py3-none-any.whl",
                &["pkg:pypi/A.b@1.0?file_name=A.B-1.0-py3-none-any.whl&x=y"],
            ),
            (
                "pkg:deb/debian/curl@7.50-1?arch=i386",
                &[
                    "pkg:deb/Debian/cURL@7.50-1?arch=i386&distro=jessie",
                    "pkg:deb/debian/curl@7.50-1?ARCH=I386",
                    "pkg:deb/debian/curl@7.50-1?distro=x&arch=i386&arch=amd64",
                ],
            ),
            (
                "pkg:maven/org.a/b@1.0",
                &[
                    "pkg:maven/org.a/b@1.0?type=jar",
                    "pkg:maven/org.a/b@1.0?classifier=",
                ],
            ),
            (
                "pkg:oci/app@sha256:ab",
                &["pkg:oci/App@sha256%3AAB?repository_url=ghcr.io/org/app&tag=v1"],
            ),
            (
                "pkg:nuget/newtonsoft.json@13.0.1",
                &["pkg:nuget/Newtonsoft.Json@13.0.1"],
            ),
            ("pkg:github/org/repo@v1.0", &["pkg:github/Org/Repo@v1.0"]),
        ] {
            for spelling in spellings {
                assert_eq!(exact(spelling), expected, "{spelling}");
            }
        }
    }

    #[test]
    fn packages_that_registries_keep_apart_are_different_texts() {
        for (one, other) in [
            ("pkg:npm/JSONStream@1.0.3", "pkg:npm/jsonstream@1.0.3"),
            ("pkg:npm/a@1.0.0-RC1", "pkg:npm/a@1.0.0-rc1"),
            (
                "pkg:golang/github.com/Sirupsen/logrus@v1",
                "pkg:golang/github.com/sirupsen/logrus@v1",
            ),
            (
                "pkg:golang/example.org/a@v1.0.0",
                "pkg:golang/example.org/a@1.0.0",
            ),
            ("pkg:golang/a@v2.0.0+incompatible", "pkg:golang/a@v2.0.0"),
            ("pkg:maven/a/b@1?classifier=sources", "pkg:maven/a/b@1"),
            (
                "pkg:deb/debian/a@1?arch=i386",
                "pkg:deb/debian/a@1?arch=amd64",
            ),
            (
                "pkg:pypi/a@1?file_name=a-1.tar.gz",
                "pkg:pypi/a@1?file_name=a-1-py3-none-any.whl",
            ),
            ("pkg:generic/x@a%40b", "pkg:generic/x%40a@b"),
            ("pkg:generic/a%3Fb@1", "pkg:generic/a@1?b"),
            ("pkg:generic/a@%2541", "pkg:generic/a@A"),
        ] {
            assert_ne!(exact(one), exact(other), "{one}");
        }
    }

    #[test]
    fn other_texts_are_no_package_urls() {
        for text in [
            "",
            "pkg:",
            "pkg:x",
            "pkg:npm/",
            "pkg://npm//",
            "npm/a@1",
            "pkg:n m/a",
            "pkg:%6e/a",
        ] {
            assert_eq!(Purl::parse(text), None, "{text}");
        }
        for (text, package) in [
            ("pkg:npm/@scope", "pkg:npm/@scope"),
            ("pkg:pypi/x@", "pkg:pypi/x"),
            ("pkg:npm/A@@", "pkg:npm/A"),
            ("pkg:npm/A%40%40", "pkg:npm/A"),
            ("pkg:npm/A%40b@", "pkg:npm/A@b"),
            ("pkg:npm/a/@@", "pkg:npm/a/@"),
        ] {
            assert_eq!(exact(text), package);
        }
        assert_eq!(
            exact("pkg:deb/debian/a@1%2Bb%zz"),
            "pkg:deb/debian/a@1+b%zz"
        );
    }

    proptest! {
        #[test]
        fn the_text_is_its_own_canonical_form(
            text in "pkg:(npm|pypi|oci|deb|maven|generic)/[a-zA-Z@%/.?#&=_+v0-9 -]{1,24}",
        ) {
            if let Some(purl) = Purl::parse(&text) {
                prop_assert_eq!(exact(&purl.exact()), purl.exact());
                // The key texts are in lower case.
                let lower = lower_case_text(&purl.exact());
                prop_assert_eq!(lower_case_text(&exact(&lower)), lower);
            }
        }
    }
}
