//! Single certificates: which are read, and the names in them.

use std::path::Path;

use entry::{index_keys_of_leaf, key_search_key};
use rcgen::{CertificateParams, CustomExtension, KeyPair, OtherNameValue, SanType};

use crate::submission::Submission;

/// `1.3.6.1.4.1.57264.1.7`.
const FULCIO_OTHER_NAME: [u64; 9] = [1, 3, 6, 1, 4, 1, 57264, 1, 7];

/// Certificates that Go's parser refuses, each for another reason, which is the name of the file.
/// They come from comparing 250,000 mutations of good ones. A log that takes one stops every reader
/// in Go.
#[test]
fn certificates_that_go_refuses_are_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/entry/refused");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        assert!(
            key_search_key("x509", &std::fs::read(&file).unwrap()).is_err(),
            "{}",
            file.display()
        );
        count += 1;
    }
    assert!(count >= 79, "only {count} certificates");
}

#[test]
fn every_byte_counts() {
    let (label, der) = der::pem::decode_vec(names(vec![]).as_bytes())
        .map(|(label, der)| (label.to_owned(), der))
        .unwrap();
    let is_read = |der: &[u8]| {
        let pem = der::pem::encode_string(&label, der::pem::LineEnding::LF, der).unwrap();
        key_search_key("x509", pem.as_bytes()).is_ok()
    };
    assert!(is_read(&der));
    assert!(!is_read(&[&der[..], &[0]].concat()));
    for length in 0..der.len() {
        assert!(!is_read(&der[..length]), "{length}");
    }
}

#[test]
fn names_come_by_kind() {
    let uri = "https://example.com/Project/.github/workflows/x.yml@refs/heads/main";
    let pem = names(vec![
        SanType::OtherName((
            FULCIO_OTHER_NAME.to_vec(),
            OtherNameValue::Utf8String("User!x".to_owned()),
        )),
        SanType::URI(uri.try_into().unwrap()),
        SanType::IpAddress("2001:db8::1".parse().unwrap()),
        SanType::IpAddress("192.0.2.8".parse().unwrap()),
        SanType::Rfc822Name("Ann@Example.com".try_into().unwrap()),
        SanType::DnsName("B.example.com".try_into().unwrap()),
        SanType::DnsName("a.example.com".try_into().unwrap()),
        SanType::DnsName("b.example.com".try_into().unwrap()),
    ]);
    let lower_uri = uri.to_lowercase();
    assert_eq!(
        subjects(&pem),
        // Lower-cased and each once.
        [
            "b.example.com",
            "a.example.com",
            "ann@example.com",
            "2001:db8::1",
            "192.0.2.8",
            &lower_uri,
            "user!x"
        ]
    );
}

/// One reader takes it for an IPv4 address, another one does not. Go refuses it since version 1.27,
/// and Rekor with it.
#[test]
fn ipv4_addresses_in_ipv6_are_refused() {
    for (address, is_read) in [
        ("::ffff:192.0.2.7", false),
        ("::ffff:0:192.0.2.7", true),
        ("::192.0.2.7", true),
    ] {
        let pem = names(vec![SanType::IpAddress(address.parse().unwrap())]);
        assert_eq!(
            key_search_key("x509", pem.as_bytes()).is_ok(),
            is_read,
            "{address}"
        );
    }
}

#[test]
fn only_the_one_other_name_of_fulcio_is_a_name() {
    let other = |oid: &[u64]| {
        SanType::OtherName((oid.to_vec(), OtherNameValue::Utf8String("user".to_owned())))
    };
    assert_eq!(subjects(&names(vec![other(&FULCIO_OTHER_NAME)])), ["user"]);
    assert!(
        subjects(&names(vec![
            other(&FULCIO_OTHER_NAME),
            other(&FULCIO_OTHER_NAME)
        ]))
        .is_empty()
    );
    assert!(subjects(&names(vec![other(&FULCIO_OTHER_NAME), other(&[1, 2, 3])])).is_empty());
    assert!(subjects(&names(vec![other(&[1, 2, 3])])).is_empty());
}

