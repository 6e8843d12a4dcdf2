//! The flags of `attest`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use client::attest::Ecosystem;

use crate::upload::{LogToFlags, SigningFlags};

/// Flags of `attest`.
#[derive(Debug, Args)]
pub(crate) struct AttestFlags {
    /// Files, each of which gets a statement of its own; with `--ecosystem oci` images,
    /// NAME@sha256:DIGEST
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    /// File with the predicate: a JSON object
    #[arg(long, value_name = "FILE")]
    pub predicate: PathBuf,
    /// Type of the predicate, a URI such as `https://slsa.dev/provenance/v1`
    #[arg(long = "type", value_name = "URI", value_parser = uri)]
    pub predicate_type: String,
    /// Where the files are published, which decides how they are named and what is written beside
    /// the bundle
    #[arg(long, value_enum)]
    pub ecosystem: Option<PublishedIn>,
    #[command(flatten)]
    pub signing: SigningFlags,
    /// Write the Sigstore bundle of the only file here. Unset: beside the file, as
    /// NAME.sigstore.json
    #[arg(long, value_name = "FILE", conflicts_with = "bundle_dir")]
    pub bundle: Option<PathBuf>,
    /// Write the bundles into this folder instead
    #[arg(long, value_name = "FOLDER")]
    pub bundle_dir: Option<PathBuf>,
    #[command(flatten)]
    pub to: LogToFlags,
}

/// Where a package is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PublishedIn {
    /// Tarballs of npm
    Npm,
    /// Wheels and source distributions of Python
    Pypi,
    /// Crates
    Cargo,
    /// Images of containers
    Oci,
}

impl PublishedIn {
    pub(super) fn ecosystem(this: Option<Self>) -> Ecosystem {
        match this {
            None => Ecosystem::File,
            Some(Self::Npm) => Ecosystem::Npm,
            Some(Self::Pypi) => Ecosystem::Pypi,
            Some(Self::Cargo) => Ecosystem::Cargo,
            Some(Self::Oci) => Ecosystem::Oci,
        }
    }
}

fn uri(text: &str) -> Result<String, &'static str> {
    let is_uri = text.split_once(':').is_some_and(|(scheme, rest)| {
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        !scheme.is_empty() && scheme.chars().all(is_scheme) && !rest.is_empty()
    });
    match is_uri && !text.contains(char::is_whitespace) {
        true => Ok(text.to_owned()),
        false => Err("a URI is needed, such as https://slsa.dev/provenance/v1"),
    }
}
