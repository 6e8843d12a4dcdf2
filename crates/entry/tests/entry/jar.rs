//! JAR archives: what is taken, and what hostile ones cost.

mod build;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::packages::{base64, noise, spec_of, submit};
use crate::work::TOO_COSTLY;
use build::{Jar, Signer, der, zip};

fn spec(archive: &[u8]) -> Value {
    json!({"archive": {"content": base64(archive)}})
}

fn refusal(archive: &[u8]) -> String {
    submit("jar", spec(archive)).err().unwrap()
}

#[test]
fn signed_archive_is_taken() {
    let jar = Jar::of(&[("a/One.class", b"one"), ("two", b"")]);
    let archive = jar.build();
    let entry = submit("jar", spec(&archive)).unwrap();
    let spec = spec_of(&entry);
    let hash = tlog::sha256(&archive).to_string();
    assert_eq!(
        spec["archive"]["hash"],
        json!({"algorithm": "sha256", "value": hash})
    );
    let key = String::from_utf8(decode(&spec["signature"]["publicKey"]["content"])).unwrap();
    assert_eq!(
        key.replace("\r\n", "\n"),
        jar.signer.pem().replace("\r\n", "\n")
    );
    let signature = decode(&spec["signature"]["content"]);
    assert!(signature.starts_with(b"-----BEGIN PKCS7-----\n"));
    assert_eq!(
        entry.index_keys(),
        [
            tlog::sha256(&signature).to_string(),
            format!("sha256:{hash}")
        ]
    );
}

/// What precedes an archive, as the script of one that runs by itself, is part of the artifact and
/// of no file.
#[test]
fn archive_may_be_preceded() {
    let archive = Jar::of(&[("a", b"one")]).build();
    submit("jar", spec(&[b"#!/bin/sh\n", &archive[..]].concat())).unwrap();
}

#[test]
fn refusals_say_why() {
    assert_eq!(refusal(b"x"), "zip: not a valid zip file: it has no end");
    let whole = Jar::of(&[("a", b"one")]);
    let files = whole.files();
    let without = |name: &str| {
        zip(&files
            .iter()
            .filter(|(found, _)| found != name)
            .cloned()
            .collect::<Vec<_>>())
    };
    assert_eq!(
        refusal(&without("META-INF/MANIFEST.MF")),
        "JAR contains no META-INF/MANIFEST.MF"
    );
    assert_eq!(
        refusal(&without("META-INF/S.SF")),
        "JAR contains no signatures"
    );
    assert_eq!(
        refusal(&without("META-INF/S.EC")),
        "JAR contains sigfile META-INF/S.SF with no matching signature"
    );
    assert_eq!(refusal(&without("a")), "file a is in manifest but not JAR");

    let with = |name: &str, contents: &[u8]| {
        let mut files: Vec<_> = files
            .iter()
            .filter(|(found, _)| found != name)
            .cloned()
            .collect();
        files.push((name.to_owned(), contents.to_vec()));
        zip(&files)
    };
    assert!(
        refusal(&with("a", b"two"))
            .starts_with("file \"a\" in MANIFEST.MF: sha-256-digest mismatch: manifest ")
    );
    let manifest = [&whole.manifest[..], b"Name: b\r\n\r\n"].concat();
    assert!(
        refusal(&with("META-INF/MANIFEST.MF", &manifest))
            .starts_with("manifest signature: sha-256-digest-manifest mismatch")
    );
    assert_eq!(
        refusal(&with("META-INF/S.SF", b"A: b\r\n\r\n")),
        "pkcs7: the signature does not verify"
    );
    assert_eq!(
        refusal(&with("META-INF/S.EC", b"x")),
        "pkcs7: malformed signed data: not DER"
    );
    assert_eq!(
        refusal(&with("META-INF/T.SF", b"A: b\r\n\r\n")),
        "multiple signatures detected in JAR; unable to process"
    );
    assert_eq!(
        refusal(&with("meta-inf/manifest.mf", b"A: b\r\n\r\n")),
        "JAR contains META-INF/MANIFEST.MF more than once"
    );
    // What is not in the manifest is not signed.
    submit("jar", spec(&with("b", b"two"))).unwrap();
}