#[test]
fn claims_of_fulcio_certificates_become_keys() {
    let claims = |claims: &[(u64, &[u8])]| {
        let mut params = CertificateParams::new([]).unwrap();
        let oid = |number| vec![1, 3, 6, 1, 4, 1, 57264, 1, number];
        params.custom_extensions = claims
            .iter()
            .map(|(number, value)| CustomExtension::from_oid_content(&oid(*number), value.to_vec()))
            .collect();
        subjects(
            &params
                .self_signed(&KeyPair::generate().unwrap())
                .unwrap()
                .pem(),
        )
    };
    let der = |text: &str| [&[0x0c, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let file = "https://github.com/Org/repo/.github/workflows/release.yml@refs/tags/v1";
    assert_eq!(
        claims(&[
            (1, b"https://old.example.com"),
            (3, b"0ld"),
            (4, b"Release"),
            (5, b"Org/repo"),
            (8, &der("https://token.actions.githubusercontent.com")),
            (9, &der(file)),
            (11, &der("github-hosted")),
            (12, &der("https://github.com/Org/repo")),
            (13, &der("C0FFEE")),
            (18, &der(file)),
        ]),
        [
            "issuer=https://token.actions.githubusercontent.com",
            "repository=github.com/org/repo",
            "commit=c0ffee",
            "workflow=release",
            "workflow=github.com/org/repo/.github/workflows/release.yml",
        ]
    );
    let old: [(u64, &[u8]); 3] = [
        (1, b"https://old.example.com"),
        (3, b"0ld"),
        (5, b"Org/repo"),
    ];
    assert_eq!(
        claims(&old),
        [
            "issuer=https://old.example.com",
            "repository=org/repo",
            "commit=0ld"
        ]
    );
    // What is not as Fulcio writes it is no claim, and no reason to refuse a certificate that Rekor
    // takes.
    assert!(
        claims(&[
            (8, b"https://bare.example.com"),
            (1, &[0xff]),
            (13, &[0x0c, 9, 1]),
            (12, &der(""))
        ])
        .is_empty()
    );
}

#[test]
fn uris_are_in_the_form_that_rekor_indexes() {
    for (uri, is_read) in [
        ("https://example.com/a?b#c", true),
        ("https://example.com/a b", false),
        ("https://a|b/", false),
    ] {
        let pem = names(vec![SanType::URI(uri.try_into().unwrap())]);
        assert_eq!(
            key_search_key("x509", pem.as_bytes()).is_ok(),
            is_read,
            "{uri}"
        );
    }
}

#[test]
fn unknown_extensions_are_passed_over_and_known_ones_are_read() {
    let with = |oid: &[u64], value: &[u8]| {
        let mut params = CertificateParams::new([]).unwrap();
        params.custom_extensions = vec![CustomExtension::from_oid_content(oid, value.to_vec())];
        let pem = params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .pem();
        key_search_key("x509", pem.as_bytes()).is_ok()
    };
    assert!(with(&[1, 2, 3], b"anything"));
    assert!(with(&[2, 5, 29, 32], &[0x30, 5, 0x30, 3, 6, 1, 0x2a]));
    assert!(!with(&[2, 5, 29, 32], &[0x30, 4, 0x30, 2, 6, 0]));
    assert!(!with(&[2, 5, 29, 17], b"anything"));
}

/// A self-signed certificate with these alternative names.
fn names(names: Vec<SanType>) -> String {
    let mut params = CertificateParams::new([]).unwrap();
    params.subject_alt_names = names;
    params
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
        .pem()
}

/// The index keys between the key's and the artifact's.
fn subjects(pem: &str) -> Vec<String> {
    let leaf = Submission::new("sha256", &[0; 32], b"unchecked", pem).json();
    let keys = index_keys_of_leaf(&leaf).unwrap().unwrap();
    keys[1..keys.len() - 1].to_vec()
}
