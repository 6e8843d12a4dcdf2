//! The logs that a witness cosigns.

use std::collections::HashMap;

use tlog::NoteKey;

/// Most keys in a list, which an operator writes by hand.
const MAX_KEYS: usize = 10_000;

/// Origins, each with the keys that are trusted for it.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    keys: HashMap<String, Vec<NoteKey>>,
}

/// The fault in a list of logs, and its line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LogsError {
    /// 1 for the first.
    pub line: usize,
    /// The fault.
    pub problem: &'static str,
}

impl Logs {
    /// Reads a list: a vkey a line, followed by a space and the origin if that is not the name of
    /// the key, as with Rekor v1. Empty lines and lines that begin with `#` are ignored. Several
    /// keys of one origin have a line each.
    pub fn parse(text: &str) -> Result<Self, LogsError> {
        let mut logs = Self::default();
        for (number, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        {
            let wrong = |problem| LogsError {
                line: number + 1,
                problem,
            };
            if number >= MAX_KEYS {
                return Err(wrong("too many lines"));
            }
            let (vkey, origin) = line
                .split_once(' ')
                .map_or((line, None), |(vkey, origin)| (vkey, Some(origin)));
            let key: NoteKey = vkey
                .parse()
                .map_err(|_| wrong("not a vkey of an ECDSA P-256 or Ed25519 log key"))?;
            let origin = origin.unwrap_or(key.name()).to_owned();
            if origin.is_empty() || origin.contains(char::is_control) {
                return Err(wrong("not an origin"));
            }
            logs.keys.entry(origin).or_default().push(key);
        }
        Ok(logs)
    }

    /// Returns the keys of an origin, or `None` if it is not known.
    pub fn keys(&self, origin: &str) -> Option<&[NoteKey]> {
        self.keys.get(origin).map(Vec::as_slice)
    }

    /// Returns the origins, in no order.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ring::rand::SystemRandom;
    use tlog::SigningKey;

    fn new_key(name: &str) -> NoteKey {
        let rng = SystemRandom::new();
        let key = SigningKey::from_pkcs8(&SigningKey::generate_ed25519_pkcs8(&rng).unwrap(), &rng)
            .unwrap();
        NoteKey::new(name, key.verifying_key().clone()).unwrap()
    }

    #[test]
    fn an_origin_is_the_name_of_the_key_or_said() {
        let (old, new, other) = (
            new_key("log.example"),
            new_key("log.example"),
            new_key("other.example"),
        );
        let text = format!("# ours\n\n{old}\n{new}\n{new} log.example - 17\n{other}\n");
        let logs = Logs::parse(&text).unwrap();
        assert_eq!(
            logs.keys("log.example"),
            Some([old, new.clone()].as_slice())
        );
        assert_eq!(logs.keys("log.example - 17"), Some([new].as_slice()));
        assert_eq!(logs.keys("other.example"), Some([other].as_slice()));
        assert_eq!(logs.keys("log"), None);
        let mut origins: Vec<&str> = logs.origins().collect();
        origins.sort_unstable();
        assert_eq!(
            origins,
            ["log.example", "log.example - 17", "other.example"]
        );
        assert_eq!(Logs::parse("").unwrap().origins().count(), 0);
    }

    #[test]
    fn the_line_that_is_wrong_is_named() {
        let key = new_key("log.example");
        let longest = format!("{key}\n{}", "\n".repeat(MAX_KEYS - 2));
        for (text, line) in [
            ("# x\nnonsense\n".to_owned(), 2),
            (
                format!("{key}\n\n{}\n", key.to_string().replace("log", "lug")),
                3,
            ),
            (format!(" {key}\n"), 1),
            (format!("{key} \n"), 1),
            (format!("{key} log\u{7}\n"), 1),
            (format!("{longest}\n{key}\n"), MAX_KEYS + 1),
        ] {
            assert_eq!(
                Logs::parse(&text).map(|_| ()).map_err(|error| error.line),
                Err(line),
                "{line}"
            );
        }
        assert!(Logs::parse(&format!("{longest}{key}\n")).is_ok());
    }
}
