//! Agreement with Rekor: requests with the verdict of Rekor's own code, written in other ways.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::{ProposedEntry, VerifiedEntry};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::cost;

/// A recorded request, and what Rekor made of it.
pub struct Verdict {
    id: String,
    /// The request body.
    pub body: Vec<u8>,
    /// The leaf bytes, or None if Rekor refuses the request.
    leaf: Option<Vec<u8>>,
    /// The index keys that follow from the request here, which Rekor's are among.
    index_keys: Vec<String>,
}

/// A recorded request has the recorded verdict however its JSON is written: with other white space,
/// with escapes in its texts, with members that nobody knows, with bytes after it. The first two
/// bytes choose the request, the others how it is written.
pub fn verdict(choices: &[u8]) {
    let [high, low, choices @ ..] = choices else {
        return;
    };
    let verdicts = verdicts();
    let number = usize::from(u16::from_be_bytes([*high, *low]));
    let verdict = &verdicts[number % verdicts.len()];
    let body = rewritten(&verdict.body, choices);
    let entry = cost::verify(ProposedEntry::from_json, &body).ok();
    let leaf = entry.as_ref().map(VerifiedEntry::leaf_bytes);
    let (id, text) = (&verdict.id, String::from_utf8_lossy(&body));
    assert_eq!(leaf, verdict.leaf.as_deref(), "{id}: {text}");
    let index_keys = entry.as_ref().map_or(&[][..], VerifiedEntry::index_keys);
    assert_eq!(index_keys, verdict.index_keys, "{id}: {text}");
}

/// Returns the recorded requests that are JSON. Leaves out those that `docs/KINDS.md` decides
/// otherwise than Rekor.
pub fn verdicts() -> &'static [Verdict] {
    static VERDICTS: OnceLock<Vec<Verdict>> = OnceLock::new();
    VERDICTS.get_or_init(|| {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recordings/verdicts.jsonl.gz");
        let file = std::fs::File::open(file).expect("the recordings of the repository");
        let lines = BufReader::new(GzDecoder::new(file)).lines();
        lines
            .filter_map(|line| read(&line.expect("a line")))
            .collect()
    })
}

fn read(line: &str) -> Option<Verdict> {
    let recorded: Value = serde_json::from_str(line).expect("JSON");
    let bytes = |name: &str| {
        let text = recorded[name].as_str()?;
        Some(STANDARD.decode(text).expect("base64"))
    };
    let body = bytes("body").expect("a body");
    serde_json::from_slice::<Value>(&body).ok()?;
    let leaf = bytes("leaf").filter(|_| recorded["rekor"] == 201);
    let entry = cost::verify(ProposedEntry::from_json, &body).ok();
    if entry.as_ref().map(VerifiedEntry::leaf_bytes) != leaf.as_deref() {
        return None;
    }
    let index_keys = entry.as_ref().map_or(&[][..], VerifiedEntry::index_keys);
    Some(Verdict {
        id: recorded["id"].as_str().expect("an ID").to_owned(),
        leaf,
        index_keys: index_keys.to_vec(),
        body,
    })
}

/// Writes a JSON value in another way. Each byte of `choices` decides about the next place where
/// there is a choice. When they end, the rest stays as it is.
fn rewritten(json: &[u8], choices: &[u8]) -> Vec<u8> {
    let mut choices = choices.iter().copied();
    let mut written = Vec::with_capacity(2 * json.len());
    let mut bytes = json.iter().copied();
    let mut is_in_text = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if is_in_text => {
                written.push(byte);
                written.extend(bytes.next());
                continue;
            }
            b'"' => is_in_text = !is_in_text,
            // Four digits of an escape are among these, which stay what they are.
            b'a'..=b'z' | b'A'..=b'Z' | b'+'
                if is_in_text
                    && !is_escape(&written)
                    && choices.next().is_some_and(|choice| choice & 1 == 1) =>
            {
                written.extend(format!("\\u{byte:04x}").bytes());
                continue;
            }
            _ => {}
        }
        written.push(byte);
        if !is_in_text && b"{}[]:,".contains(&byte) {
            let choice = choices.next().unwrap_or_default();
            let space: &[u8] = [&b""[..], b" ", b"\t", b"\r\n"][usize::from(choice & 3)];
            written.extend(space);
            if byte == b'{' && choice & 4 == 4 && written.len() <= 1 + space.len() {
                written.extend(b"\"unknown\":[{}],");
            }
        }
    }
    if choices.next().is_some() {
        written.extend(b"\n{}");
    }
    written
}

/// Whether a text ends within the four digits of an escape.
fn is_escape(written: &[u8]) -> bool {
    let last = &written[written.len().saturating_sub(5)..];
    last.windows(2).any(|pair| pair == b"\\u")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewriting_keeps_the_value() {
        let json = br#"{"a\u00e9b":"x\"\\y+","c":[1,{"d":null}]}"#;
        let value: Value = serde_json::from_slice(json).unwrap();
        assert_eq!(rewritten(json, &[]), json);
        for choices in [&[1; 40][..], &[2; 40], &[3; 40], b"abcdefghijklmnopqrs"] {
            let written = rewritten(json, choices);
            let mut values = serde_json::Deserializer::from_slice(&written).into_iter();
            let mut read: Value = values.next().unwrap().unwrap();
            read.as_object_mut().unwrap().remove("unknown");
            assert_eq!(read, value, "{}", String::from_utf8_lossy(&written));
        }
    }
}