/// Rekor logs the first block that it finds, whatever signature it verified.
#[test]
fn strangers_cannot_be_made_signers() {
    let whole = Jar::of(&[("a", b"one")]);
    let stranger = Jar {
        signer: Signer::new("stranger"),
        ..Jar::of(&[("b", b"two")])
    };
    let mut files = whole.files();
    files.insert(0, ("META-INF/A.RSA".to_owned(), stranger.block(&[])));
    assert_eq!(
        refusal(&zip(&files)),
        "JAR contains a signature block that is not the one of META-INF/S.SF"
    );

    let with_certificates = |certificates: &[&Signer]| {
        let mut files = whole.files();
        files.pop();
        let certificates: Vec<Vec<u8>> = certificates
            .iter()
            .map(|signer| signer.certificate.clone())
            .collect();
        files.push(("META-INF/S.EC".to_owned(), whole.block(&certificates)));
        zip(&files)
    };
    let own = Signer::new("signer");
    submit("jar", spec(&with_certificates(&[&own, &stranger.signer]))).unwrap();
    assert!(
        refusal(&with_certificates(&[&stranger.signer, &own]))
            .starts_with("pkcs7: the first certificate is neither the signer's nor leads to it: ")
    );
    assert!(
        refusal(&with_certificates(&[&stranger.signer]))
            .starts_with("certificate missing from signedData: serial=")
    );
}

#[test]
fn archives_that_can_be_read_otherwise_are_refused() {
    let files = Jar::of(&[("a", b"one")]).files();
    let mut twice = files.clone();
    twice.push(("a".to_owned(), b"two".to_vec()));
    assert_eq!(refusal(&zip(&twice)), "zip: the file \"a\" is there twice");
    let whole = zip(&files);
    assert_eq!(
        refusal(&[&whole[..], b"x"].concat()),
        "zip: not a valid zip file: it has no end"
    );

    // The local header says another name.
    let mut renamed = whole.clone();
    let at = renamed
        .windows(11)
        .position(|window| window == b"META-INF/S.")
        .unwrap();
    renamed[at] = b'm';
    assert_eq!(
        refusal(&renamed),
        "zip: not a valid zip file: its directory"
    );

    // It says another method, checksum or size; if it says that the numbers follow, those in it do
    // not matter.
    for at in [8, 14, 18, 22] {
        let mut other = whole.clone();
        other[at] ^= 1;
        assert_eq!(
            refusal(&other),
            "zip: not a valid zip file: its directory",
            "{at}"
        );
        other[6] = 8;
        assert_eq!(submit("jar", spec(&other)).is_ok(), at != 8, "{at}");
    }

    // A file that goes on into the next one.
    let (first, second) = (
        build::local_file("a", b"one"),
        build::local_file("b", b"two"),
    );
    let both = [&first[..], &second].concat();
    let mut overlapping = build::archive(&both, &[("a", b"one", 0), ("b", b"two", first.len())]);
    overlapping[both.len() + 20] += second.len() as u8;
    overlapping[6] = 8;
    assert_eq!(
        refusal(&overlapping),
        "zip: not a valid zip file: its files overlap"
    );
}

#[test]
fn bombs_are_refused() {
    let zeros = vec![0; 80 << 20];
    let bomb = Jar::of(&[("zeros", &zeros)]).build();
    assert!(bomb.len() < 1_000_000, "{}", bomb.len());
    assert!(refusal(&bomb).starts_with(TOO_COSTLY));
    // The same by many files, and by many digests of one.
    let many: Vec<(String, Vec<u8>)> = (0..11)
        .map(|number| (number.to_string(), vec![0; 8 << 20]))
        .collect();
    let many: Vec<(&str, &[u8])> = many
        .iter()
        .map(|(name, contents)| (name.as_str(), &contents[..]))
        .collect();
    assert!(refusal(&Jar::of(&many).build()).starts_with(TOO_COSTLY));
    let digests = Jar::with_digests(
        &[("zeros", &zeros[..20 << 20])],
        &["SHA1", "SHA-256", "SHA-384", "SHA-512"],
    );
    assert!(refusal(&digests.build()).starts_with(TOO_COSTLY));

    let metadata = Jar {
        beside: vec![("META-INF/x.y".to_owned(), vec![0; (1 << 20) + 1])],
        ..Jar::of(&[])
    };
    assert_eq!(
        refusal(&metadata.build()),
        "uncompressed jar metadata of size 1048577 exceeds max allowed size 1048576"
    );
}

/// A kilobyte that becomes a megabyte of attributes or of sections.
#[test]
fn manifests_of_many_lines_are_refused() {
    for repeated in ["a:\n", "Name:a\n\n", "Name: a\n b\n\n"] {
        let lines = repeated.repeat((1 << 20) / repeated.len() - 8);
        let manifest = format!("Manifest-Version: 1.0\n\n{lines}\n");
        let archive = Jar {
            manifest: manifest.into_bytes(),
            ..Jar::of(&[])
        }
        .build();
        assert!(archive.len() < 20_000, "{}", archive.len());
        let refusal = refusal(&archive);
        assert!(refusal.starts_with(TOO_COSTLY), "{refusal}");
    }
}

