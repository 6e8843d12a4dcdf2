//! Reads the guard of a treehead, which shows the newest heads of its logs.
//!
//! It is lines of text with hashes between them. Bytes that merely look like a line do no harm,
//! because every head is verified with the log's key.

/// The first line.
const FIRST_LINE: &[u8] = b"treehead guard 1";
/// The words before the length of a checkpoint.
const CHECKPOINTS: [&[u8]; 2] = [b"\ncheckpoint ", b"\nrekor-checkpoint "];
/// Most digits of a number in it.
const MAX_DIGITS: usize = 20;

/// Returns whether these bytes are a guard.
pub(super) fn is_guard(bytes: &[u8]) -> bool {
    bytes.starts_with(FIRST_LINE)
}

/// Returns the signed checkpoints, and at most `most` of them.
pub(super) fn notes(bytes: &[u8], most: usize) -> Vec<String> {
    let places = CHECKPOINTS.into_iter().flat_map(|word| after(bytes, word));
    places.filter_map(counted).take(most).collect()
}

/// Returns what follows each place where a word stands.
fn after<'a>(bytes: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let place = rest.windows(word.len()).position(|window| window == word)?;
        rest = rest.get(place + word.len()..)?;
        Some(rest)
    })
}

/// Returns the text after a line with its length.
fn counted(bytes: &[u8]) -> Option<String> {
    let (length, rest) = number(bytes)?;
    let text = rest.get(..usize::try_from(length).ok()?)?;
    let text = String::from_utf8(text.to_vec()).ok()?;
    (!text.is_empty()).then_some(text)
}

/// Returns the number up to the end of the line, and what follows.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut digits = bytes.iter().take(MAX_DIGITS + 1);
    let end = digits.position(|byte| *byte == b'\n')?;
    let (digits, rest) = bytes.split_at_checked(end)?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_found() {
        let note = "log\n1\nroot\n\n— log sig\n";
        let length = note.len();
        let first = String::from_utf8_lossy(FIRST_LINE);
        let mut guard = format!(
            "{first}\nledger l\nlogs 2\nlog v1\ntree 7\nsize 1\ncheckpoint {length}\n{note}rekor-checkpoint {length}\n{note}\
             edge 1\n"
        )
        .into_bytes();
        guard.extend_from_slice(&[0xff; 32]);
        guard.extend_from_slice(b"\n\nlog v2\ntree 8\ncheckpoint 0\n");
        guard.extend_from_slice(b"\ncheckpoint 99999\nx\ncheckpoint x\n");
        assert!(is_guard(&guard));
        let found = notes(&guard, 9);
        assert_eq!(found, [note, note]);
        assert_eq!(notes(b"", 9), [""; 0]);
    }
}
