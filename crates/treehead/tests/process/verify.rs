//! `verify` with bundles, attestations and entries of a server of this program.

use std::fs;
use std::process::Output;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use p256::ecdsa::DerSignature;
use p256::ecdsa::signature::Signer;
use serde_json::{Value, json};

use crate::entries::{self, Author};
use crate::program::{self, Server};

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const PREDICATE: &str = "https://acme.example/tested/v1";

/// A folder with what a client has, and one with what the server has.
struct Setup {
    server: Server,
    author: Author,
    folder: tempfile::TempDir,
    _data: tempfile::TempDir,
}

impl Setup {
    fn new(name: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(&mut program::serve(data.path()));
        let setup = Self {
            author: Author::new(name),
            folder: tempfile::tempdir().unwrap(),
            server,
            _data: data,
        };
        let root = crate::http::get(setup.server.api, "/trust/trusted_root.json");
        setup.keep("trusted_root.json", &root.body);
        setup.keep("key.pub", setup.author.public_pem());
        setup.keep("other.pub", Author::new("somebody else").public_pem());
        setup
    }

    fn keep(&self, name: &str, text: &str) -> String {
        let path = program::file(self.folder.path(), name, text);
        path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn verify(&self, arguments: &[&str]) -> Output {
        let trust = self.path("trusted_root.json");
        program::run(&[&["verify", "--trust", &trust][..], arguments].concat())
    }

    fn accepted(&self, arguments: &[&str]) -> String {
        let output = self.verify(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        program::text(&output.stdout)
    }

    fn refused(&self, arguments: &[&str], code: i32, says: &str) {
        let refusal = program::refusal(&self.verify(arguments), code);
        assert!(refusal.contains(says), "{arguments:?}: {refusal}");
    }

    fn stop(&mut self) {
        self.server.kill();
    }

    /// Returns the entry at an index of the v1 log, as bundles hold it.
    fn v1_entry(&self, index: u64) -> Value {
        let path = format!("/trees/{}/entries/{index}", self.server.tree("v1"));
        crate::http::get(self.server.api, &path).json()
    }
}

fn signature_in(proposal: &str) -> Value {
    let proposal: Value = serde_json::from_str(proposal).unwrap();
    proposal["spec"]["signature"]["content"].clone()
}

fn bundle(entry: &Value, signature: &Value) -> Value {
    json!({
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": ""}, "tlogEntries": [entry]},
        "messageSignature": {"signature": signature},
    })
}

#[test]
fn bundles_of_both_logs_are_verified_offline() {
    let mut setup = Setup::new("bundle");
    let proposal = setup.author.sign("artifact");
    entries::log(setup.server.api, &proposal);
    let v2 = entries::log_v2(setup.server.api, &proposal);
    let v1 = setup.v1_entry(0);
    let signature = signature_in(&proposal.json);
    let artifact = setup.keep("artifact", "artifact by bundle");
    let other = setup.keep("other", "another artifact");
    let (key, wrong) = (setup.path("key.pub"), setup.path("other.pub"));
    setup.stop();

    for (name, entry) in [("v1", v1), ("v2", v2)] {
        let whole = bundle(&entry, &signature).to_string();
        let file = setup.keep(&format!("{name}.json"), &whole);
        let text = setup.accepted(&[&artifact, "--bundle", &file, "--key", &key]);
        assert!(text.starts_with("verified: "), "{text}");
        assert!(text.contains("signed by    the key in "), "{text}");
        assert!(
            text.contains(&format!("artifact     sha256:{}", proposal.artifact_hash)),
            "{text}"
        );
        let says_time = text.contains("not checked  when it was signed");
        assert_eq!(says_time, name == "v2", "{text}");
        // The bundle says itself what it is, and a digest stands for the artifact.
        setup.accepted(&[&file, &artifact, "--key", &key]);
        let digest = format!("sha256:{}", proposal.artifact_hash);
        let json = setup.accepted(&[&digest, &file, "--key", &key, "--format", "json"]);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["signer"]["kind"], "key");
        assert_eq!(json["entries"][0]["integratedTime"].is_null(), name == "v2");
        assert_eq!(json["statement"], Value::Null);

        let with = |artifact: &str, key: &str, code, says: &str| {
            setup.refused(&[artifact, "--bundle", &file, "--key", key], code, says);
        };
        with(&other, &key, 20, "signature");
        with(&artifact, &wrong, 20, "signature");
        with(&artifact, &artifact, 2, "key");
        setup.refused(
            &[&artifact, "--bundle", &file],
            2,
            "say who must have signed",
        );
        setup.refused(&["--bundle", &file, "--key", &key], 2, "name the artifact");
        setup.refused(&[&file, "--key", &key], 2, "name the artifact");
        setup.refused(&[&file, &file, "--key", &key], 2, "both files");
        let identity = [
            "--certificate-identity",
            "a@b",
            "--certificate-oidc-issuer",
            "https://c",
        ];
        let by_certificate = [&[&artifact, "--bundle", &file][..], &identity].concat();
        setup.refused(&by_certificate, 20, "a key signed and no certificate");
        let cut = setup.keep("cut", &whole[..whole.len() - 9]);
        setup.refused(
            &[&artifact, "--bundle", &cut, "--key", &key],
            20,
            "truncated",
        );
    }
    // A bundle beside its artifact is found, under the name that clients give it.
    fs::rename(setup.path("v2.json"), setup.path("artifact.sigstore.json")).unwrap();
    let text = setup.accepted(&[&artifact, "--key", &key]);
    assert!(text.contains("artifact.sigstore.json"), "{text}");
}

#[test]
fn attestations_are_about_a_file() {
    let mut setup = Setup::new("attest");
    let artifact = setup.keep("artifact", "an artifact\n");
    let hash = tlog::sha256(&fs::read(&artifact).unwrap());
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": hash.to_string()}}],
        "predicateType": PREDICATE, "predicate": {},
    });
    let payload = statement.to_string();
    let pae = format!(
        "DSSEv1 {} {PAYLOAD_TYPE} {} {payload}",
        PAYLOAD_TYPE.len(),
        payload.len()
    );
    let signature: DerSignature = setup.author.key().sign(pae.as_bytes());
    let envelope = json!({
        "payloadType": PAYLOAD_TYPE, "payload": BASE64_STANDARD.encode(&payload),
        "signatures": [{"sig": BASE64_STANDARD.encode(signature.as_bytes())}],
    });
    let proposal = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": {
        "envelope": envelope.to_string(), "verifiers": [BASE64_STANDARD.encode(setup.author.public_pem())],
    }}});
    let answer = crate::http::post(
        setup.server.api,
        "/api/v1/log/entries",
        &proposal.to_string(),
    );
    assert_eq!(answer.status, 201, "{answer:?}");
    let bundle = json!({
        "mediaType": MEDIA_TYPE, "dsseEnvelope": envelope,
        "verificationMaterial": {"publicKey": {"hint": ""}, "tlogEntries": [setup.v1_entry(0)]},
    });
    let file = setup.keep("bundle.json", &bundle.to_string());
    let key = setup.path("key.pub");
    let base = [&artifact, "--bundle", &file, "--key", &key];
    let text = setup.accepted(&[&base[..], &["--type", PREDICATE]].concat());
    assert!(
        text.contains(&format!("attests      {PREDICATE}")),
        "{text}"
    );
    assert!(text.contains("about        app (sha256:"), "{text}");
    setup.refused(
        &[&base[..], &["--type", "https://x"]].concat(),
        20,
        "was expected",
    );
    let other = setup.keep("other", "another artifact");
    setup.refused(&[&other, "--bundle", &file, "--key", &key], 20, "subject");
    setup.stop();
}

