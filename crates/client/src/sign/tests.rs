use pki::Work;

use super::*;

/// Made by `openssl ecparam -name prime256v1 -genkey`, with the parameters of the curve before it.
const SEC1: &str = include_str!("p256.sec1.pem");
/// Made by `openssl genpkey`.
const P256: &str = include_str!("p256.pem");
const P384: &str = include_str!("p384.pem");
const ED25519: &str = include_str!("ed25519.pem");

#[test]
fn signatures_of_every_key_verify() {
    let artifact = b"artifact";
    for (text, hash) in [
        (SEC1, HashAlgorithm::Sha256),
        (P256, HashAlgorithm::Sha256),
        (P384, HashAlgorithm::Sha384),
        (ED25519, HashAlgorithm::Sha512),
    ] {
        let key = PrivateKey::read(text.as_bytes()).unwrap();
        assert_eq!(key.hash(), hash);
        let public = key.signer().key();
        let digest = Digest::of(hash, artifact);
        let signature = key.sign_digest(&digest).unwrap();
        let mut work = Work::of_request(1_000);
        public
            .verify_digest(&digest, &signature, &mut work)
            .unwrap();
        let signature = key.sign_message(artifact).unwrap();
        public
            .verify_message(artifact, &signature, &mut work)
            .unwrap();
        let again = Signer::read(key.signer().pem()).unwrap();
        assert_eq!(again.der(), key.signer().der());
    }
}

#[test]
fn what_is_no_key_is_named() {
    let read = |text: &str| PrivateKey::read(text.as_bytes()).err().unwrap();
    let encrypted = P256.replace(" PRIVATE", " ENCRYPTED PRIVATE");
    assert_eq!(read(&encrypted), PrivateKeyError::Encrypted);
    let cosign = P256.replace(" PRIVATE", " ENCRYPTED SIGSTORE PRIVATE");
    assert_eq!(read(&cosign), PrivateKeyError::EncryptedByCosign);
    let headers = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
    assert_eq!(read(headers), PrivateKeyError::Encrypted);
    assert_eq!(read("no key"), PrivateKeyError::Absent);
    let other = P256.replace(" PRIVATE", " OPENSSH PRIVATE");
    assert_eq!(read(&other), PrivateKeyError::Unsupported);
    let damaged = P256.replacen("MIG", "AIG", 1);
    assert_eq!(read(&damaged), PrivateKeyError::Unsupported);
    assert_eq!(
        Signer::read(P256.as_bytes()).err(),
        Some(SignerError::Private)
    );
    assert_eq!(Signer::read(b"no key").err(), Some(SignerError::Pem));
}

#[test]
fn a_certificate_in_base64_is_read() {
    let key = PrivateKey::read(P256.as_bytes()).unwrap();
    let text = STANDARD.encode(key.signer().pem());
    let signer = Signer::read(text.as_bytes()).unwrap();
    assert_eq!(signer.pem(), key.signer().pem());
    assert!(!signer.is_certificate());
    assert_eq!(
        signer.key_details(signer.usual_hash()),
        Some("PKIX_ECDSA_P256_SHA_256")
    );
}
