//! Alpine packages: what is taken, and what hostile ones cost.

use std::io::Write;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use flate2::Compression;
use flate2::write::GzEncoder;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePublicKey, LineEnding};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::packages::{base64, spec_of, submit};

/// A package that is signed as it says.
struct Package {
    info: String,
    data: Vec<u8>,
}

impl Package {
    fn new() -> Self {
        let data = gzip(&tar(&[("usr/bin/hello", b"echo hello\n")]));
        let hash = tlog::sha256(&data);
        let info = format!(
            "# comment\npkgname = hello\ndepend = a\ndepend = b\npkgdesc = \"says <hello>\" \ndatahash = {hash}\n"
        );
        Self { info, data }
    }

    fn build(&self) -> Vec<u8> {
        self.with_control(&gzip(&tar(&[
            (".PKGINFO", self.info.as_bytes()),
            (".post-install", b"#!/bin/sh\n"),
        ])))
    }

    fn with_control(&self, control: &[u8]) -> Vec<u8> {
        let signature: Signature = key()
            .sign_prehash(digest(&SHA1_FOR_LEGACY_USE_ONLY, control).as_ref())
            .unwrap();
        let signature = gzip(&tar(&[(".SIGN.RSA.test", signature.to_der().as_bytes())]));
        [&signature, control, &self.data].concat()
    }
}

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, contents) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(contents.len() as u64);
        archive.append_data(&mut header, name, *contents).unwrap();
    }
    // The blocks of zeros at the end are left out, as abuild does.
    archive.get_ref().clone()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn spec(package: &[u8]) -> Value {
    let key = key()
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    json!({"publicKey": {"content": base64(key.as_bytes())}, "package": {"content": base64(package)}})
}

fn refusal(package: &[u8]) -> String {
    submit("alpine", spec(package)).err().unwrap()
}

#[test]
fn signed_package_is_taken() {
    let package = Package::new().build();
    let entry = submit("alpine", spec(&package)).unwrap();
    let hash = tlog::sha256(&package).to_string();
    let spec = spec_of(&entry);
    assert_eq!(
        spec["package"]["hash"],
        json!({"algorithm": "sha256", "value": hash})
    );
    assert_eq!(spec["package"]["pkginfo"]["pkgdesc"], "says <hello>");
    assert_eq!(spec["package"]["pkginfo"]["depend"], "b");
    assert_eq!(entry.index_keys()[1], format!("sha256:{hash}"));
}

#[test]
fn refusals_say_why() {
    let whole = Package::new();
    assert!(refusal(b"").starts_with("'content' must be specified for package"));
    assert!(refusal(b"no gzip").starts_with("reading signature.tar.gz: "));
    let unsigned = [
        gzip(&tar(&[(".PKGINFO", whole.info.as_bytes())])),
        whole.data.clone(),
    ]
    .concat();
    assert_eq!(
        refusal(&unsigned),
        "no signature detected in alpine package"
    );
    let control = gzip(&tar(&[(".INSTALL", b"")]));
    assert_eq!(
        refusal(&whole.with_control(&control)),
        ".PKGINFO file was not located"
    );
    let other_data = Package {
        data: gzip(b"other"),
        ..Package::new()
    };
    assert!(refusal(&other_data.build()).starts_with("checksum for data.tar.gz ("));
    let no_hash = Package {
        info: "datahash = x\n".to_owned(),
        ..Package::new()
    };
    assert!(refusal(&no_hash.build()).starts_with("parsing datahash: "));
    let malformed = Package {
        info: "no value\n".to_owned(),
        ..Package::new()
    };
    assert_eq!(
        refusal(&malformed.build()),
        "parsing .PKGINFO: no \"=\" in line 1"
    );

    let control = gzip(&tar(&[(".PKGINFO", format!("{}#", whole.info).as_bytes())]));
    let signature = gzip(&tar(&[(".SIGN.RSA.test", b"x")]));
    assert_eq!(
        refusal(&[signature, control, whole.data.clone()].concat()),
        "ecdsa: Invalid IEEE_P1363 encoded bytes"
    );
}

