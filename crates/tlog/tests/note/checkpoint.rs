use proptest::prelude::*;
use tlog::{
    Checkpoint, CheckpointError, EMPTY_ROOT, Hash, MAX_TREE_SIZE, Note, NoteError, TreeSize,
};

use crate::keys::{ed25519, note_key, p256, rng};

const ROOT: &str = "JxK1gzGEil2N67iOWlJPsqlls5Ih+gT2fShhXO631IY=";

#[test]
fn both_forms_are_opened_with_their_own_names_only() {
    let key = p256();
    let v1 = Checkpoint::new("log.example - 4112233445566778899", TreeSize(0), EMPTY_ROOT);
    let v2 = Checkpoint::new("log.example", TreeSize(9), EMPTY_ROOT);
    let signed_v1 = v1.sign("log.example", &key, &rng()).expect("signed");
    let signed_v2 = v2.sign("log.example", &key, &rng()).expect("signed");
    let known = [note_key("log.example", &key)];
    assert_eq!(
        Checkpoint::open(&signed_v1, &v1.origin, &known).as_ref(),
        Ok(&v1)
    );
    assert_eq!(
        Checkpoint::open(&signed_v2, &v2.origin, &known).as_ref(),
        Ok(&v2)
    );
    assert_eq!(
        Checkpoint::open(&signed_v1, &v2.origin, &known),
        Err(CheckpointError::Origin)
    );
    assert_eq!(
        Checkpoint::open(&signed_v2, &v1.origin, &known),
        Err(CheckpointError::Origin)
    );
    for other in [
        note_key("log.example", &p256()),
        note_key("other.example", &key),
        note_key("log.example", &ed25519()),
    ] {
        let unverified = Err(CheckpointError::Note(NoteError::Unverified));
        assert_eq!(
            Checkpoint::open(&signed_v1, &v1.origin, &[other]),
            unverified
        );
    }
    let later = signed_v2.replacen("\n9\n", "\n10\n", 1);
    assert_eq!(
        Checkpoint::open(&later, &v2.origin, &known),
        Err(CheckpointError::Note(NoteError::BadSignature))
    );
}

#[test]
fn only_the_one_form_of_each_line_is_read() {
    let read = |text: &str| Checkpoint::parse(text).ok();
    let largest = MAX_TREE_SIZE.0;
    for size in ["0", "1", "10", &largest.to_string()] {
        let text = format!("o\n{size}\n{ROOT}\n");
        assert_eq!(read(&text).expect("size").text(), text);
    }
    for size in [
        "",
        "00",
        "01",
        "+1",
        "-1",
        " 1",
        "1 ",
        "0x1",
        "1_0",
        "١",
        &(largest + 1).to_string(),
        "99999999999999999999",
    ] {
        assert_eq!(read(&format!("o\n{size}\n{ROOT}\n")), None, "{size:?}");
    }
    for root in [
        "",
        "AAAA",
        &ROOT[..43],
        &format!("{ROOT}="),
        &format!(" {ROOT}"),
        &format!("{ROOT}\r"),
        &ROOT.replace('+', "-"),
        // Stray bits after the last byte.
        &ROOT.replace("IY=", "IZ="),
        &format!("{}A", &ROOT[..43]),
        &"A".repeat(44),
        &"A".repeat(45),
    ] {
        assert_eq!(read(&format!("o\n1\n{root}\n")), None, "{root:?}");
    }
    for text in [
        String::new(),
        "\n".into(),
        "o\n".into(),
        "o\n1\n".into(),
        format!("\n1\n{ROOT}\n"),
        format!("o\n1\n{ROOT}"),
        format!("o\n1\n{ROOT}\n\n"),
        format!("o\n1\n{ROOT}\n\next\n"),
        format!("o\n1\n{ROOT}\next"),
        format!("o\n\n1\n{ROOT}\n"),
    ] {
        assert_eq!(read(&text), None, "{text:?}");
    }
}

#[test]
fn extension_lines_are_kept() {
    let text = format!(
        "rekor.sigstore.dev - 2605736670972794746\n1\n{ROOT}\nTimestamp: 1657226464\nmore\n"
    );
    let checkpoint = Checkpoint::parse(&text).expect("checkpoint");
    assert_eq!(checkpoint.extensions, ["Timestamp: 1657226464", "more"]);
    assert_eq!(checkpoint.text(), text);
    let key = p256();
    let signed = checkpoint
        .sign("rekor.sigstore.dev", &key, &rng())
        .expect("signed");
    let known = [note_key("rekor.sigstore.dev", &key)];
    assert_eq!(
        Checkpoint::open(&signed, &checkpoint.origin, &known),
        Ok(checkpoint)
    );
}

