//! `uv.lock` of uv.

use serde::Deserialize;

use super::artefact::{Item, Origin};
use super::python::{self, File};

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    #[serde(default)]
    source: Source,
    sdist: Option<Distribution>,
    #[serde(default)]
    wheels: Vec<Distribution>,
}

#[derive(Default, Deserialize)]
struct Source {
    registry: Option<String>,
    git: Option<String>,
    url: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Distribution {
    url: Option<String>,
    path: Option<String>,
    filename: Option<String>,
    hash: Option<String>,
}

pub(super) fn items(text: &str) -> Result<Vec<Item>, String> {
    let lock: Lock = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut items = Vec::new();
    for package in &lock.package {
        let version = package.version.as_deref().unwrap_or_default();
        let origin = match package.source.registry {
            Some(_) => Origin::Registry,
            None => Origin::Elsewhere,
        };
        let files: Vec<&Distribution> = package.sdist.iter().chain(&package.wheels).collect();
        if files.is_empty() || package.source.git.is_some() {
            items.push(python::nothing(
                &package.name,
                version,
                package.source.reason(),
            ));
            continue;
        }
        items.extend(files.into_iter().map(|file| {
            let file = File {
                name: file.name(),
                hash: file.hash.as_deref(),
            };
            python::file(&package.name, version, origin, file)
        }));
    }
    Ok(items)
}

impl Source {
    fn reason(&self) -> &'static str {
        match self {
            Self { git: Some(_), .. } => "from a Git repository, by its commit",
            Self { url: Some(_), .. } => "from a URL, without a digest",
            Self { path: Some(_), .. } => "from a local file",
            Self {
                registry: Some(_), ..
            } => "locked without a file",
            _ => "the project, or a local folder",
        }
    }
}

impl Distribution {
    /// Returns the name of the file, which is the last part of its URL.
    fn name(&self) -> String {
        let place = self
            .filename
            .as_ref()
            .or(self.url.as_ref())
            .or(self.path.as_ref());
        let place = place.map(String::as_str).unwrap_or_default();
        let path = place.split(['?', '#']).next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        // The only character of a version that URLs escape.
        name.replace("%2B", "+").replace("%2b", "+")
    }
}
