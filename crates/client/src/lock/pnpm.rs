//! `pnpm-lock.yaml` of pnpm, in its versions 5 to 9.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::artefact::{Item, Locked, Origin};
use super::digest::Digest;

#[derive(Deserialize)]
struct File {
    packages: Option<BTreeMap<String, Package>>,
}

#[derive(Deserialize)]
struct Package {
    resolution: Option<Resolution>,
    /// Where the key does not say it.
    name: Option<String>,
    version: Option<String>,
}

#[derive(Deserialize)]
struct Resolution {
    integrity: Option<String>,
    tarball: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    directory: Option<String>,
    repo: Option<String>,
}

pub(super) fn items(text: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    // Newer versions write a document about pnpm itself before the one about the project.
    for document in serde_norway::Deserializer::from_str(text) {
        let file = File::deserialize(document).map_err(|error| error.to_string())?;
        let packages = file.packages.unwrap_or_default();
        items.extend(
            packages
                .into_iter()
                .map(|(key, package)| package.item(&key)),
        );
    }
    match items.is_empty() && !text.contains("lockfileVersion") {
        true => Err("it has no lockfileVersion".to_owned()),
        false => Ok(items),
    }
}

impl Package {
    fn item(self, key: &str) -> Item {
        let resolution = self.resolution.as_ref();
        let integrity = resolution.and_then(|resolution| resolution.integrity.as_deref());
        let integrity = integrity.unwrap_or_default();
        let locked = match (Digest::of_integrity(integrity), resolution) {
            (digests, _) if !digests.is_empty() => Locked::Digests(digests),
            (_, Some(resolution)) => Locked::Nothing(resolution.reason()),
            (_, None) => Locked::Nothing("locked without a digest"),
        };
        let (name, version) = split(key);
        let is_tarball = resolution.is_some_and(|resolution| {
            let url = resolution.tarball.as_deref().unwrap_or_default();
            !url.is_empty() && !url.contains("/-/")
        });
        let origin = match is_tarball || version.contains([':', '/']) {
            true => Origin::Elsewhere,
            false => Origin::Registry,
        };
        let first = integrity.split_whitespace().next();
        Item {
            anchor: first.unwrap_or(key).to_owned(),
            name: self.name.unwrap_or(name),
            version: self.version.unwrap_or(version),
            file: None,
            origin,
            locked,
        }
    }
}

impl Resolution {
    fn reason(&self) -> &'static str {
        let is_git = self.kind.as_deref() == Some("git") || self.repo.is_some();
        match () {
            () if is_git => "from a Git repository, by its commit",
            () if self.directory.is_some() => "from a local folder",
            () if self.integrity.is_some() => "locked by a digest that logs do not index",
            () if self.tarball.is_some() => "from a URL, without a digest",
            () => "locked without a digest",
        }
    }
}

/// Returns name and version in a key: `/name/1.0.0_peers` of version 5, `/name@1.0.0(peers)` of
/// version 6, `name@1.0.0` since version 9.
fn split(key: &str) -> (String, String) {
    let key = key.split('(').next().unwrap_or_default();
    let path = key.strip_prefix('/').unwrap_or(key);
    // The first at sign of a scope is no separator.
    let at = path.char_indices().skip(1).find(|(_, c)| *c == '@');
    let slash = path.rfind('/').filter(|_| key.starts_with('/'));
    match (at, slash) {
        (Some((at, _)), None) => (path[..at].to_owned(), path[at + 1..].to_owned()),
        (Some((at, _)), Some(slash)) if slash < at && is_name(&path[..at]) => {
            (path[..at].to_owned(), path[at + 1..].to_owned())
        }
        (_, Some(slash)) => {
            let version = path[slash + 1..].split('_').next().unwrap_or_default();
            (path[..slash].to_owned(), version.to_owned())
        }
        (None, None) => (path.to_owned(), String::new()),
    }
}

/// Whether a text before an at sign is a whole name: not `name/1.0.0_peer` of version 5.
fn is_name(text: &str) -> bool {
    match text.strip_prefix('@') {
        Some(scoped) => scoped.matches('/').count() == 1,
        None => !text.contains('/'),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn keys_of_all_versions_are_taken_apart() {
        for (key, name, version) in [
            ("/lodash/4.17.21", "lodash", "4.17.21"),
            ("/@babel/core/7.1.0", "@babel/core", "7.1.0"),
            ("/@a/b/1.0.0_react@18.0.0", "@a/b", "1.0.0"),
            ("/b/1.0.0_@a+c@2.0.0", "b", "1.0.0"),
            ("/lodash@4.17.21", "lodash", "4.17.21"),
            ("/@a/b@1.0.0(@c/d@2.0.0)(e@1.0.0)", "@a/b", "1.0.0"),
            ("lodash@4.17.21", "lodash", "4.17.21"),
            ("@a/b@1.0.0", "@a/b", "1.0.0"),
            (
                "x@https://codeload.github.com/a/x/tar.gz/c0ffee",
                "x",
                "https://codeload.github.com/a/x/tar.gz/c0ffee",
            ),
            ("x@file:../x", "x", "file:../x"),
            ("file:../x", "file:../x", ""),
            ("", "", ""),
            ("/", "", ""),
            ("@", "@", ""),
        ] {
            assert_eq!(split(key), (name.to_owned(), version.to_owned()), "{key}");
        }
    }
}
