use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(content).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn files_tell_their_kind() {
    let zip = |name: &str| [b"PK\x03\x04xxxxMETA-INF/MANIFEST.MF", name.as_bytes()].concat();
    let granted = b"\x30\x82\x01\x00\x30\x03\x02\x01\x00\x30\x82\x00\xf0\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02rest";
    let prov = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nname: x\n...\nfiles:\n  x.tgz: sha256:00\n";
    for (name, content, kind) in [
        ("a.rpm", b"\xed\xab\xee\xdb\x03".to_vec(), Kind::Rpm),
        ("a.jar", zip("META-INF/SIGNER.SF"), Kind::Jar),
        ("a.war", zip("META-INF/A.SF"), Kind::Jar),
        ("a.apk", gzip(b".SIGN.RSA.key.rsa.pub\0"), Kind::Alpine),
        ("a.prov", prov.to_vec(), Kind::Helm),
        ("a.cbor", b"\xd2\x84\x43".to_vec(), Kind::Cose),
        ("a.tsr", granted.to_vec(), Kind::Rfc3161),
        (
            "root.json",
            br#"{"signatures":[],"signed":{"_type":"root"}}"#.to_vec(),
            Kind::Tuf,
        ),
        (
            "a.json",
            br#" {"payloadType":"t","payload":"","signatures":[]}"#.to_vec(),
            Kind::Dsse,
        ),
        (
            "a.json",
            br#"{"kind":"rpm","apiVersion":"0.0.1","spec":{}}"#.to_vec(),
            Kind::Entry,
        ),
        (
            "a",
            br#"{"hashedRekordRequestV002":{}}"#.to_vec(),
            Kind::Entry,
        ),
    ] {
        assert_eq!(detect_file(name, &content), Ok(kind), "{name}");
    }
}

#[test]
fn what_is_unclear_asks_for_a_type() {
    for (name, content) in [
        ("a.tar.gz", gzip(b"some file")),
        ("a.apk", b"PK\x03\x04 of Android".to_vec()),
        ("a.json", b"{}".to_vec()),
        ("a.json", b"{".to_vec()),
        ("a.txt", b"text".to_vec()),
        ("empty", Vec::new()),
    ] {
        assert_eq!(
            detect_file(name, &content),
            Err(KindError::Unknown),
            "{name}"
        );
    }
    for (name, content, named) in [
        ("a.RPM", b"text".to_vec(), Kind::Rpm),
        (
            "unsigned.jar",
            b"PK\x03\x04META-INF/MANIFEST.MF".to_vec(),
            Kind::Jar,
        ),
        ("a.jar", b"PK\x03\x04META-INF/x/A.SF".to_vec(), Kind::Jar),
        ("a.tsr", b"\xed\xab\xee\xdb".to_vec(), Kind::Rfc3161),
        ("a.prov", b"files:\n".to_vec(), Kind::Helm),
    ] {
        let error = detect_file(name, &content).unwrap_err();
        let is_it =
            matches!(&error, KindError::Contradiction { named: found, .. } if *found == named);
        assert!(
            is_it && error.to_string().contains("--type"),
            "{name}: {error}"
        );
    }
}

#[test]
fn keys_tell_their_format() {
    for (key, format) in [
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----", KeyFormat::Pgp),
        ("\n-----BEGIN PUBLIC KEY-----", KeyFormat::X509),
        ("-----BEGIN CERTIFICATE-----", KeyFormat::X509),
        ("LS0tLS1CRUdJTiBD", KeyFormat::X509),
        ("untrusted comment: x\nRW", KeyFormat::Minisign),
        ("RWSS8f20", KeyFormat::Minisign),
        ("ssh-ed25519 AAAA", KeyFormat::Ssh),
        ("sk-ecdsa-sha2-nistp256@openssh.com AAAA", KeyFormat::Ssh),
        ("{\"signed\":{}}", KeyFormat::Tuf),
    ] {
        assert_eq!(detect_key(key.as_bytes()), Ok(format), "{key}");
    }
    assert_eq!(detect_key(b"\x99\x01\x0d"), Ok(KeyFormat::Pgp));
    assert_eq!(detect_key(b"text"), Err(KindError::Key));
}

#[test]
fn names_are_read_back() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    assert_eq!("bogus".parse::<Kind>(), Err(KindError::Name));
}
