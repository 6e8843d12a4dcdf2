//! `Cargo.lock` of Cargo, in its versions 1 to 4.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::artefact::{Item, Locked, Origin};
use super::digest::Digest;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    package: Vec<Package>,
    /// Version 1 has the checksums here.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

pub(super) fn items(text: &str) -> Result<Vec<Item>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let item = |package: Package| {
        let source = package.source.as_deref().unwrap_or_default();
        let (name, version) = (&package.name, &package.version);
        let old = format!("checksum {name} {version} ({source})");
        let checksum = package.checksum.as_ref().or(file.metadata.get(&old));
        let digest = checksum.and_then(|digits| Digest::of_hex(&format!("sha256:{digits}")));
        let locked = match digest {
            Some(digest) => Locked::Digests(vec![digest]),
            None => Locked::Nothing(reason(source, checksum.is_some())),
        };
        let is_of_registry = source.starts_with("registry+") || source.starts_with("sparse+");
        Item {
            anchor: checksum.unwrap_or(name).clone(),
            origin: match is_of_registry {
                true => Origin::Registry,
                false => Origin::Elsewhere,
            },
            name: package.name,
            version: package.version,
            file: None,
            locked,
        }
    };
    Ok(file.package.into_iter().map(item).collect())
}

fn reason(source: &str, has_checksum: bool) -> &'static str {
    match () {
        () if source.is_empty() => "a crate of the workspace, or of a local folder",
        () if source.starts_with("git+") => "from a Git repository, by its commit",
        () if has_checksum => "locked by a digest that logs do not index",
        () => "locked without a digest",
    }
}
