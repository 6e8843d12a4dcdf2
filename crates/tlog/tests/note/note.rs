use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use signed_note::{
    NoteError as OtherError, Signer as _, StandardSigner, StandardVerifier, VerifierList,
};
use tlog::{
    MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES, Note, NoteError, NoteKey, NoteSignature, sign_note,
};

use crate::keys::{ED25519_SEED, ed25519, note_key, p256, rng};

const TEXT: &str = "example.com/log\n5\nfurther text\n";
const NAME: &str = "example.com/log";

#[test]
fn ed25519_notes_are_those_of_signed_note() {
    let key = ed25519();
    let note_key = note_key(NAME, &key);
    let vkey = note_key.to_string();
    let verifier =
        || VerifierList::new(vec![Box::new(StandardVerifier::new(&vkey).expect("vkey"))]);

    let ours = sign_note(TEXT, NAME, &key, &rng()).expect("signed");
    let read = signed_note::Note::from_bytes(ours.as_bytes()).expect("note");
    assert_eq!(read.verify(&verifier()).expect("verifies").0.len(), 1);

    let seed = STANDARD.encode([&[1], ED25519_SEED.as_slice()].concat());
    let key_id = u32::from_be_bytes(note_key.key_id());
    let signer =
        StandardSigner::new(&format!("PRIVATE+KEY+{NAME}+{key_id:08x}+{seed}")).expect("skey");
    assert_eq!(signer.key_id(), key_id);
    let mut theirs = signed_note::Note::new(TEXT.as_bytes(), &[]).expect("text");
    theirs.add_sigs(&[&signer]).expect("signed");
    // Ed25519 has one signature for one message and key.
    assert_eq!(String::from_utf8(theirs.to_bytes()).expect("text"), ours);
}

#[test]
fn vkeys_are_read_as_written() {
    for key in [p256(), ed25519()] {
        let key = note_key(NAME, &key);
        let vkey = key.to_string();
        assert_eq!(vkey.parse(), Ok(key));
        let [name, key_id, typed_key] = vkey.splitn(3, '+').collect::<Vec<_>>()[..] else {
            panic!("{vkey}")
        };
        for wrong in [
            format!("{name}x+{key_id}+{typed_key}"),
            format!("+{key_id}+{typed_key}"),
            format!("a b+{key_id}+{typed_key}"),
            format!("{name}+{key_id}"),
            format!("{name}+{key_id}+"),
            format!("{name}+00000000+{typed_key}"),
            format!(
                "{name}+{}+{typed_key}",
                key_id
                    .to_uppercase()
                    .replace(|c: char| c.is_ascii_digit(), "A")
            ),
            format!("{name}+{key_id}+{typed_key}="),
            format!("{name}+{key_id}+{typed_key}\n"),
            format!("{name}+{key_id}+AQ=="),
            format!("{name}+{key_id}+BA{}", &typed_key[2..]),
        ] {
            // The name counts for Ed25519 only.
            let is_same_key = wrong.starts_with(&format!("{name}x")) && typed_key.starts_with("Aj");
            assert_eq!(wrong.parse::<NoteKey>().is_ok(), is_same_key, "{wrong}");
        }
    }
    // An Ed25519 key in SPKI form under the type byte of ECDSA.
    let spki = ed25519().verifying_key().spki().to_vec();
    let key_id = &tlog::sha256(&spki).to_string()[..8];
    let vkey = format!(
        "{NAME}+{key_id}+{}",
        STANDARD.encode([&[2], spki.as_slice()].concat())
    );
    assert_eq!(vkey.parse::<NoteKey>(), Err(NoteError::Vkey));
}

#[test]
fn a_note_of_several_keys_verifies_for_each() {
    let (first, second, third) = (p256(), ed25519(), p256());
    let mut note = Note::new(TEXT).expect("text");
    note.sign(NAME, &first, &rng()).expect("signed");
    note.sign(NAME, &second, &rng()).expect("signed");
    let note = Note::parse(&note.to_string()).expect("own note");
    let [first, second, third] = [
        note_key(NAME, &first),
        note_key(NAME, &second),
        note_key(NAME, &third),
    ];
    let other_name = note_key("example.com/other", &p256());
    assert_eq!(note.text(), TEXT);
    assert_eq!(
        note.signatures()
            .iter()
            .map(|line| line.key_id)
            .collect::<Vec<_>>(),
        [first.key_id(), second.key_id()]
    );
    let known = [
        third.clone(),
        second.clone(),
        other_name.clone(),
        first.clone(),
    ];
    assert_eq!(note.verify(&known), Ok(vec![&second, &first]));
    assert_eq!(
        note.verify(&[third, other_name]),
        Err(NoteError::Unverified)
    );
    assert_eq!(note.verify(&[]), Err(NoteError::Unverified));
}

