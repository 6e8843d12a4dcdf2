use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// A tar archive in gzip with these files.
fn tgz(files: &[(&str, &str)]) -> Vec<u8> {
    let gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_path(path).unwrap();
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn digest(ecosystem: Ecosystem) -> Digest {
    Digest::of(ecosystem.hash(), b"content")
}

fn named(ecosystem: Ecosystem, file: &str, content: &[u8]) -> Result<String, String> {
    let subject = subject(ecosystem, file, digest(ecosystem), content);
    subject
        .map(|subject| subject.name)
        .map_err(|error| error.to_string())
}

#[test]
fn packages_are_named_as_their_ecosystem_does() {
    let npm = |json: &str| {
        let files = [
            ("package/lib/package.json", "{}"),
            ("package/package.json", json),
        ];
        named(Ecosystem::Npm, "x.tgz", &tgz(&files))
    };
    let name = npm(r#"{"name":"@acme/widget","version":"1.2.3-rc.1","main":"x"}"#);
    assert_eq!(name.unwrap(), "pkg:npm/%40acme/widget@1.2.3-rc.1");
    let name = npm(r#"{"name":"left-pad","version":"1.0.0"}"#);
    assert_eq!(name.unwrap(), "pkg:npm/left-pad@1.0.0");
    let manifest = "[package]\nname = \"serde_json\"\nversion = \"1.0.0\"\n[dependencies]\n";
    let files = [
        ("serde_json-1.0.0/Cargo.toml", manifest),
        ("serde_json-1.0.0/Cargo.toml.orig", ""),
    ];
    let name = named(Ecosystem::Cargo, "x.crate", &tgz(&files));
    assert_eq!(name.unwrap(), "pkg:cargo/serde_json@1.0.0");
    for file in [
        "a_b-1.0-py3-none-any.whl",
        "a-1.0-1-cp312-cp312-linux_x86_64.whl",
        "a-1.0.tar.gz",
    ] {
        assert_eq!(named(Ecosystem::Pypi, file, b"").unwrap(), file);
    }
    assert_eq!(
        named(Ecosystem::File, "any thing", b"").unwrap(),
        "any thing"
    );
    let reference = format!("ghcr.io/acme/app@sha256:{}", "ab".repeat(32));
    let subject = image(&reference).unwrap();
    assert_eq!(subject.name, "ghcr.io/acme/app");
    assert_eq!(subject.digest.bytes(), [0xab; 32]);
}

#[test]
fn a_statement_says_what_it_is_about() {
    let predicate = json!({"builder": {"id": "x"}});
    for (ecosystem, name, algorithm) in [
        (Ecosystem::Npm, "pkg:npm/left-pad@1.0.0", "sha512"),
        (Ecosystem::Pypi, "a-1.0.tar.gz", "sha256"),
        (Ecosystem::Cargo, "pkg:cargo/serde@1.0.0", "sha256"),
        (Ecosystem::Oci, "ghcr.io/acme/app", "sha256"),
    ] {
        let digest = digest(ecosystem);
        let digits = hex::encode(digest.bytes());
        let subject = Subject {
            name: name.to_owned(),
            digest,
        };
        let made = statement(&subject, "https://slsa.dev/provenance/v1", &predicate);
        let made: Value = serde_json::from_slice(&made).unwrap();
        let expected = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": name, "digest": {algorithm: digits}}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {"builder": {"id": "x"}},
        });
        assert_eq!(made, expected);
    }
}

#[test]
fn archives_that_name_no_package_are_refused() {
    let package = r#"{"name":"a","version":"1.0.0"}"#;
    for (files, fault) in [
        (vec![], "has no package.json"),
        (vec![("package.json", package)], "has no package.json"),
        (vec![("a/b/package.json", package)], "has no package.json"),
        (
            vec![("a/package.json", package), ("b/package.json", package)],
            "twice",
        ),
        (vec![("a/package.json", "{}")], "names no package"),
        (
            vec![("a/package.json", r#"{"name":"a b","version":"1.0.0"}"#)],
            "is none of npm",
        ),
        (
            vec![("a/package.json", r#"{"name":"@a","version":"1.0.0"}"#)],
            "is none of npm",
        ),
        (
            vec![("a/package.json", r#"{"name":"../a","version":"1.0.0"}"#)],
            "is none of npm",
        ),
        (
            vec![("a/package.json", r#"{"name":"a","version":"latest"}"#)],
            "is none of npm",
        ),
        (
            vec![("a/package.json", r#"{"name":"a","version":"1@2"}"#)],
            "is none of npm",
        ),
    ] {
        let error = named(Ecosystem::Npm, "x.tgz", &tgz(&files)).unwrap_err();
        assert!(error.contains(fault), "{files:?}: {error}");
    }
    let whole = tgz(&[("a/package.json", package)]);
    let cut = named(Ecosystem::Npm, "x.tgz", &whole[..whole.len() / 2]).unwrap_err();
    assert!(cut.contains("cut off"), "{cut}");
    assert!(named(Ecosystem::Npm, "x.tgz", b"text").is_err());
    for file in [
        "a.whl",
        "a-1.0.tar",
        "1.0.zip",
        "a-b.zip",
        "a 1-1.0.zip",
        "../a-1.0.zip",
    ] {
        assert!(named(Ecosystem::Pypi, file, b"").is_err(), "{file}");
    }
    let zeros = "0".repeat(64);
    for reference in [
        "a:latest".to_owned(),
        "a@sha256:00".to_owned(),
        format!("@sha256:{zeros}"),
        format!("a b@sha256:{zeros}"),
        format!("a@sha256:{}", "AB".repeat(32)),
    ] {
        assert!(image(&reference).is_err(), "{reference}");
    }
}

/// A megabyte of zeros takes a kilobyte, so what counts is the size when it is unpacked.
#[test]
fn a_manifest_is_bounded() {
    let large = " ".repeat(5 << 20);
    let error = named(Ecosystem::Npm, "x.tgz", &tgz(&[("a/package.json", &large)])).unwrap_err();
    assert!(error.contains("4 MiB"), "{error}");
}

#[test]
fn an_index_of_python_wants_a_certificate() {
    let bundle = json!({
        "verificationMaterial": {"certificate": {"rawBytes": "AAAA"}, "tlogEntries": [{"logIndex": "1"}]},
        "dsseEnvelope": {"payload": "cGF5", "payloadType": "t", "signatures": [{"sig": "c2ln"}]},
    });
    let attestation = pypi_attestation(&bundle).unwrap();
    assert_eq!(
        attestation,
        json!({
            "version": 1,
            "verification_material": {"certificate": "AAAA", "transparency_entries": [{"logIndex": "1"}]},
            "envelope": {"statement": "cGF5", "signature": "c2ln"},
        })
    );
    let keyed = json!({"verificationMaterial": {"publicKey": {"hint": "x"}}});
    assert_eq!(pypi_attestation(&keyed), Err(DocumentError::Key));
    assert_eq!(
        npm_attestations("https://slsa.dev/provenance/v1", &bundle)["attestations"][0]["bundle"],
        bundle
    );
}

#[test]
fn gzip_of_several_members_is_one_archive() {
    let package = r#"{"name":"a","version":"1.0.0"}"#;
    let files = tgz(&[("a/package.json", package)]);
    let mut more = GzEncoder::new(Vec::new(), Compression::fast());
    more.write_all(&[0; 512]).unwrap();
    let both = [files, more.finish().unwrap()].concat();
    assert_eq!(
        named(Ecosystem::Npm, "x.tgz", &both).unwrap(),
        "pkg:npm/a@1.0.0"
    );
}
