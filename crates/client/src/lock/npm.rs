//! `package-lock.json` of npm, in its versions 1, 2 and 3.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::artefact::{Item, Locked, Origin};
use super::digest::Digest;

/// Before the folder of an installed package.
const FOLDER: &str = "node_modules/";

#[derive(Deserialize)]
struct File {
    /// Versions 2 and 3, by the folder of the package. The project itself is at the empty path.
    packages: Option<BTreeMap<String, Package>>,
    /// Version 1, by the name of the package. Version 2 repeats itself here for old readers.
    dependencies: Option<BTreeMap<String, Package>>,
    #[serde(rename = "lockfileVersion")]
    version: Option<u64>,
}

#[derive(Deserialize)]
struct Package {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<Resolved>,
    integrity: Option<String>,
    #[serde(default)]
    link: bool,
    #[serde(default, rename = "inBundle")]
    in_bundle: bool,
    #[serde(default)]
    bundled: bool,
    /// Version 1: packages below this one. In later versions a list of names and ranges.
    dependencies: Option<BTreeMap<String, Dependency>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Dependency {
    Package(Box<Package>),
    Other(serde::de::IgnoredAny),
}

/// The URL of an artefact; `true` where npm was told not to record it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Resolved {
    Url(String),
    Other(serde::de::IgnoredAny),
}

pub(super) fn items(text: &str) -> Result<Vec<Item>, String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(packages) = file.packages {
        let installed = packages.into_iter().filter_map(|(folder, package)| {
            // The project itself, and its workspaces, which links lead to.
            let (_, name) = folder.rsplit_once(FOLDER)?;
            Some(package.item(name, &folder))
        });
        return Ok(installed.collect());
    }
    let mut items = Vec::new();
    match (file.dependencies, file.version) {
        (Some(dependencies), _) => {
            for (name, package) in dependencies {
                package.add_all(&name, &mut items);
            }
        }
        // A project without dependencies.
        (None, Some(_)) => {}
        (None, None) => return Err("it has no lockfileVersion".to_owned()),
    }
    Ok(items)
}

impl Package {
    /// Adds a package of version 1, and those below it. The depth is bounded by that of the JSON.
    fn add_all(mut self, name: &str, items: &mut Vec<Item>) {
        for (name, dependency) in self.dependencies.take().unwrap_or_default() {
            if let Dependency::Package(package) = dependency {
                package.add_all(&name, items);
            }
        }
        items.push(self.item(name, name));
    }

    fn item(self, folder_name: &str, place: &str) -> Item {
        let resolved = match &self.resolved {
            Some(Resolved::Url(url)) => Some(url.as_str()),
            _ => None,
        };
        let (mut name, mut version) = (folder_name.to_owned(), self.version.unwrap_or_default());
        // A package may be installed under another name.
        if let Some((real, exact)) = alias(&version) {
            (name, version) = (real, exact);
        }
        let name = self.name.unwrap_or(name);
        let source = resolved.unwrap_or(&version);
        let integrity = self.integrity.unwrap_or_default();
        let digests = Digest::of_integrity(&integrity);
        let locked = match () {
            () if self.link => Locked::Nothing("a link to a folder of the project"),
            () if !digests.is_empty() => Locked::Digests(digests),
            () if is_git(source) => Locked::Nothing("from a Git repository, by its commit"),
            () if source.starts_with("file:") => Locked::Nothing("from a local file or folder"),
            () if self.in_bundle || self.bundled => {
                Locked::Nothing("part of another package, which bundles it")
            }
            () if integrity.is_empty() => Locked::Nothing("locked without a digest"),
            () => Locked::Nothing("locked by a digest that logs do not index"),
        };
        let anchor = integrity.split_whitespace().next().unwrap_or(place);
        Item {
            origin: origin(source),
            anchor: anchor.to_owned(),
            file: None,
            name,
            version,
            locked,
        }
    }
}

/// Reads `npm:name@version`.
fn alias(version: &str) -> Option<(String, String)> {
    let (name, version) = version.strip_prefix("npm:")?.rsplit_once('@')?;
    Some((name.to_owned(), version.to_owned()))
}

fn is_git(source: &str) -> bool {
    source.starts_with("git") || source.starts_with("github:")
}

/// Returns whether a URL is one of a registry. All registries have a package's files below `/-/`. A
/// version instead of a URL is one of a registry too.
fn origin(source: &str) -> Origin {
    match source.contains(':') && !source.contains("/-/") {
        true => Origin::Elsewhere,
        false => Origin::Registry,
    }
}
