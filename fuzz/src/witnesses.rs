//! Messages between witnesses and logs, and policies.

use std::collections::HashSet;

use tlog::{AddCheckpoint, WitnessKey, WitnessPolicy, parse_signature_lines};

/// A request that is read is written back unchanged: one text for one request.
pub fn add_checkpoint(body: &[u8]) {
    let Ok(body) = std::str::from_utf8(body) else {
        return;
    };
    if let Ok(request) = AddCheckpoint::parse(body) {
        assert_eq!(request.to_string(), body);
        assert!(request.proof.len() <= tlog::MAX_WITNESS_PROOF);
    }
}

/// Signature lines that are read are written back unchanged; so is a vkey of a witness; and no line
/// verifies for a text that it was not made for.
pub fn cosignature(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if let Ok(lines) = parse_signature_lines(text) {
        let written: String = lines.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(written, text);
    }
    let (vkey, lines) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(key) = vkey.parse::<WitnessKey>() {
        assert_eq!(key.to_string(), vkey);
        for line in parse_signature_lines(lines).into_iter().flatten() {
            assert!(key.verify("a text that nobody signed\n", &line).is_err());
        }
    }
}

/// A policy that is read asks for no more than all of its witnesses, and more cosignatures never
/// unmake a quorum; blank lines and comments change nothing.
pub fn witness_policy(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    match WitnessPolicy::parse(text) {
        Err(error) => assert!(error.line <= text.split('\n').count()),
        Ok(policy) => {
            let all: HashSet<usize> = (0..policy.witnesses().len()).collect();
            assert!(policy.is_quorum(&all));
            let mut some = HashSet::new();
            let mut was_quorum = policy.is_quorum(&some);
            for place in all {
                some.insert(place);
                assert!(policy.is_quorum(&some) || !was_quorum);
                was_quorum = policy.is_quorum(&some);
            }
            let spaced = format!("# comment\n\n{}", text.replace('\n', " \t\n"));
            let again = WitnessPolicy::parse(&spaced).expect("white space does not count");
            assert_eq!(
                (again.logs(), again.witnesses()),
                (policy.logs(), policy.witnesses())
            );
        }
    }
}
