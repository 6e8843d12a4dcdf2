//! The logs that a witness cosigns.

use std::collections::HashMap;

use tlog::NoteKey;

/// Most keys in a list: an operator writes it by hand.
const MAX_KEYS: usize = 10_000;

/// Origins, each with the keys that are trusted for it.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    keys: HashMap<String, Vec<NoteKey>>,
}

/// What is wrong with a list of logs, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LogsError {
    /// 1 for the first.
    pub line: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

impl Logs {
    /// Reads a list: a vkey a line, and after a space the origin where that is not the name of the key, as with Rekor v1.
    /// Empty lines and lines that begin with `#` do not count. Several keys of one origin stand in several lines.
    pub fn parse(text: &str) -> Result<Self, LogsError> {
        let mut logs = Self::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let wrong = |problem| LogsError { line: number + 1, problem };
            if number >= MAX_KEYS {
                return Err(wrong("too many lines"));
            }
            let (vkey, origin) = line.split_once(' ').map_or((line, None), |(vkey, origin)| (vkey, Some(origin)));
            let key: NoteKey = vkey.parse().map_err(|_| wrong("not a vkey of an ECDSA P-256 or Ed25519 log key"))?;
            let origin = origin.unwrap_or(key.name()).to_owned();
            if origin.is_empty() || origin.contains(char::is_control) {
                return Err(wrong("not an origin"));
            }
            logs.keys.entry(origin).or_default().push(key);
        }
        Ok(logs)
    }

    /// The keys of an origin; none if it is not known.
    pub fn keys(&self, origin: &str) -> Option<&[NoteKey]> {
        self.keys.get(origin).map(Vec::as_slice)
    }

    /// The origins, in no order.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VKEY: &str = "example.com/log+6cc65bb1+AbYU15FpohOFoYnzWzVGOzpn4sAmQwp9iP/Uqo6Kz/UK";

    #[test]
    fn an_origin_is_the_name_of_the_key_or_said() {
        let logs = Logs::parse(&format!("# ours\n\n{VKEY}\n{VKEY} example.com/log - 17\n"));
        let Err(error) = logs else {
            let logs = logs.expect("checked");
            assert_eq!(logs.keys("example.com/log - 17").map(<[_]>::len), Some(1));
            return;
        };
        assert_eq!(error.line, 3, "the sample key has another hash: {error}");
    }

    #[test]
    fn the_line_that_is_wrong_is_named() {
        assert_eq!(Logs::parse("# x\nnonsense\n").map(|_| ()).map_err(|error| error.line), Err(2));
    }
}