#[test]
fn a_checkpoint_that_could_not_be_read_back_is_not_signed() {
    let key = p256();
    let good = Checkpoint::new("log.example", TreeSize(1), EMPTY_ROOT);
    let sign = |checkpoint: &Checkpoint, name: &str| checkpoint.sign(name, &key, &rng());
    assert!(sign(&good, "log.example").is_ok());
    for origin in [
        "",
        "a\nb",
        "a\n",
        "log.example\n7\nJxK1gzGEil2N67iOWlJPsqlls5Ih+gT2fShhXO631IY=",
    ] {
        let checkpoint = Checkpoint {
            origin: origin.into(),
            ..good.clone()
        };
        assert!(
            matches!(
                sign(&checkpoint, "log.example"),
                Err(CheckpointError::Text(_))
            ),
            "{origin:?}"
        );
    }
    let too_large = Checkpoint {
        size: TreeSize(MAX_TREE_SIZE.0 + 1),
        ..good.clone()
    };
    assert!(matches!(
        sign(&too_large, "log.example"),
        Err(CheckpointError::Text(_))
    ));
    for extension in ["", "a\nb", "a\n"] {
        let checkpoint = Checkpoint {
            extensions: vec![extension.into()],
            ..good.clone()
        };
        assert!(
            matches!(
                sign(&checkpoint, "log.example"),
                Err(CheckpointError::Text(_))
            ),
            "{extension:?}"
        );
    }
    let control = Checkpoint {
        origin: "a\tb".into(),
        ..good.clone()
    };
    assert_eq!(
        sign(&control, "log.example"),
        Err(CheckpointError::Note(NoteError::Text))
    );
    assert_eq!(
        sign(&good, "log example"),
        Err(CheckpointError::Note(NoteError::KeyName))
    );
}

#[test]
fn lines_of_witnesses_are_tolerated() {
    // Written by rekor-tiles with a witness: the second line is a timestamped cosignature of 76
    // bytes.
    let note = "rekor-local\n322\nbu6qNdmgp1I//8/4OEFLRky/4YrpywHpHYHTkAfypMs=\n\n\
        — rekor-local 2AtEIDErzZi0USt3Acm8xsj0y5X6JKgcTVDyqv4b39+vFfSbshnbUfYcg9kW7Z9t15kUA5IXjUfYDn047Zm4UMeW8g4=\n\
        — rekor-witness-test KI+4DwAAAABrA2ZJj62cqM420qPONetTmalsqsM6H96HwN/rx2rsQxljPgEM9NKa3u3AwPbmu0C8iN+1DcKGHc9dbW1WBsJL4eBOBw==\n";
    let parsed = Note::parse(note).expect("note");
    assert_eq!(parsed.signatures()[0].key_id, [0xd8, 0x0b, 0x44, 0x20]);
    assert_eq!(parsed.signatures()[0].signature.len(), 64);
    assert_eq!(parsed.signatures()[1].signature.len(), 8 + 64);
    assert_eq!(parsed.to_string(), note);
    let checkpoint = Checkpoint::parse(parsed.text()).expect("checkpoint");
    assert_eq!(
        (checkpoint.origin.as_str(), checkpoint.size),
        ("rekor-local", TreeSize(322))
    );
}

proptest! {
    #[test]
    fn checkpoints_are_read_as_written(
        origin in "[^\\x00-\\x1f]{1,40}",
        size in 0..=MAX_TREE_SIZE.0,
        root: [u8; 32],
        extensions in prop::collection::vec("[^\\x00-\\x1f]{1,40}", 0..3),
    ) {
        let checkpoint = Checkpoint { origin, size: TreeSize(size), root: Hash(root), extensions };
        prop_assert_eq!(Checkpoint::parse(&checkpoint.text()), Ok(checkpoint));
    }

    #[test]
    fn only_what_is_written_is_read(text in "(o|é| )?\n[+0-9]{0,3}\n(JxK1gzGEil2N67iOWlJPsqlls5Ih\\+gT2fShhXO631IY=|AA==)?\n?(x|\n){0,3}") {
        if let Ok(checkpoint) = Checkpoint::parse(&text) {
            prop_assert_eq!(checkpoint.text(), text);
        }
    }
}
