//! Names of images in a registry, which tools give as the subject beside the digest of the
//! manifest.

use super::purl::Purl;

/// Hosts that serve images and nothing else under such names.
const REGISTRIES: [&str; 8] = [
    "docker.io",
    "index.docker.io",
    "ghcr.io",
    "quay.io",
    "gcr.io",
    "public.ecr.aws",
    "mcr.microsoft.com",
    "cgr.dev",
];
/// Ends of the names of such hosts.
const REGISTRY_ENDINGS: [&str; 5] = [
    ".gcr.io",
    ".pkg.dev",
    ".azurecr.io",
    ".amazonaws.com",
    ".ocir.io",
];

/// Returns the package of an image: `ghcr.io/org/app` with the SHA-256 of its manifest.
pub(super) fn package(name: &str, sha256: &str) -> Option<Purl> {
    let (host, path) = name.split_once('/')?;
    let is_digest = sha256.len() == 64 && sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_digest || !is_registry(host) || !path.split('/').all(is_component) {
        return None;
    }
    let name = path.rsplit('/').next()?;
    Purl::new("oci", name, Some(&format!("sha256:{sha256}")), &[])
}

fn is_registry(host: &str) -> bool {
    let (host, port) = match host.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host, None),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
    let is_host = !host.is_empty()
        && host.bytes().all(|letter| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || b".-".contains(&letter)
        });
    // A name with a port, or one that says what it is, is that of a registry as well.
    is_host
        && port.is_none_or(is_port)
        && (port.is_some()
            || host.starts_with("registry.")
            || REGISTRIES.contains(&host)
            || REGISTRY_ENDINGS.iter().any(|ending| host.ends_with(ending)))
}

/// Returns whether it is a component of a repository's name (OCI distribution specification).
fn is_component(component: &str) -> bool {
    let is_end = |letter: Option<u8>| {
        letter.is_some_and(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    };
    let is_inside = |letter: u8| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"._-".contains(&letter)
    };
    is_end(component.bytes().next())
        && is_end(component.bytes().next_back())
        && component.bytes().all(is_inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_in_registries_are_read() {
        let digest = "ab".repeat(32);
        for name in [
            "ghcr.io/org/app",
            "index.docker.io/library/app",
            "europe-docker.pkg.dev/project/repository/app",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app",
            "registry.gitlab.com/group/project/app",
            "localhost:5000/app",
        ] {
            let found = package(name, &digest).map(|purl| purl.exact());
            assert_eq!(
                found,
                Some(format!("pkg:oci/app@sha256:{digest}")),
                "{name}"
            );
        }
        for name in [
            "app",
            "org/app",
            "github.com/org/app",
            "ghcr.io/org/app:v1",
            "ghcr.io/org/App",
            "ghcr.io/org//app",
            "ghcr.io/",
            "ghcr.io:x/app",
            "https://ghcr.io/org/app",
        ] {
            assert_eq!(package(name, &digest), None, "{name}");
        }
        assert_eq!(package("ghcr.io/org/app", "ab"), None);
    }
}
