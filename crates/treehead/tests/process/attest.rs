//! `attest` and `search`: statements about packages, and how they are found.

use std::fs;
use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::check::Client;
use crate::entries::{self, Author};
use crate::large_keys::certificate;
use crate::program::{self, Server};
use crate::upload::{keys, verify_entry};

const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// A tar archive in gzip with one file.
fn tgz(path: &str, content: &str) -> Vec<u8> {
    let gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_path(path).unwrap();
    header.set_cksum();
    archive.append(&header, content.as_bytes()).unwrap();
    let mut gzip = archive.into_inner().unwrap();
    gzip.flush().unwrap();
    gzip.finish().unwrap()
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The statement in a bundle.
fn statement(bundle: &Value) -> Value {
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    serde_json::from_slice(&BASE64_STANDARD.decode(payload).unwrap()).unwrap()
}

#[test]
fn packages_are_attested_as_their_ecosystem_expects() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let (author, client) = (Author::new("attest"), Client::of(server.api));
    keys(&client, &author);
    let write = |name: &str, content: &[u8]| {
        fs::write(client.path(name), content).unwrap();
        client.path(name)
    };
    let predicate = write(
        "predicate.json",
        br#"{"builder":{"id":"https://ci.example"}}"#,
    );
    let certificate = write(
        "cert.pem",
        certificate(&author, "dev@example.com").as_bytes(),
    );
    let manifest = r#"{"name":"@acme/widget","version":"1.2.3"}"#;
    let npm = write("widget-1.2.3.tgz", &tgz("package/package.json", manifest));
    let manifest = "[package]\nname = \"gadget\"\nversion = \"0.1.0\"\n";
    let cargo = write(
        "gadget-0.1.0.crate",
        &tgz("gadget-0.1.0/Cargo.toml", manifest),
    );
    let pypi = write("a_b-1.0-py3-none-any.whl", b"a wheel");
    let image = format!("ghcr.io/acme/app@sha256:{}", "ab".repeat(32));
    let key = client.path("key.pem");
    for api in ["v1", "v2"] {
        let bundles = client.path(&format!("bundles-{api}"));
        let attest = |file: &str, more: &[&str]| {
            let arguments = [
                "attest",
                file,
                "--predicate",
                &predicate,
                "--type",
                PREDICATE,
                "--key",
                &key,
                "--api",
                api,
                "--bundle-dir",
                &bundles,
            ];
            client.json(server.api, &[&arguments[..], more].concat())
        };
        for (file, ecosystem, name, algorithm) in [
            (&npm, Some("npm"), "pkg:npm/%40acme/widget@1.2.3", "sha512"),
            (&cargo, Some("cargo"), "pkg:cargo/gadget@0.1.0", "sha256"),
            (&image, Some("oci"), "ghcr.io/acme/app", "sha256"),
            (&pypi, Some("pypi"), "a_b-1.0-py3-none-any.whl", "sha256"),
            (&pypi, None, "a_b-1.0-py3-none-any.whl", "sha256"),
        ] {
            let more = match ecosystem {
                Some("pypi") => vec!["--ecosystem", "pypi", "--certificate", &certificate],
                Some(ecosystem) => vec!["--ecosystem", ecosystem],
                None => Vec::new(),
            };
            let done = attest(file, &more);
            let written = done["uploads"][0]["written"].as_array().unwrap();
            let bundle = verify_entry(&client, written[0].as_str().unwrap(), None);
            let statement = statement(&bundle);
            assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
            assert_eq!(statement["predicateType"], PREDICATE);
            assert_eq!(
                statement["predicate"]["builder"]["id"],
                "https://ci.example"
            );
            assert_eq!(statement["subject"][0]["name"], name);
            assert!(
                statement["subject"][0]["digest"][algorithm].is_string(),
                "{statement}"
            );
            let kind = &done["uploads"][0]["entry"]["kind"];
            assert_eq!(
                kind,
                if api == "v1" {
                    "dsse 0.0.1"
                } else {
                    "hashedrekord 0.0.2"
                }
            );
            match ecosystem {
                Some("npm") => {
                    let document = json(written[1].as_str().unwrap());
                    assert_eq!(document["attestations"][0]["bundle"], bundle);
                    assert_eq!(document["attestations"][0]["predicateType"], PREDICATE);
                }
                Some("pypi") => {
                    let attestation = json(written[1].as_str().unwrap());
                    assert_eq!(
                        attestation["envelope"]["statement"],
                        bundle["dsseEnvelope"]["payload"]
                    );
                    let provenance = json(written[2].as_str().unwrap());
                    let bundles = &provenance["attestation_bundles"][0];
                    assert_eq!(bundles["attestations"][0], attestation);
                    assert_eq!(
                        bundles["publisher"]["claims"]["subjects"][0],
                        "dev@example.com"
                    );
                }
                _ => assert_eq!(written.len(), 1),
            }
        }
    }
    let refused = client.run(
        server.api,
        &[
            "attest",
            &pypi,
            "--predicate",
            &predicate,
            "--type",
            PREDICATE,
            "--key",
            &key,
            "--ecosystem",
            "pypi",
        ],
    );
    let refused = program::refusal(&refused, 2);
    assert!(refused.contains("--certificate"), "{refused}");

    // In the v1 log the statements are found by their package.
    for purl in ["pkg:npm/@acme/widget@1.2.3", "pkg:npm/%40acme/widget"] {
        let found = client.json(server.api, &["search", "--purl", purl]);
        assert_eq!(found["entries"][0]["kind"], "dsse 0.0.1", "{found}");
        let got = client.json(server.api, &["get", "--purl", purl]);
        assert_eq!(got["entries"], found["entries"]);
    }
    let absent = client.run(server.api, &["search", "--purl", "pkg:npm/other"]);
    program::refusal(&absent, 23);
    server.stop();
}

