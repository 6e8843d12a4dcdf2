//! Cosignatures, against a second implementation of Ed25519 and what the specification says of each
//! byte.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Verifier as _};
use tlog::{
    Note, NoteError, NoteKey, NoteSignature, WitnessKey, cosign, parse_signature_lines, sha256,
};

use crate::keys::{ED25519_SEED, ed25519, p256, rng};

const TEXT: &str =
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
const NAME: &str = "witness.example.com/w1";
const TIME: u64 = 1_679_315_147;

fn line() -> NoteSignature {
    cosign(TEXT, NAME, &ed25519(), TIME, &rng()).expect("an Ed25519 key")
}

fn witness() -> WitnessKey {
    WitnessKey::new(NAME, ed25519().verifying_key().clone()).expect("an Ed25519 key")
}

#[test]
fn each_byte_is_where_the_specification_has_it() {
    let dalek = ed25519_dalek::SigningKey::from_bytes(&ED25519_SEED).verifying_key();
    let line = line().to_string();
    let blob = line
        .strip_prefix(&format!("— {NAME} "))
        .expect("em dash, name");
    let blob = STANDARD.decode(blob).expect("base64");
    assert_eq!(blob.len(), 4 + 8 + 64);
    let hashed = [NAME.as_bytes(), b"\n\x04", dalek.as_bytes()].concat();
    assert_eq!(blob[..4], sha256(&hashed).0[..4]);
    assert_eq!(blob[4..12], TIME.to_be_bytes());
    let message = format!("cosignature/v1\ntime {TIME}\n{TEXT}");
    let signature = Signature::from_slice(&blob[12..]).expect("64 bytes");
    dalek
        .verify(message.as_bytes(), &signature)
        .expect("the second implementation agrees");
}

#[test]
fn signatures_of_the_second_implementation_verify() {
    use ed25519_dalek::Signer as _;
    let dalek = ed25519_dalek::SigningKey::from_bytes(&ED25519_SEED);
    for time in [0, 1, TIME, i64::MAX as u64] {
        let signed = dalek.sign(format!("cosignature/v1\ntime {time}\n{TEXT}").as_bytes());
        let signature = [time.to_be_bytes().as_slice(), &signed.to_bytes()].concat();
        let line = NoteSignature {
            name: NAME.to_owned(),
            key_id: witness().key_id(),
            signature,
        };
        assert_eq!(witness().verify(TEXT, &line), Ok(time));
    }
}

#[test]
fn any_other_byte_fails() {
    let line = line();
    for place in 0..line.signature.len() {
        let mut other = line.clone();
        other.signature[place] ^= 1;
        assert_eq!(
            witness().verify(TEXT, &other),
            Err(NoteError::BadSignature),
            "byte {place}"
        );
    }
    for length in 0..line.signature.len() {
        let other = NoteSignature {
            signature: line.signature[..length].to_vec(),
            ..line.clone()
        };
        assert_eq!(
            witness().verify(TEXT, &other),
            Err(NoteError::BadSignature),
            "length {length}"
        );
    }
    assert_eq!(
        witness().verify(&TEXT.replace('3', "4"), &line),
        Err(NoteError::BadSignature)
    );
    let other = NoteSignature {
        name: "witness.example.com/w2".to_owned(),
        ..line.clone()
    };
    assert_eq!(witness().verify(TEXT, &other), Err(NoteError::Unverified));
    // A time beyond 63 bits is refused even if it is signed.
    assert!(cosign(TEXT, NAME, &ed25519(), 1 << 63, &rng()).is_err());
}

/// The plain Ed25519 signature of the same key over the same text is no cosignature, nor the other
/// way round.
#[test]
fn a_signature_of_the_log_is_not_taken_as_a_cosignature() {
    let mut note = Note::new(TEXT).expect("a text");
    note.sign(NAME, &ed25519(), &rng()).expect("signed");
    assert_eq!(witness().cosigned(&note), Ok(None));
    let mut renamed = note.signatures()[0].clone();
    renamed.key_id = witness().key_id();
    assert_eq!(
        witness().verify(TEXT, &renamed),
        Err(NoteError::BadSignature)
    );

    let log = NoteKey::new(NAME, ed25519().verifying_key().clone()).expect("a key");
    let mut note = Note::new(TEXT).expect("a text");
    note.add(line()).expect("room");
    assert_eq!(note.verify(&[log]), Err(NoteError::Unverified));
    assert_eq!(witness().cosigned(&note), Ok(Some(TIME)));
}

#[test]
fn the_newest_of_several_counts_and_one_bad_one_fails() {
    let mut note = Note::new(TEXT).expect("a text");
    for time in [5, 9, 7] {
        note.add(cosign(TEXT, NAME, &ed25519(), time, &rng()).expect("signed"))
            .expect("room");
    }
    assert_eq!(witness().cosigned(&note), Ok(Some(9)));
    let mut bad = line();
    bad.signature[20] ^= 1;
    note.add(bad).expect("room");
    assert_eq!(witness().cosigned(&note), Err(NoteError::BadSignature));
}

#[test]
fn a_vkey_is_of_type_4_or_1_and_its_hash_is_checked() {
    let vkey = witness().to_string();
    assert_eq!(vkey.parse(), Ok(witness()));
    let log = NoteKey::new(NAME, ed25519().verifying_key().clone())
        .expect("a key")
        .to_string();
    assert_eq!(log.parse(), Ok(witness()), "type 1, the same key");
    assert!(log.replace("/w1", "/w2").parse::<WitnessKey>().is_err());
    assert!(vkey.parse::<NoteKey>().is_err());
    assert!(vkey.replace("/w1", "/w2").parse::<WitnessKey>().is_err());
    assert!(WitnessKey::new(NAME, p256().verifying_key().clone()).is_err());
}

/// A checkpoint that another implementation cosigned is read and written back.
#[test]
fn a_recorded_cosignature_has_this_form() {
    let recorded = "— rekor-witness-test KI+4DwAAAABrA2ZJj62cqM420qPONetTmalsqsM6H96HwN/rx2rsQxljPgEM9NKa3u3AwPbmu0C8iN+1DcKGHc9dbW1WBsJL4eBOBw==\n";
    let lines = parse_signature_lines(recorded).expect("one line");
    assert_eq!((lines.len(), lines[0].signature.len()), (1, 72));
    assert_eq!(format!("{}\n", lines[0]), recorded);
}

#[test]
fn answers_are_whole_lines_of_signatures() {
    let line = line();
    let two = format!("{line}\n{line}\n");
    assert_eq!(
        parse_signature_lines(&two),
        Ok(vec![line.clone(), line.clone()])
    );
    for wrong in [
        "".to_owned(),
        "\n".to_owned(),
        line.to_string(),
        format!("{line}\n\n"),
        format!("x\n{line}\n"),
    ] {
        assert!(parse_signature_lines(&wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(
        parse_signature_lines(&format!("{line}\n").repeat(101)),
        Err(NoteError::TooManySignatures)
    );
}
