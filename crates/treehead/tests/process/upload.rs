//! `upload`: every kind, many files, duplicates, bundles, and the queue.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use serde_json::Value;

use crate::check::Client;
use crate::entries::Author;
use crate::http;
use crate::program::{self, Server};

/// Writes the private and the public key of an author.
pub(crate) fn keys(client: &Client, author: &Author) {
    let pem = author.key().to_pkcs8_pem(LineEnding::LF).unwrap();
    fs::write(client.path("key.pem"), pem.as_bytes()).unwrap();
    fs::write(client.path("key.pub"), author.public_pem()).unwrap();
}

/// The statuses of uploads by file name.
pub(crate) fn statuses(json: &Value) -> Vec<&str> {
    let uploads = json["uploads"].as_array().unwrap();
    uploads
        .iter()
        .map(|upload| upload["status"].as_str().unwrap())
        .collect()
}

/// Checks the entry of a bundle offline with `verify`, and that it is about the artifact.
pub(crate) fn verify_entry(client: &Client, bundle: &str, artifact: Option<&str>) -> Value {
    let bundle: Value = serde_json::from_slice(&fs::read(bundle).unwrap()).unwrap();
    assert_eq!(
        bundle["mediaType"],
        "application/vnd.dev.sigstore.bundle.v0.3+json"
    );
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let file = client.path("entry-of-bundle.json");
    fs::write(&file, entry.to_string()).unwrap();
    let trust = client.path("trusted_root.json");
    let mut arguments = vec!["verify", "--trust", &trust, "--entry", &file];
    arguments.extend(artifact);
    let output = program::run(&arguments);
    assert!(output.status.success(), "{output:?}");
    bundle
}

#[test]
fn a_signed_file_is_logged_with_its_bundle_by_both_apis() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program::serve(folder.path());
    command.args(["--duplicates.v2", "conflict"]);
    let server = Server::start(&mut command);
    let (author, client) = (Author::new("upload"), Client::of(server.api));
    keys(&client, &author);
    let artifact = client.path("artifact");
    fs::write(&artifact, "an artifact").unwrap();
    for api in ["v1", "v2"] {
        let bundle = client.path(&format!("{api}.sigstore.json"));
        let key = client.path("key.pem");
        let sign = [
            "upload", &artifact, "--api", api, "--key", &key, "--bundle", &bundle,
        ];
        let json = client.json(server.api, &sign);
        assert_eq!(statuses(&json), ["logged"], "{json}");
        assert_eq!(json["uploads"][0]["written"][0], *bundle);
        let written = verify_entry(&client, &bundle, Some(&artifact));
        let hint = &written["verificationMaterial"]["publicKey"]["hint"];
        assert!(hint.is_string(), "{written}");

        // The same signature, given as a file: the log has it already.
        let signature = written["messageSignature"]["signature"].as_str().unwrap();
        let file = client.path("artifact.sig");
        fs::write(&file, signature).unwrap();
        let public = client.path("key.pub");
        let again = [
            "upload",
            &artifact,
            "--api",
            api,
            "--signature",
            &file,
            "--public-key",
            &public,
        ];
        let again = client.json(server.api, &again);
        assert_eq!(statuses(&again), ["duplicate"], "{again}");
        for member in ["body", "logIndex", "uuid"] {
            let (one, other) = (&json["uploads"][0]["entry"], &again["uploads"][0]["entry"]);
            assert_eq!(one[member], other[member], "{member}");
        }
        let text = client.text(server.api, &sign);
        assert!(text.contains("artifact is in the log\n"), "{text}");
    }
    server.stop();
}

