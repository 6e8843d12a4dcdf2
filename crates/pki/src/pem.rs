//! PEM as Go's `encoding/pem` reads and writes it, so that one key or certificate has one canonical
//! text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::base64::BASE64;

/// Columns of base64 in a line (RFC 7468 section 2).
const LINE_WIDTH: usize = 64;
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// One PEM block: its label and what it holds. Headers are read over.
#[derive(Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The label, `CERTIFICATE`.
    pub label: &'a [u8],
    /// The decoded contents.
    pub bytes: Vec<u8>,
}

/// Returns the first block of `text`, and the text after the line that ends it. Skips text before
/// it, also text that only begins like a block. None if no block is left.
pub fn decode(text: &[u8]) -> Option<(Block<'_>, &[u8])> {
    let mut from = 0;
    loop {
        let (begin, end) = markers(text, from)?;
        from = end + END.len();
        let Some(begin) = begin else { continue };
        let (type_line, mut body) = line(text, begin + BEGIN.len());
        let Some(label) = type_line.strip_suffix(DASHES) else {
            continue;
        };
        // Lines with a colon are headers.
        let mut has_headers = false;
        loop {
            if body == text.len() {
                return None;
            }
            let (header, next) = line(text, body);
            if !header.contains(&b':') {
                break;
            }
            (has_headers, body) = (true, next);
        }
        if body > from {
            return None;
        }
        // Only an empty block without headers may end where its type line does.
        if has_headers && body >= end {
            continue;
        }
        let (end_line, rest) = line(text, from);
        if end_line.strip_suffix(DASHES) != Some(label) {
            continue;
        }
        let encoded = text.get(body..end).unwrap_or_default();
        if let Some(bytes) = decode_body(encoded) {
            return Some((Block { label, bytes }, &text[rest..]));
        }
    }
}

/// Appends a block without headers to `pem`: 64 columns, LF, final newline.
pub fn encode(label: &str, bytes: &[u8], pem: &mut Vec<u8>) {
    let encoded = STANDARD.encode(bytes);
    pem.reserve(encoded.len() + encoded.len() / LINE_WIDTH + 2 * label.len() + 34);
    for part in [BEGIN, label.as_bytes(), DASHES, b"\n"] {
        pem.extend_from_slice(part);
    }
    for line in encoded.as_bytes().chunks(LINE_WIDTH) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    for part in [END, label.as_bytes(), DASHES, b"\n"] {
        pem.extend_from_slice(part);
    }
}

/// Positions of the first line after `from` that begins like an end, and of the last line before it
/// that begins like a beginning.
fn markers(text: &[u8], from: usize) -> Option<(Option<usize>, usize)> {
    let mut begin = None;
    let mut at = from;
    loop {
        if text[at..].starts_with(BEGIN) {
            begin = Some(at);
        } else if at > from && text[at..].starts_with(END) {
            return Some((begin, at));
        }
        at += text[at..].iter().position(|byte| *byte == b'\n')? + 1;
    }
}

/// The line at `from` without its line break and trailing blanks, and where the next one begins.
fn line(text: &[u8], from: usize) -> (&[u8], usize) {
    let rest = &text[from..];
    let (line, next) = match rest.iter().position(|byte| *byte == b'\n') {
        Some(at) => (
            rest[..at].strip_suffix(b"\r").unwrap_or(&rest[..at]),
            from + at + 1,
        ),
        None => (rest, text.len()),
    };
    let blanks = line
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    (&line[..line.len() - blanks], next)
}

fn decode_body(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut digits = encoded.to_vec();
    digits.retain(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    BASE64.decode(digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-----BEGIN A-----\nAAEC\n-----END A-----\n";

    fn one(text: &str) -> Option<(&str, Vec<u8>, &str)> {
        decode(text.as_bytes()).map(|(block, rest)| {
            (
                std::str::from_utf8(block.label).unwrap(),
                block.bytes,
                std::str::from_utf8(rest).unwrap(),
            )
        })
    }

    #[test]
    fn text_that_is_not_a_block_is_skipped() {
        let block = Some(("A", vec![0, 1, 2], ""));
        for before in [
            "",
            "text\n",
            "-----BEGIN A-----\n",
            "-----BEGIN A-----\nAA\n-----END B-----\n",
            "-----BEGIN A-----\nA?==\n-----END A-----\n",
            "-----BEGIN A----\nAAEC\n-----END A----\n",
            "-----BEGIN A-----\nAAEC\n-----END A----- x\n",
        ] {
            assert_eq!(one(&format!("{before}{TEXT}")), block, "{before:?}");
        }
        assert_eq!(one(&format!("text{TEXT}")), None, "a block begins a line");
        assert_eq!(one("-----BEGIN A-----\nAAEC\n-----END A----"), None);
        assert_eq!(one(""), None);
    }

    #[test]
    fn forms_that_hold_the_same() {
        for text in [
            "-----BEGIN A-----\r\nAAEC\r\n-----END A-----\r\n",
            "-----BEGIN A----- \t\nA A\nE\tC\n\n-----END A-----  ",
            "-----BEGIN A-----\nProc-Type: 4\nx:y\n\nAAEC\n-----END A-----",
        ] {
            assert_eq!(one(text), Some(("A", vec![0, 1, 2], "")), "{text:?}");
        }
        assert_eq!(
            one("-----BEGIN A-----\n-----END A-----\nrest"),
            Some(("A", vec![], "rest"))
        );
        assert_eq!(
            one("-----BEGIN A-----\nx: y\n-----END A-----\n"),
            None,
            "headers need an empty line"
        );
        assert_eq!(one("-----BEGIN A-----\nx: y\n-----END A-----: z\n"), None);
    }

    #[test]
    fn encoding_is_read_back() {
        for length in [0, 1, 47, 48, 49, 1000] {
            let bytes = vec![7; length];
            let mut pem = Vec::new();
            encode("X Y", &bytes, &mut pem);
            let (block, rest) = decode(&pem).unwrap();
            assert_eq!(
                (block.label, block.bytes, rest.len()),
                (&b"X Y"[..], bytes, 0),
                "{length}"
            );
            assert!(
                pem.split(|byte| *byte == b'\n')
                    .all(|line| line.len() <= LINE_WIDTH)
            );
        }
    }
}
