//! Signatures of every algorithm, made and judged by other implementations.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair as _, RsaEncoding};
use aws_lc_rs::{digest, encoding};
use ed25519_dalek::{Digest as _, Sha512};
use entry::{Policy, ProposedEntry, Refusal};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::pkcs8::{EncodePublicKey, LineEnding};
use proptest::prelude::*;

use crate::submission::{NOW, Submission};

const HASHES: [(&str, &digest::Algorithm); 3] = [
    ("sha256", &digest::SHA256),
    ("sha384", &digest::SHA384),
    ("sha512", &digest::SHA512),
];

/// One submission for each hash, signed by RustCrypto with a key made from `seed`, in ASN.1 and as
/// r ‖ s.
macro_rules! ecdsa {
    ($curve:ident, $bytes:literal, $seed:expr) => {{
        let mut scalar = [0; $bytes];
        // Small enough for every curve, P-521 included.
        scalar[1..].fill($seed);
        let key = $curve::ecdsa::SigningKey::from_slice(&scalar).unwrap();
        let pem = key
            .verifying_key()
            .to_public_key_pem(LineEnding::LF)
            .unwrap();
        HASHES.map(|(name, algorithm)| {
            let digest = digest::digest(algorithm, b"artifact");
            let signature: $curve::ecdsa::Signature = key.sign_prehash(digest.as_ref()).unwrap();
            let asn1 = Submission::new(name, digest.as_ref(), signature.to_der().as_bytes(), &pem);
            let raw = Submission {
                signature: signature.to_bytes().to_vec(),
                ..asn1.clone()
            };
            (asn1, raw)
        })
    }};
}

const NOT_ALLOWED: &str = "entry algorithms are not allowed";

fn invalid(text: &str) -> Refusal {
    Refusal::Invalid(text.to_owned())
}

#[test]
fn ecdsa_on_every_curve_with_every_hash_and_form() {
    for (admitted, submissions) in [
        ecdsa!(p256, 32, 3),
        ecdsa!(p384, 48, 5),
        ecdsa!(p521, 66, 7),
    ]
    .iter()
    .enumerate()
    {
        for (at, (asn1, raw)) in submissions.iter().enumerate() {
            for form in [asn1, raw] {
                assert!(
                    form.look_up().is_ok(),
                    "curve {admitted} with {}",
                    form.algorithm
                );
                let refusal = form.verify().err();
                assert_eq!(
                    refusal,
                    (at != admitted).then(|| invalid(NOT_ALLOWED)),
                    "curve {admitted} {}",
                    form.algorithm
                );
            }
            assert_ne!(asn1.look_up(), raw.look_up(), "two forms are two entries");
        }
    }
}

#[test]
fn raw_form_is_two_numbers_of_any_width() {
    let [(asn1, raw), ..] = ecdsa!(p256, 32, 9);
    let (r, s) = raw.signature.split_at(32);
    for width in [33, 48, 66] {
        let padding = vec![0; width - 32];
        let wide = Submission {
            signature: [&padding, r, &padding, s].concat(),
            ..raw.clone()
        };
        assert!(wide.verify().is_ok(), "{width}");
    }
    let refused = |signature: Vec<u8>, text| {
        let refusal = Submission {
            signature,
            ..raw.clone()
        }
        .verify()
        .err();
        assert_eq!(
            refusal,
            Some(invalid(&format!("verifying signature: {text}")))
        );
    };
    let raw_text = "invalid signature when validating IEEE_P1363 encoded signature";
    refused(vec![0; 64], raw_text);
    refused([&[1], r, &[0], s].concat(), raw_text);
    refused([s, r].concat(), raw_text);
    for length in [1, 63, 133, 134] {
        refused(vec![1; length], "ecdsa: Invalid IEEE_P1363 encoded bytes");
    }
    refused(
        [&asn1.signature[..], &[0]].concat(),
        "invalid signature when validating ASN.1 encoded signature",
    );
    refused(vec![], "X509 signature has not been initialized");
}

#[test]
fn high_and_low_s_are_two_valid_signatures() {
    let [(_, raw), ..] = ecdsa!(p256, 32, 11);
    let signature = p256::ecdsa::Signature::from_slice(&raw.signature).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
    let other = Submission {
        signature: other.to_der().as_bytes().to_vec(),
        ..raw
    };
    assert!(other.verify().is_ok());
}