#[test]
fn one_bad_line_of_a_known_key_fails_the_note() {
    let (known, other) = (p256(), ed25519());
    let mut note = Note::new(TEXT).expect("text");
    note.sign(NAME, &known, &rng()).expect("signed");
    note.sign(NAME, &other, &rng()).expect("signed");
    let good = note.to_string();
    let elsewhere = sign_note("another text\n", NAME, &known, &rng()).expect("signed");
    let line = elsewhere.lines().last().expect("signature");
    let note = Note::parse(&format!("{good}{line}\n")).expect("form");
    assert_eq!(
        note.verify(&[note_key(NAME, &known)]),
        Err(NoteError::BadSignature)
    );
    assert_eq!(
        note.verify(&[note_key(NAME, &other), note_key(NAME, &known)]),
        Err(NoteError::BadSignature)
    );
    assert!(note.verify(&[note_key(NAME, &other)]).is_ok());
}

#[test]
fn the_signatures_are_bound_to_the_text_and_the_name() {
    let key = ed25519();
    let known = [note_key(NAME, &key)];
    let note = sign_note(TEXT, NAME, &key, &rng()).expect("signed");
    let verify =
        |note: &str| Note::parse(note).and_then(|note| note.verify(&known).map(|keys| keys.len()));
    assert_eq!(verify(&note), Ok(1));
    assert_eq!(
        verify(&note.replacen('5', "6", 1)),
        Err(NoteError::BadSignature)
    );
    assert_eq!(
        verify(&note.replacen("\n5\n", "\n5\n\n", 1)),
        Err(NoteError::BadSignature)
    );
    assert_eq!(
        verify(&note.replace("— example.com/log", "— example.com/gol")),
        Err(NoteError::Unverified)
    );
}

#[test]
fn only_the_one_form_of_a_note_is_read() {
    let note = sign_note(TEXT, NAME, &ed25519(), &rng()).expect("signed");
    assert_eq!(Note::parse(&note).expect("own note").to_string(), note);
    let line = note.lines().last().expect("signature");
    let blob = line.rsplit(' ').next().expect("blob");
    let malformed = [
        String::new(),
        "\n\n".into(),
        TEXT.into(),
        format!("{TEXT}\n"),
        format!("{TEXT}\n{line}"),
        format!("{TEXT}{line}\n"),
        format!("{TEXT}\n{line}\n\n"),
        format!("{TEXT}\n{line}\n\nmore\n"),
        format!("{TEXT}\n{line}\nmore\n"),
        format!("{TEXT}\n {line}\n"),
        format!("{TEXT}\n{line} \n"),
        format!("{TEXT}\n{line}\r\n"),
        format!("{TEXT}\n- {NAME} {blob}\n"),
        format!("{TEXT}\n—{NAME} {blob}\n"),
        format!("{TEXT}\n—  {blob}\n"),
        format!("{TEXT}\n— {NAME}\n"),
        format!("{TEXT}\n— {NAME}  {blob}\n"),
        format!("{TEXT}\n— {NAME} {blob} {blob}\n"),
        format!("{TEXT}\n— a+b {blob}\n"),
        format!("{TEXT}\n— a\u{a0}b {blob}\n"),
        format!("{TEXT}\n— {} {blob}\n", "n".repeat(256)),
        format!("{TEXT}\n— {NAME} {}\n", blob.trim_end_matches('=')),
        format!("{TEXT}\n— {NAME} {}\n", blob.replace('=', "")),
        format!("{TEXT}\n— {NAME} AAAAAA==\n"),
        format!("{TEXT}\n— {NAME} AAAAAAB=\n"),
        format!("{TEXT}\n— {NAME} \n"),
        format!("a\tb\n\n{line}\n"),
        format!("a\0\n\n{line}\n"),
        format!("a\r\n\n{line}\n"),
        format!("\n\n{line}\n"),
    ];
    for note in malformed {
        assert!(Note::parse(&note).is_err(), "{note:?}");
        // What the other reader refuses we do as well; it takes unpadded base64 no more than we do.
        assert!(
            signed_note::Note::from_bytes(note.as_bytes()).is_err() || is_stricter_here(&note),
            "{note:?}"
        );
    }
    assert!(Note::parse(&format!("{TEXT}\n— {NAME} AAAAAAA=\n")).is_ok());
}