#[test]
fn entries_are_found_by_what_they_state_and_each_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let (author, client) = (Author::new("search"), Client::of(server.api));
    keys(&client, &author);
    let pem = certificate(&author, "dev@example.com");
    let keyed = author.sign("keyed");
    entries::log(server.api, &keyed);
    entries::log_v2(server.api, &keyed);
    entries::log(server.api, &author.sign_with("named", &pem));
    let artifact = client.path("artifact");
    fs::write(&artifact, "keyed by search").unwrap();
    let public = client.path("key.pub");
    let (hash, key_hash) = (
        &keyed.artifact_hash,
        tlog::sha256(author.public_pem().as_bytes()).to_string(),
    );
    for (conditions, found) in [
        (&["--hash", hash.as_str()][..], 2),
        (&["--file", &artifact], 2),
        (&["--file", &artifact, "--api", "v2"], 1),
        (&["--public-key", &public], 2),
        (
            &["--key-hash", &key_hash, "--kind", "hashedrekord:0.0.1"],
            1,
        ),
        (&["--email", "dev@example.com"], 1),
        (&["--subject", "dev@example.com"], 1),
        (&["--since", "2020-01-01T00:00:00Z"], 3),
        (&["--since", "2020-01-01T00:00:00Z", "--limit", "2"], 2),
    ] {
        let json = client.json(server.api, &[&["search"], conditions].concat());
        let entries = json["entries"].as_array().unwrap();
        assert_eq!(entries.len(), found, "{conditions:?}: {json}");
        assert!(
            entries.iter().all(|entry| entry["states"] == true),
            "{json}"
        );
        assert_eq!(json["more"], conditions.contains(&"--limit"));
    }
    let text = client.text(server.api, &["search", "--email", "dev@example.com"]);
    assert!(text.contains("verified: entry 1 of "), "{text}");
    program::refusal(&client.run(server.api, &["search"]), 2);
    program::refusal(&client.run(server.api, &["search", "--hash", "12"]), 2);
    program::refusal(
        &client.run(server.api, &["search", "--email", "nobody@example.com"]),
        23,
    );
    server.stop();
}
