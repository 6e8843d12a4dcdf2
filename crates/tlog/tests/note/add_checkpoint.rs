//! The messages between a log and its witnesses.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use tlog::{
    AddCheckpoint, AddCheckpointError, MAX_WITNESS_PROOF, TreeSize, parse_cosigned_size, sha256,
};

/// The example of the specification.
const EXAMPLE: &str = "old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
";

#[test]
fn the_example_of_the_specification_is_read_and_written_back() {
    let request = AddCheckpoint::parse(EXAMPLE).expect("the example");
    assert_eq!(
        (request.old_size, request.proof.len()),
        (TreeSize(20_852_014), 4)
    );
    assert_eq!(request.checkpoint.signatures().len(), 2);
    assert_eq!(request.to_string(), EXAMPLE);
}

#[test]
fn each_part_has_one_form() {
    let replaced = |from: &str, to: &str| AddCheckpoint::parse(&EXAMPLE.replacen(from, to, 1));
    for old in [
        "old 020852014",
        "old +20852014",
        "old  20852014",
        "Old 20852014",
        "old",
        "old -1",
        "20852014",
    ] {
        assert_eq!(
            replaced("old 20852014", old),
            Err(AddCheckpointError::OldSize),
            "{old:?}"
        );
    }
    for hash in [
        "PlRN",
        "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw",
        "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkax=",
    ] {
        assert!(
            replaced("PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=", hash).is_err(),
            "{hash:?}"
        );
    }
    assert_eq!(
        AddCheckpoint::parse("old 0\n"),
        Err(AddCheckpointError::NoCheckpoint)
    );
    assert!(AddCheckpoint::parse("").is_err());
    assert!(AddCheckpoint::parse(EXAMPLE.trim_end()).is_err());
    assert!(AddCheckpoint::parse(&EXAMPLE.replace('\n', "\r\n")).is_err());
}

#[test]
fn a_proof_is_bounded() {
    let request = |lines: usize| {
        let (_, checkpoint) = EXAMPLE.split_once("\n\n").expect("the example");
        let hash = STANDARD.encode(sha256(b"x"));
        format!("old 1\n{}\n{checkpoint}", format!("{hash}\n").repeat(lines))
    };
    assert_eq!(
        AddCheckpoint::parse(&request(MAX_WITNESS_PROOF)).map(|request| request.proof.len()),
        Ok(MAX_WITNESS_PROOF)
    );
    assert_eq!(
        AddCheckpoint::parse(&request(MAX_WITNESS_PROOF + 1)),
        Err(AddCheckpointError::TooManyHashes)
    );
}

#[test]
fn a_conflict_says_a_size() {
    assert_eq!(parse_cosigned_size("17\n"), Some(TreeSize(17)));
    assert_eq!(parse_cosigned_size("0\n"), Some(TreeSize(0)));
    for wrong in [
        "17",
        "17\n\n",
        "017\n",
        "\n",
        "-1\n",
        "9223372036854775808\n",
        "x\n",
    ] {
        assert_eq!(parse_cosigned_size(wrong), None, "{wrong:?}");
    }
}

proptest! {
    /// Everything that can be read is written back unchanged.
    #[test]
    fn one_text_for_one_request(place in 0..EXAMPLE.len(), byte: u8) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        bytes[place] = byte;
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(request) = AddCheckpoint::parse(&text)
        {
            prop_assert_eq!(request.to_string(), text);
        }
    }
}