#[test]
fn a_log_is_asked_for_the_entries_of_a_file() {
    let mut setup = Setup::new("online");
    let proposal = setup.author.sign("artifact");
    let answer = entries::log(setup.server.api, &proposal);
    entries::log_v2(setup.server.api, &proposal);
    let entry = setup.keep("entry", &json!({&answer.uuid: answer.entry}).to_string());
    let artifact = setup.keep("artifact", "artifact by online");
    let other = setup.keep("other", "another artifact");
    let (key, wrong) = (setup.path("key.pub"), setup.path("other.pub"));
    let url = format!("http://{}", setup.server.api);
    for api in ["v1", "v2"] {
        let base = [&artifact, "--url", &url, "--api", api];
        let text = setup.accepted(&base);
        assert!(
            text.contains("not checked  the signature in the entry"),
            "{text}"
        );
        let text = setup.accepted(&[&base[..], &["--key", &key]].concat());
        assert!(text.contains("signed by    the key in "), "{text}");
        let by_other = [&base[..], &["--key", &wrong]].concat();
        setup.refused(&by_other, 20, "by the expected signer");
        setup.refused(&[&other, "--url", &url, "--api", api], 23, "finds no entry");
    }
    setup.stop();
    setup.refused(&[&artifact, "--url", &url], 22, "cannot be reached");
    setup.refused(&[&artifact], 2, "--bundle FILE, --entry FILE, or --url");
    setup.refused(&[&artifact, &other], 2, "neither file");

    // An entry alone says what it is, and is verified with a key as a bundle is.
    setup.accepted(&[&entry]);
    setup.accepted(&[&entry, &artifact]);
    // What looks like an entry is an artifact, if a log is asked or a signer expected.
    setup.refused(&[&entry, "--url", &url], 22, "cannot be reached");
    setup.refused(&[&entry, "--key", &key], 2, "say how");
    // Nobody is expected in vain.
    setup.refused(&["--entry", &entry, "--key", &key], 2, "name the artifact");
    let typed = ["--entry", &entry, &artifact, "--type", PREDICATE];
    setup.refused(&typed, 2, "say who must have signed");
    let text = setup.accepted(&["--entry", &entry, &artifact, "--key", &key]);
    assert!(text.contains("signed by    the key in "), "{text}");
    setup.refused(
        &["--entry", &entry, &artifact, "--key", &wrong],
        20,
        "signature",
    );
}
