use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    LineEnding,
};
use proptest::prelude::*;
use tlog::{KeyAlgorithm, KeyError, SigningKey, VerifyingKey};

use crate::keys::{ed25519, ed25519_pkcs8, p256, rng};

#[test]
fn p256_keys_and_signatures_are_those_of_the_p256_crate() {
    for _ in 0..20 {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&rng()).expect("randomness");
        let ours = SigningKey::from_pkcs8(&pkcs8, &rng()).expect("own key");
        let theirs = p256::ecdsa::SigningKey::from_pkcs8_der(&pkcs8).expect("PKCS#8");
        let public = p256::ecdsa::VerifyingKey::from_public_key_der(ours.verifying_key().spki())
            .expect("SPKI");
        assert_eq!(ours.verifying_key().algorithm(), KeyAlgorithm::EcdsaP256);
        assert_eq!(&public, theirs.verifying_key());
        assert_eq!(
            ours.verifying_key().to_pem(),
            public.to_public_key_pem(LineEnding::LF).expect("PEM")
        );

        let signature = ours.sign(b"message", &rng()).expect("randomness");
        let signature = p256::ecdsa::DerSignature::from_bytes(&signature).expect("DER");
        public.verify(b"message", &signature).expect("verifies");
        let signature: p256::ecdsa::DerSignature = theirs.sign(b"message");
        assert_eq!(
            ours.verifying_key()
                .verify(b"message", signature.as_bytes()),
            Ok(())
        );
    }
}

#[test]
fn a_p256_key_that_another_program_made_is_read() {
    let theirs = p256::ecdsa::SigningKey::generate();
    let pkcs8 = theirs.to_pkcs8_der().expect("PKCS#8");
    let ours = SigningKey::from_pkcs8(pkcs8.as_bytes(), &rng()).expect("key");
    assert_eq!(
        ours.verifying_key().spki(),
        theirs
            .verifying_key()
            .to_public_key_der()
            .expect("SPKI")
            .as_bytes()
    );
}

#[test]
fn ed25519_keys_are_read_with_and_without_their_public_half() {
    let key = ed25519();
    assert_eq!(key.verifying_key().algorithm(), KeyAlgorithm::Ed25519);
    assert_eq!(
        VerifyingKey::from_spki(key.verifying_key().spki()).as_ref(),
        Ok(key.verifying_key())
    );
    let with_public = ring::signature::Ed25519KeyPair::generate_pkcs8(&rng()).expect("randomness");
    let mut with_public = with_public.as_ref().to_vec();
    assert!(SigningKey::from_pkcs8(&with_public, &rng()).is_ok());
    // The public key is at the end.
    *with_public.last_mut().expect("not empty") ^= 1;
    assert_eq!(
        SigningKey::from_pkcs8(&with_public, &rng()).err(),
        Some(KeyError::Unsupported)
    );
}

#[test]
fn a_private_key_is_not_shown() {
    let pkcs8 = ed25519_pkcs8();
    let shown = format!("{:?}", SigningKey::from_pkcs8(&pkcs8, &rng()).expect("key"));
    assert!(shown.contains("public"));
    assert!(!shown.contains("7, 7, 7") && !shown.contains("0707") && !shown.contains("pair"));
}

#[test]
fn an_altered_message_signature_or_key_does_not_verify() {
    let others = [p256(), ed25519()];
    for key in [p256(), ed25519()] {
        let public = key.verifying_key();
        let signature = key.sign(b"message", &rng()).expect("randomness");
        assert!(public.verify(b"message", &signature).is_ok());
        assert!(public.verify(b"Message", &signature).is_err());
        assert!(public.verify(b"message", b"").is_err());
        assert!(public.verify(b"message", &signature[1..]).is_err());
        assert!(
            public
                .verify(b"message", &[&signature, &[0][..]].concat())
                .is_err()
        );
        for at in 0..signature.len() {
            let mut altered = signature.clone();
            altered[at] ^= 1;
            assert!(public.verify(b"message", &altered).is_err(), "{at}");
        }
        for other in others
            .iter()
            .map(SigningKey::verifying_key)
            .filter(|other| *other != public)
        {
            assert!(other.verify(b"message", &signature).is_err());
        }
    }
}

#[test]
fn only_the_one_form_of_a_p256_key_is_read() {
    let spki = p256().verifying_key().spki().to_vec();
    assert_eq!(spki.len(), 91);
    let mut compressed = spki.clone();
    compressed[26] = 2;
    let mut hybrid = spki.clone();
    hybrid[26] = 6;
    let longer = [&spki, &[0][..]].concat();
    for der in [&[], &spki[..90], &spki[1..], &longer, &compressed, &hybrid] {
        assert_eq!(VerifyingKey::from_spki(der), Err(KeyError::Unsupported));
    }
    for at in 0..27 {
        let mut altered = spki.clone();
        altered[at] ^= 1;
        assert_eq!(
            VerifyingKey::from_spki(&altered),
            Err(KeyError::Unsupported),
            "{at}"
        );
    }
    assert_eq!(
        VerifyingKey::from_ed25519(&[0; 31]),
        Err(KeyError::Unsupported)
    );
    assert_eq!(
        VerifyingKey::from_ed25519(&[0; 33]),
        Err(KeyError::Unsupported)
    );
}

#[test]
fn a_point_off_the_curve_verifies_nothing() {
    let key = p256();
    let signature = key.sign(b"message", &rng()).expect("randomness");
    let mut spki = key.verifying_key().spki().to_vec();
    spki[90] ^= 1;
    let off = VerifyingKey::from_spki(&spki).expect("the form is right");
    assert!(off.verify(b"message", &signature).is_err());
}

#[test]
fn keys_of_other_algorithms_are_refused() {
    let p384 = ring::signature::EcdsaKeyPair::generate_pkcs8(
        &ring::signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        &rng(),
    );
    let p384 = p384.expect("randomness");
    for der in [
        p384.as_ref(),
        &[],
        b"-----BEGIN PRIVATE KEY-----",
        &ed25519_pkcs8()[..40],
    ] {
        assert_eq!(
            SigningKey::from_pkcs8(der, &rng()).err(),
            Some(KeyError::Unsupported)
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_key_or_refused(der in prop::collection::vec(any::<u8>(), 0..150), message: [u8; 8]) {
        prop_assert!(SigningKey::from_pkcs8(&der, &rng()).is_err());
        prop_assert!(VerifyingKey::from_spki(&der).is_err());
        prop_assert!(p256().verifying_key().verify(&message, &der).is_err());
        prop_assert!(ed25519().verifying_key().verify(&message, &der).is_err());
    }
}