/// Files of every kind, from what a real Rekor took. Each name leads to its kind, but for kinds that
/// must be named.
fn files_of_every_kind(folder: &Path) -> Vec<(&'static str, Vec<String>)> {
    let recorded = |name: &str| -> Value {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/newest");
        let recording = fs::read(root.join(name)).unwrap();
        let recording: Value = serde_json::from_slice(&recording).unwrap();
        let body: Value =
            serde_json::from_str(recording["request"]["body"].as_str().unwrap()).unwrap();
        body["spec"].clone()
    };
    let write = |name: &str, content: &Value| {
        let bytes = match content {
            Value::String(text) => BASE64_STANDARD.decode(text).unwrap(),
            other => other.to_string().into_bytes(),
        };
        fs::write(folder.join(name), bytes).unwrap();
        folder.join(name).display().to_string()
    };
    let mut files = Vec::new();
    for (kind, recording, content, name) in [
        (
            "rpm",
            "new/v1b/026-rpm-key-v4-rsa1024.json",
            "/package/content",
            "a.rpm",
        ),
        (
            "alpine",
            "new/v1/202-alpine-control.json",
            "/package/content",
            "a.apk",
        ),
        (
            "jar",
            "new/v1x/090-cms-jar-bm2121.json",
            "/archive/content",
            "a.jar",
        ),
        (
            "helm",
            "new/v1b/014-helm-v3-sha1.json",
            "/chart/provenance/content",
            "a.prov",
        ),
        ("cose", "v1/own/cose-es256.json", "/message", "a.cose"),
        (
            "tuf",
            "new/v1/161-tuf-object-dup-top-signed-same.json",
            "/metadata/content",
            "a.tuf",
        ),
        (
            "rfc3161",
            "new/v1x/097-cms-tsr-m272.json",
            "/tsr/content",
            "a.tsr",
        ),
        (
            "rekord",
            "new/v1b/040-pgp-v4-ed.json",
            "/data/content",
            "a.txt",
        ),
        (
            "rekord",
            "v1/own/rekord-x509-ed25519.json",
            "/data/content",
            "b.txt",
        ),
        (
            "dsse",
            "v1/own/dsse-0.0.1-onesig.json",
            "/proposedContent/envelope",
            "a.json",
        ),
        (
            "intoto",
            "v1/own/dsse-0.0.1-onesig.json",
            "/proposedContent/envelope",
            "b.json",
        ),
    ] {
        let spec = recorded(recording);
        let content = match spec.pointer(content).unwrap() {
            Value::String(envelope) if envelope.starts_with('{') => {
                serde_json::from_str(envelope).unwrap()
            }
            content => content.clone(),
        };
        let mut arguments = vec![write(name, &content)];
        let keys = [
            "/publicKey/content",
            "/publicKey",
            "/root/content",
            "/signature/publicKey/content",
            "/proposedContent/verifiers/0",
        ];
        let key = keys.into_iter().find_map(|path| spec.pointer(path));
        if let Some(key) = key {
            arguments.extend([
                "--public-key".to_owned(),
                write(&format!("{name}.key"), key),
            ]);
        }
        if let Some(signature) = spec.pointer("/signature/content") {
            let file = write(&format!("{name}.sig"), signature);
            arguments.extend(["--signature".to_owned(), file]);
        }
        if kind == "intoto" || name == "b.txt" {
            arguments.extend(["--type".to_owned(), kind.to_owned()]);
        }
        files.push((kind, arguments));
    }
    files
}

#[test]
fn every_kind_is_found_out_and_logged_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let client = Client::of(server.api);
    let files = tempfile::tempdir().unwrap();
    for (kind, arguments) in files_of_every_kind(files.path()) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let upload = [&["upload", "--api", "v1"], arguments.as_slice()].concat();
        let json = client.json(server.api, &upload);
        assert_eq!(statuses(&json), ["logged"], "{json}");
        let logged = json["uploads"][0]["entry"]["kind"].as_str().unwrap();
        assert!(
            logged.starts_with(&format!("{kind} 0.0.")),
            "{kind}: {logged}"
        );
        let again = client.json(server.api, &upload);
        assert_eq!(statuses(&again), ["duplicate"], "{again}");
    }

    // An envelope in Rekor v2: the digest of what is signed.
    let (_, envelope) = files_of_every_kind(files.path()).remove(9);
    let bundle = client.path("envelope.sigstore.json");
    let envelope: Vec<&str> = envelope.iter().map(String::as_str).collect();
    let upload = [
        &["upload", "--api", "v2", "--bundle", &bundle],
        envelope.as_slice(),
    ]
    .concat();
    let json = client.json(server.api, &upload);
    assert_eq!(json["uploads"][0]["entry"]["kind"], "hashedrekord 0.0.2");
    let written = verify_entry(&client, &bundle, None);
    assert!(written["dsseEnvelope"]["payload"].is_string(), "{written}");
    let whole = [&upload[..], &["--type", "dsse"]].concat();
    let json = client.json(server.api, &whole);
    assert_eq!(json["uploads"][0]["entry"]["kind"], "dsse 0.0.2");
    server.stop();
}

