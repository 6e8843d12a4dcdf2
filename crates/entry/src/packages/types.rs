//! Rules of the package types: which case does not matter, and which qualifiers name another file.
//!
//! They follow the type definitions of the package URL specification (ECMA-427). Where a registry
//! takes two spellings for one package although the specification does not say so, the registry
//! counts, because otherwise one package would have two keys.

use super::pypi;

/// The parts of a package URL whose case does not matter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Folded {
    Nothing,
    Namespace,
    /// Namespace and name.
    Names,
    /// Namespace, name and version.
    All,
}

/// The rules of one type.
pub(super) struct Type {
    pub(super) folded: Folded,
    /// Qualifiers that select one of several files of a version, in alphabetic order. Any other
    /// qualifier says where a file is, or nothing that a registry knows, so it makes no other
    /// package.
    pub(super) selectors: &'static [&'static str],
}

/// Returns the rules of a type, whose name is in lower case.
pub(super) fn rules(name: &str) -> Type {
    let selectors: &[&str] = match name {
        "alpm" | "apk" | "deb" => &["arch"],
        "bitnami" => &["arch", "distro"],
        "conan" => &["channel", "prev", "rrev", "user"],
        "conda" => &["build", "channel", "subdir", "type"],
        "cpan" => &["ext"],
        "docker" | "gem" | "vscode-extension" => &["platform"],
        "julia" => &["uuid"],
        "maven" => &["classifier", "type"],
        "mlflow" => &["model_uuid", "run_id"],
        "oci" => &["arch"],
        "otp" => &["arch", "platform"],
        "pypi" => &["file_name"],
        "rpm" => &["arch", "epoch"],
        "vcpkg" => &["port_version", "triplet"],
        "yocto" => &["layer_version"],
        _ => &[],
    };
    let folded = match name {
        "huggingface" | "oci" | "pypi" | "vscode-extension" => Folded::All,
        "alpm" | "apk" | "bitbucket" | "bitnami" | "brew" | "chrome-extension" | "composer"
        | "deb" | "docker" | "github" | "hex" | "luarocks" | "nuget" | "otp" | "pub" => {
            Folded::Names
        }
        "qpkg" | "rpm" | "yocto" => Folded::Namespace,
        _ => Folded::Nothing,
    };
    Type { folded, selectors }
}

/// Returns a name in the one spelling of its type.
pub(super) fn canonical_name(kind: &str, name: &str) -> String {
    match kind {
        "pypi" => pypi::canonical_name(name),
        _ => name.to_owned(),
    }
}

/// Returns a version in the one spelling of its type.
pub(super) fn canonical_version(kind: &str, version: &str) -> String {
    match kind {
        "pypi" => pypi::canonical_version(version).unwrap_or_else(|| version.to_owned()),
        // As the registry cleans it: no prefix, and no build metadata.
        "npm" => {
            let number = version.trim_start_matches(['v', '=']);
            let number = number.split('+').next().unwrap_or_default();
            match number.starts_with(|first: char| first.is_ascii_digit()) {
                true => number.to_owned(),
                // A tag, such as `vnext`.
                false => version.to_owned(),
            }
        }
        _ => version.to_owned(),
    }
}

/// Returns the value of a selector in the one spelling of its type.
pub(super) fn canonical_selector(kind: &str, value: String) -> String {
    let file = (kind == "pypi")
        .then(|| pypi::File::parse(&value))
        .flatten();
    file.map_or(value, |file| file.file_name)
}

/// Returns whether a selector has the value that a registry assumes without it.
pub(super) fn is_default(kind: &str, selector: &str, value: &str) -> bool {
    matches!(
        (kind, selector, value),
        ("maven", "type", "jar") | ("gem", "platform", "ruby") | ("rpm", "epoch", "0")
    )
}
