//! On which line of a lock file something stands.

use std::collections::HashMap;

/// The words of a text with the line of their first occurrence.
pub(super) struct Lines<'a>(HashMap<&'a str, u32>);

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let mut words = HashMap::new();
        for (line, number) in text.lines().zip(1..) {
            for word in line.split(is_between) {
                words.entry(word.trim_end_matches(':')).or_insert(number);
            }
        }
        Self(words)
    }

    /// Returns the line of a word. A word that is not there, such as one with an escape, is taken to
    /// be on the first line.
    pub(super) fn line(&self, word: &str) -> u32 {
        self.0.get(word).copied().unwrap_or(1)
    }
}

/// Whether a character separates words in JSON, YAML, TOML and `go.sum`.
fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '{' | '}' | ',')
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_of_all_formats_have_lines() {
        let text = "{\n \"a/b\": {\"integrity\": \"sha512-x==\"}\n}\n'@c/d@1':\n  h: {i: sha1-y}\n";
        let lines = super::Lines::of(text);
        let found = ["a/b", "sha512-x==", "@c/d@1", "sha1-y", "absent"];
        assert_eq!(found.map(|word| lines.line(word)), [2, 2, 4, 5, 1]);
    }
}