/// 3,072 and 4,096 bits are among the recordings; to make such keys takes long.
#[test]
fn rsa_is_pkcs1_of_the_sizes_named() {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let spki: encoding::PublicKeyX509Der<'_> = encoding::AsDer::as_der(key.public_key()).unwrap();
    let pem = pem("PUBLIC KEY", spki.as_ref());
    let of = |name, algorithm, encoding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), b"artifact", &mut signature)
            .unwrap();
        Submission::new(
            name,
            digest::digest(algorithm, b"artifact").as_ref(),
            &signature,
            &pem,
        )
    };
    let sha256 = of("sha256", &digest::SHA256, &signature::RSA_PKCS1_SHA256);
    assert!(sha256.verify().is_ok());
    let larger =
        Policy::from_names(["rsa-sign-pkcs1-3072-sha256", "rsa-sign-pkcs1-4096-sha256"]).unwrap();
    let refusal = ProposedEntry::from_json(&sha256.json())
        .unwrap()
        .verify(&larger, NOW)
        .err();
    assert_eq!(refusal, Some(invalid(NOT_ALLOWED)));
    for submission in [
        of("sha384", &digest::SHA384, &signature::RSA_PKCS1_SHA384),
        of("sha512", &digest::SHA512, &signature::RSA_PKCS1_SHA512),
    ] {
        assert!(submission.look_up().is_ok());
        assert_eq!(submission.verify().err(), Some(invalid(NOT_ALLOWED)));
    }
    let pss = of("sha256", &digest::SHA256, &signature::RSA_PSS_SHA256);
    assert_eq!(
        pss.verify().err(),
        Some(invalid(
            "verifying signature: crypto/rsa: verification error"
        ))
    );
}

#[test]
fn ed25519_signs_a_sha512_digest_as_ed25519ph() {
    let key = ed25519_dalek::SigningKey::from_bytes(&[13; 32]);
    let spki = [
        &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..],
        key.verifying_key().as_bytes(),
    ]
    .concat();
    let pem = pem("PUBLIC KEY", &spki);
    let prehash = Sha512::new_with_prefix(b"artifact");
    let digest = prehash.clone().finalize();
    let of = |signature: ed25519_dalek::Signature| {
        Submission::new("sha512", &digest, &signature.to_bytes(), &pem)
    };
    let prehashed = of(key.sign_prehashed(prehash.clone(), None).unwrap());
    assert!(prehashed.verify().is_ok());

    let text = Some(invalid(
        "verifying signature: failed to verify signature: ed25519: invalid signature",
    ));
    let with_context = of(key.sign_prehashed(prehash, Some(b"context")).unwrap());
    assert_eq!(with_context.verify().err(), text);
    let pure = of(ed25519_dalek::Signer::sign(&key, &digest));
    assert_eq!(pure.verify().err(), text);
    let sha256 = Submission {
        algorithm: "sha256".to_owned(),
        digest: vec![1; 32],
        ..pure
    };
    let text = "verifying signature: unsupported hash algorithm: \"SHA-256\" not in [SHA-512]";
    assert_eq!(sha256.verify().err(), Some(invalid(text)));
}

/// Whatever is done to a signature or digest, RustCrypto and this crate agree on it.
macro_rules! judged_alike {
    ($curve:ident, $bytes:literal, $hash:expr, $at:expr, $bit:expr, $digest:expr, $seed:expr) => {{
        let key = $curve::ecdsa::SigningKey::from_slice(&[&[0][..], &[$seed; $bytes - 1]].concat())
            .unwrap();
        let raw = ecdsa!($curve, $bytes, $seed)[$hash].1.clone();
        let mut changed = raw.clone();
        changed.signature[$at % (2 * $bytes)] ^= 1 << $bit;
        let other = Submission {
            digest: $digest[..raw.digest.len()].to_vec(),
            ..raw.clone()
        };
        for submission in [raw, changed, other] {
            let oracle =
                $curve::ecdsa::Signature::from_slice(&submission.signature).and_then(|signature| {
                    key.verifying_key()
                        .verify_prehash(&submission.digest, &signature)
                });
            prop_assert_eq!(submission.look_up().is_ok(), oracle.is_ok());
        }
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn changed_signatures_are_judged_alike(at: usize, bit in 0_u8..8, hash in 0_usize..3, digest: [u8; 64], seed in 1_u8..=255) {
        judged_alike!(p256, 32, hash, at, bit, digest, seed);
        judged_alike!(p384, 48, hash, at, bit, digest, seed);
        judged_alike!(p521, 66, hash, at, bit, digest, seed);
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    p256::pkcs8::der::pem::encode_string(label, LineEnding::LF, der).unwrap()
}