#[test]
fn counts_that_are_claimed_are_not_believed() {
    let whole = Jar::of(&[("a", b"one")]).build();
    let end = whole.len() - 22;
    let with_count = |count: u16| {
        let mut archive = whole.clone();
        for at in [end + 8, end + 10] {
            archive[at..at + 2].copy_from_slice(&count.to_le_bytes());
        }
        archive
    };
    assert_eq!(
        refusal(&with_count(0xfffe)),
        "zip: not a valid zip file: its directory"
    );
    assert_eq!(
        refusal(&with_count(1)),
        "zip: not a valid zip file: its directory has more files than it says"
    );
    assert!(refusal(&with_count(0xffff)).starts_with("zip: ZIP64"));
    for field in [12, 16] {
        let mut archive = whole.clone();
        archive[end + field..end + field + 4].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
        assert_eq!(
            refusal(&archive),
            "zip: not a valid zip file: its directory is outside it"
        );
    }
    // Sizes of a file in the directory.
    let directory = whole
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .unwrap();
    for field in [20, 24] {
        let mut archive = whole.clone();
        archive[directory + field..directory + field + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        refusal(&archive);
    }
}

#[test]
fn many_files_are_taken() {
    let names: Vec<String> = (0..5_000).map(|number| number.to_string()).collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), name.as_bytes()))
        .collect();
    submit("jar", spec(&Jar::of(&files).build())).unwrap();
}

#[test]
fn signed_data_are_bounded() {
    let whole = Jar::of(&[("a", b"one")]);
    let with_block = |block: Vec<u8>| {
        let mut files = whole.files();
        files.pop();
        files.push(("META-INF/S.EC".to_owned(), block));
        refusal(&zip(&files))
    };
    let own = whole.signer.certificate.clone();
    assert_eq!(
        with_block(whole.block(&vec![own.clone(); 21])),
        "pkcs7: more than 20 certificates"
    );
    assert!(
        with_block(whole.block(&vec![own; 300]))
            .ends_with(" bytes are too many, the limit is 65536")
    );
    let signers = |count| {
        build::signed_data(
            &[&whole.signer.certificate],
            &vec![whole.signer.info(&whole.signature_file); count],
        )
    };
    let mut files = whole.files();
    files.pop();
    files.push(("META-INF/S.EC".to_owned(), signers(10)));
    submit("jar", spec(&zip(&files))).unwrap();
    assert_eq!(with_block(signers(11)), "pkcs7: more than 10 signers");
    assert_eq!(with_block(signers(0)), "pkcs7 contains no signatures");
    let nested = (0..1_000).fold(Vec::new(), |inner, _| der(0x30, &[&inner]));
    assert!(with_block(nested).starts_with("pkcs7: malformed signed data"));
}

/// What is stored of a signature is the same when it is signed data itself.
#[test]
fn canonical_signature_is_a_fixed_point() {
    let whole = Jar::of(&[("a", b"one")]);
    let stored = |archive: &[u8]| {
        decode(&spec_of(&submit("jar", spec(archive)).unwrap())["signature"]["content"])
    };
    let signature = stored(&whole.build());
    let text: String = std::str::from_utf8(&signature)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let mut files = whole.files();
    files.pop();
    files.push(("META-INF/S.EC".to_owned(), decode(&Value::from(text))));
    assert_eq!(stored(&zip(&files)), signature);
    // Zeros behind it are not part of it.
    let (_, block) = files.pop().unwrap();
    files.push(("META-INF/S.EC".to_owned(), [&block[..], &[0; 9]].concat()));
    assert_eq!(stored(&zip(&files)), signature);
}

/// 30 MiB go in, the largest that a request of 40 MiB can hold.
#[test]
fn large_archive_is_taken() {
    let contents = noise(30 << 20);
    submit("jar", spec(&Jar::of(&[("large", &contents)]).build())).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn any_files_are_taken(files in prop::collection::btree_map("[a-z]{1,3}(/[A-Z\u{e9}]{1,90})?", prop::collection::vec(any::<u8>(), 0..99), 0..6)) {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, contents)| (name.as_str(), &contents[..])).collect();
        let entry = submit("jar", spec(&Jar::of(&files).build())).unwrap();
        spec_of(&entry);
    }

    /// An archive with a changed byte is refused, or it was no byte that is signed.
    #[test]
    fn changed_byte(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut archive = Jar::of(&[("a", b"one")]).build();
        let original = spec_of(&submit("jar", spec(&archive)).unwrap());
        let at = at.index(archive.len());
        archive[at] ^= 1_u8 << bit;
        if let Ok(entry) = submit("jar", spec(&archive)) {
            prop_assert_eq!(&spec_of(&entry)["signature"], &original["signature"]);
        }
    }
}

fn decode(text: &Value) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .decode(text.as_str().unwrap())
        .unwrap()
}