/// Names above 255 bytes, an empty text, a text that ends with a blank line.
fn is_stricter_here(note: &str) -> bool {
    note.contains(&"n".repeat(256)) || note.starts_with("\n\n") || note.contains("\n\n\n")
}

#[test]
fn size_and_signatures_are_limited() {
    let line = NoteSignature {
        name: NAME.into(),
        key_id: [1, 2, 3, 4],
        signature: vec![5],
    }
    .to_string();
    let note = |lines: usize| format!("{TEXT}\n{}", format!("{line}\n").repeat(lines));
    assert_eq!(
        Note::parse(&note(MAX_NOTE_SIGNATURES))
            .expect("the most")
            .signatures()
            .len(),
        MAX_NOTE_SIGNATURES
    );
    assert_eq!(
        Note::parse(&note(MAX_NOTE_SIGNATURES + 1)),
        Err(NoteError::TooManySignatures)
    );
    let mut full = Note::parse(&note(MAX_NOTE_SIGNATURES)).expect("the most");
    assert_eq!(
        full.sign(NAME, &ed25519(), &rng()),
        Err(NoteError::TooManySignatures)
    );
    let large = format!("{}\n", "a".repeat(MAX_NOTE_BYTES - 1));
    assert!(Note::new(&large).is_ok());
    assert_eq!(
        Note::new(&format!("a{large}")),
        Err(NoteError::TooLarge(MAX_NOTE_BYTES + 1))
    );
    assert!(matches!(
        Note::parse(&format!("{large}\n{line}\n")),
        Err(NoteError::TooLarge(_))
    ));
}

#[test]
fn a_checkpoint_that_could_not_be_read_back_is_not_signed() {
    for text in [
        "",
        "\n",
        "no newline",
        "two\n\n",
        "tab\t\n",
        "nul\0\n",
        "return\r\n",
    ] {
        assert_eq!(
            sign_note(text, NAME, &ed25519(), &rng()),
            Err(NoteError::Text),
            "{text:?}"
        );
    }
    for name in [
        "",
        "a b",
        "a+b",
        "a\nb",
        "a\u{2003}b",
        "a\0b",
        &"n".repeat(256),
    ] {
        assert_eq!(
            sign_note(TEXT, name, &ed25519(), &rng()),
            Err(NoteError::KeyName),
            "{name:?}"
        );
    }
}

proptest! {
    #[test]
    fn notes_are_read_as_written(
        text in "([^\\x00-\\x1f]{1,20}\n\n?){0,4}[^\\x00-\\x1f]{1,20}\n",
        names in prop::collection::vec("[^\\s+\\p{Cc}]{1,30}", 1..5),
        blob in prop::collection::vec(any::<u8>(), 1..100),
    ) {
        let lines = names.into_iter().map(|name| NoteSignature { name, key_id: [9; 4], signature: blob.clone() });
        let lines: Vec<_> = lines.collect();
        let written = format!("{text}\n{}", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        let note = Note::parse(&written).expect("note");
        prop_assert_eq!(note.text(), text);
        prop_assert_eq!(note.signatures(), lines);
        prop_assert_eq!(note.to_string(), written);
    }

    #[test]
    fn readers_agree(note in "(a|\n|— |é|\\+| |AAAAAAA=|AAAA|\t){0,12}\n\n(— a AAAAAAA=\n){0,2}(a|\n|— |é|\\+| |AAAAAAA=|AAAA|\t){0,6}\n?") {
        let theirs: Result<_, OtherError> = signed_note::Note::from_bytes(note.as_bytes());
        match Note::parse(&note) {
            Ok(ours) => {
                prop_assert_eq!(ours.to_string(), note.as_str());
                prop_assert!(theirs.is_ok_and(|theirs| theirs.text() == ours.text().as_bytes()));
            }
            Err(error) => prop_assert!(theirs.is_err() || is_stricter_here(&note), "{error}"),
        }
    }
}