#[test]
fn bombs_are_refused() {
    let whole = Package::new();
    let mib = vec![0; 1024 * 1024 + 1];
    for (name, what) in [(".SIGN.RSA.test", ".SIGN"), ("other", "signature.tar.gz")] {
        let expected = format!("decompressed size for {what} exceeds max allowed size 1048576");
        assert_eq!(refusal(&gzip(&tar(&[(name, &mib)]))), expected);
    }
    let large_info = gzip(&tar(&[(".PKGINFO", &mib)]));
    assert_eq!(
        refusal(&whole.with_control(&large_info)),
        "decompressed size for .PKGINFO exceeds max allowed size 1048576"
    );
    let large = vec![0; 5 << 20];
    let one: Vec<(&str, &[u8])> = vec![("other", &large)];
    let many: Vec<(&str, &[u8])> = vec![("other", &[]); 10_000];
    for mut files in [one, many] {
        files.insert(0, (".PKGINFO", whole.info.as_bytes()));
        let control = gzip(&tar(&files));
        assert_eq!(
            refusal(&whole.with_control(&control)),
            "decompressed size for control.tar.gz exceeds max allowed size 4194304"
        );
    }
}

/// Who unpacks it makes a link or a folder, and sees no contents.
#[test]
fn only_regular_files_are_read() {
    let whole = Package::new();
    let archive = |kind: tar::EntryType, name: &str, contents: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_entry_type(kind);
        header.set_size(contents.len() as u64);
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, contents).unwrap();
        gzip(archive.get_ref())
    };
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    let control = |kind| whole.with_control(&archive(kind, ".PKGINFO", whole.info.as_bytes()));
    submit("alpine", spec(&control(Regular))).unwrap();
    for kind in [Symlink, Link, Directory] {
        assert_eq!(refusal(&control(kind)), ".PKGINFO is not a regular file");
        let signature = archive(kind, ".SIGN.RSA.test", b"x");
        assert_eq!(
            refusal(&[&signature, &whole.data[..]].concat()),
            ".SIGN is not a regular file"
        );
    }
}

/// Sizes in tar headers allocate nothing.
#[test]
fn sizes_that_are_claimed_are_not_believed() {
    let whole = Package::new();
    for kind in [
        tar::EntryType::Regular,
        tar::EntryType::GNULongName,
        tar::EntryType::XHeader,
    ] {
        for size in [1 << 33, u64::MAX] {
            let mut header = tar::Header::new_gnu();
            header.set_path(".PKGINFO").unwrap();
            header.set_entry_type(kind);
            header.set_size(size);
            header.set_cksum();
            let control = gzip(&[header.as_bytes(), &b"a = b\n"[..]].concat());
            refusal(&whole.with_control(&control));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Names and values are logged as they are, and what is logged is canonical.
    #[test]
    fn info_is_logged(info in prop::collection::btree_map("[a-z\u{e9}\u{1f600}]{1,5}", "[ -!$-&*-:<-\\[\\]-_a-~\u{e9}\u{1}]{0,9}", 0..5)) {
        let whole = Package::new();
        let hash = tlog::sha256(&whole.data);
        let text: String = info.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        let package = Package { info: format!("{text}datahash = {hash}\n"), ..whole };
        let entry = submit("alpine", spec(&package.build())).unwrap();
        let logged = &spec_of(&entry)["package"]["pkginfo"];
        for (name, value) in info.iter().filter(|(name, _)| *name != "datahash") {
            let value = value.trim();
            let quoted = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
            prop_assert!(quoted || logged[name] == value, "{name} {value:?} {logged}");
        }
    }

    /// A package with a changed byte is refused, or it was no byte that is signed.
    #[test]
    fn changed_byte(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut package = Package::new().build();
        let original = spec_of(&submit("alpine", spec(&package)).unwrap());
        let at = at.index(package.len());
        package[at] ^= 1_u8 << bit;
        if let Ok(entry) = submit("alpine", spec(&package)) {
            prop_assert_eq!(&spec_of(&entry)["package"]["pkginfo"], &original["package"]["pkginfo"]);
        }
    }
}

/// A kilobyte that becomes a megabyte of lines.
#[test]
fn infos_of_many_lines_are_refused() {
    let refusal = |lines: String| {
        let mut package = Package::new();
        package.info += &lines;
        submit("alpine", spec(&package.build())).err().unwrap()
    };
    let names: Vec<String> = (0..2_000).map(|number| format!("{number} = a\n")).collect();
    assert!(refusal(names.concat()).ends_with("more than 1024 names"));
    assert!(refusal("a=\n".repeat(200_000)).starts_with(crate::work::TOO_COSTLY));
}
