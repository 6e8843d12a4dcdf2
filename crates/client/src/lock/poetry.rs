//! `poetry.lock` of Poetry, in its versions 1 and 2.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::artefact::{Item, Origin};
use super::python::{self, File};

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    /// Version 1 has the files of all packages here.
    #[serde(default)]
    files: BTreeMap<String, Vec<Distribution>>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    files: Vec<Distribution>,
    source: Option<Source>,
}

#[derive(Deserialize)]
struct Distribution {
    file: String,
    hash: Option<String>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: Option<String>,
}

pub(super) fn items(text: &str) -> Result<Vec<Item>, String> {
    let lock: Lock = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut items = Vec::new();
    for package in &lock.package {
        let of_all = lock.metadata.files.get(&package.name);
        let old = of_all.map(Vec::as_slice).unwrap_or_default();
        let files = match package.files.is_empty() {
            true => old,
            false => &package.files,
        };
        let kind = package
            .source
            .as_ref()
            .and_then(|source| source.kind.as_deref());
        if files.is_empty() || kind == Some("git") {
            let why = reason(kind);
            items.push(python::nothing(&package.name, &package.version, why));
            continue;
        }
        let origin = match kind {
            // `legacy` is another index than PyPI.
            None | Some("legacy") => Origin::Registry,
            Some(_) => Origin::Elsewhere,
        };
        items.extend(files.iter().map(|file| {
            let file = File {
                name: file.file.clone(),
                hash: file.hash.as_deref(),
            };
            python::file(&package.name, &package.version, origin, file)
        }));
    }
    Ok(items)
}

fn reason(kind: Option<&str>) -> &'static str {
    match kind {
        Some("git") => "from a Git repository, by its commit",
        Some("directory") => "from a local folder",
        Some("file") => "from a local file",
        Some("url") => "from a URL, without a digest",
        _ => "locked without a file",
    }
}