/// Writes so many files, and returns their paths.
pub(crate) fn many(folder: &Path, count: usize) -> Vec<String> {
    let file = |number: usize| {
        let path = folder.join(format!("file-{number}"));
        fs::write(&path, format!("content {number}")).unwrap();
        path.display().to_string()
    };
    (0..count).map(file).collect()
}

/// The files in a folder that end so.
pub(crate) fn names(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| path.display().to_string().ends_with(suffix);
    paths.filter(is_one).collect()
}

pub(crate) fn size(server: SocketAddr) -> u64 {
    http::get(server, "/api/v1/log").json()["treeSize"]
        .as_u64()
        .unwrap()
}

#[test]
fn five_hundred_files_are_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut program::serve(folder.path()));
    let (author, client) = (Author::new("many"), Client::of(server.api));
    keys(&client, &author);
    let source = tempfile::tempdir().unwrap();
    let (files, key, bundles) = (
        many(source.path(), 500),
        client.path("key.pem"),
        client.path("bundles"),
    );
    for api in ["v1", "v2"] {
        let folder = format!("{bundles}-{api}");
        let mut arguments = vec![
            "upload",
            "--api",
            api,
            "--key",
            &key,
            "--bundle-dir",
            &folder,
        ];
        arguments.extend(files.iter().map(String::as_str));
        let json = client.json(server.api, &arguments);
        assert!(
            statuses(&json).iter().all(|status| *status == "logged"),
            "{json}"
        );
        assert_eq!(names(Path::new(&folder), ".sigstore.json").len(), 500);
        let one = format!("{folder}/file-499.sigstore.json");
        verify_entry(&client, &one, Some(&files[499]));
    }
    assert_eq!(size(server.api), 500);
    server.stop();
}

#[test]
fn uploads_that_cannot_be_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program::serve(folder.path());
    command.args(["--enabled-entry-types", "rekord"]);
    let server = Server::start(&mut command);
    let (author, client) = (Author::new("refused"), Client::of(server.api));
    keys(&client, &author);
    let write = |name: &str, text: &str| {
        fs::write(client.path(name), text).unwrap();
        client.path(name)
    };
    let text = write("text", "some text");
    let (key, public) = (client.path("key.pem"), client.path("key.pub"));
    let signature = write("text.sig", &BASE64_STANDARD.encode("no signature"));
    let pem = fs::read_to_string(&key).unwrap();
    let encrypted = write("encrypted", &pem.replace(" PRIVATE", " ENCRYPTED PRIVATE"));
    let unsigned = write("x.jar", "PK\u{3}\u{4}");
    let run = |arguments: &[&str]| -> Output {
        client.run(
            server.api,
            &[&["upload", "--api", "v1"], arguments].concat(),
        )
    };
    for (arguments, why) in [
        (&[text.as_str()][..], "--type"),
        (&[&unsigned], "no archive with a signature"),
        (&[&text, "--key", &encrypted], "encrypted"),
        (&[&text, "--key", &public], "no private key"),
        (
            &[&text, "--signature", &signature, "--public-key", &public],
            "signature",
        ),
        (
            &[&text, "--signature", &signature, "--public-key", &key],
            "private key",
        ),
        (&[&text, "--signature", &signature], "give --public-key"),
        (
            &[&text, &text, "--signature", &signature],
            "1 signatures for 2 files",
        ),
        (
            &[&text, &text, "--key", &key, "--bundle", "b"],
            "--bundle-dir",
        ),
        (
            &[&text, &text, "--key", &key, "--bundle-dir", "b"],
            "two files would write",
        ),
        (&[&text, "--type", "bogus"], "known are"),
        (&[&text, "--type", "dsse", "--public-key", &public], "DSSE"),
        (&[], "FILE"),
    ] {
        let refused = program::refusal(&run(arguments), 2);
        assert!(refused.contains(why), "{arguments:?}: {refused}");
    }
    // The log's own refusal, in its words.
    let refused = run(&[&text, "--key", &key]);
    assert_eq!(refused.status.code(), Some(22), "{refused:?}");
    let said = program::text(&refused.stdout);
    assert!(
        said.contains("400: ") && said.contains("is not enabled"),
        "{said}"
    );
    server.stop();
}
