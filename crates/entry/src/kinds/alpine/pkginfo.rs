//! `.PKGINFO`, read as Rekor reads it: as an INI file in the dialect of Go's `gopkg.in/ini.v1`.
//!
//! The values become leaf bytes, so quotes, comments, continued lines and sections have to mean
//! here what they mean there, although no package has been seen with them. No crate reads that
//! dialect.

use std::collections::BTreeMap;

use pki::jcs;
use pki::{TooCostly, Work};

/// Names in one file, each of which takes some 200 bytes. Packages have twenty.
const MAX_NAMES: usize = 1_024;

/// The names and values of the section without a name. Of equal names the last one counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PackageInfo(pub(super) BTreeMap<String, String>);

/// Why a `.PKGINFO` cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InfoError {
    #[error("unclosed section in line {0}")]
    UnclosedSection(usize),
    #[error("empty section name in line {0}")]
    EmptySection(usize),
    #[error("no \"=\" in line {0}")]
    NoDelimiter(usize),
    #[error("empty name in line {0}")]
    EmptyName(usize),
    #[error("missing closing quote in line {0}")]
    UnclosedQuote(usize),
    #[error("the name in line {0} is not UTF-8, and its readable part is that of another name")]
    AmbiguousName(usize),
    #[error("more than {MAX_NAMES} names")]
    TooManyNames,
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
}

impl PackageInfo {
    pub(super) fn parse(bytes: &[u8], work: &mut Work) -> Result<Self, InfoError> {
        work.take_lines(bytes)?;
        let text = jcs::lossy(without_mark(bytes));
        let mut lines = Lines {
            rest: &text,
            number: 0,
        };
        let mut values = BTreeMap::new();
        let mut is_wanted = true;
        let mut numbered = 0;
        while let Some(line) = lines.next() {
            let line = line.trim_start();
            match line.as_bytes().first() {
                None | Some(b'#' | b';') => {}
                Some(b'[') => {
                    let end = line
                        .rfind(']')
                        .ok_or(InfoError::UnclosedSection(lines.number))?;
                    if end == 1 {
                        return Err(InfoError::EmptySection(lines.number));
                    }
                    (is_wanted, numbered) = (&line[1..end] == "DEFAULT", 0);
                }
                Some(_) => {
                    let (mut name, rest) = name(line, lines.number)?;
                    if name == "-" {
                        numbered += 1;
                        name = format!("#{numbered}");
                    }
                    let value = value(rest, &mut lines)?;
                    if name.is_empty() {
                        return Err(InfoError::EmptyName(lines.number));
                    }
                    if is_wanted {
                        // Two names that differ in the file must not be one in the entry.
                        if name.contains(char::REPLACEMENT_CHARACTER) && values.contains_key(&name)
                        {
                            return Err(InfoError::AmbiguousName(lines.number));
                        }
                        values.insert(name, value);
                        if values.len() > MAX_NAMES {
                            return Err(InfoError::TooManyNames);
                        }
                    }
                }
            }
        }
        Ok(Self(values))
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// Lines with their ends.
struct Lines<'t> {
    rest: &'t str,
    number: usize,
}

impl<'t> Lines<'t> {
    fn next(&mut self) -> Option<&'t str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.number += 1;
        Some(line)
    }
}

/// Returns the text after a byte order mark.
fn without_mark(bytes: &[u8]) -> &[u8] {
    match bytes {
        [0xfe, 0xff, rest @ ..] | [0xff, 0xfe, rest @ ..] | [0xef, 0xbb, 0xbf, rest @ ..] => rest,
        bytes => bytes,
    }
}

/// The name in a line, and what follows its delimiter.
fn name(line: &str, number: usize) -> Result<(String, &str), InfoError> {
    let quote = match line.as_bytes()[0] {
        b'"' if line.len() > 6 && line.starts_with(TRIPLE) => TRIPLE,
        b'"' => "\"",
        b'`' => "`",
        _ => {
            let at = line
                .find(DELIMITERS)
                .ok_or(InfoError::NoDelimiter(number))?;
            return match at {
                0 => Err(InfoError::EmptyName(number)),
                at => Ok((line[..at].trim().to_owned(), &line[at + 1..])),
            };
        }
    };
    let (name, rest) = line[quote.len()..]
        .split_once(quote)
        .ok_or(InfoError::UnclosedQuote(number))?;
    let at = rest
        .find(DELIMITERS)
        .ok_or(InfoError::NoDelimiter(number))?;
    Ok((name.trim().to_owned(), &rest[at + 1..]))
}

const TRIPLE: &str = "\"\"\"";
const DELIMITERS: [char; 2] = ['=', ':'];

/// The value that begins in `text` and may go on in the next lines.
fn value(text: &str, lines: &mut Lines<'_>) -> Result<String, InfoError> {
    let line = text.trim_start();
    let quote = match line {
        "" => return Ok(String::new()),
        line if line.len() > 3 && line.starts_with(TRIPLE) => Some(TRIPLE),
        line if line.starts_with('`') => Some("`"),
        _ => None,
    };
    if let Some(quote) = quote {
        let quoted = &line[quote.len()..];
        return match quoted.rfind(quote) {
            Some(at) => Ok(quoted[..at].to_owned()),
            None => quoted_lines(quoted, quote, lines),
        };
    }
    let line = line.trim();
    if let Some(begun) = line.strip_suffix('\\') {
        return Ok(continued_lines(begun, lines));
    }
    let line = line.find(['#', ';']).map_or(line, |at| line[..at].trim());
    Ok(without_quotes(line).to_owned())
}

/// A quoted value that does not end in its first line. Where a backslash ends the line of the
/// quote, it goes on.
fn quoted_lines(begun: &str, quote: &str, lines: &mut Lines<'_>) -> Result<String, InfoError> {
    let mut value = begun.to_owned();
    while let Some(line) = lines.next() {
        match line.rfind(quote) {
            Some(at) if !line[at + quote.len()..].trim().ends_with('\\') => {
                value += &line[..at];
                return Ok(value);
            }
            _ => value += line,
        }
    }
    Err(InfoError::UnclosedQuote(lines.number))
}

/// A value whose line ends with a backslash: it goes on in the next line, and ends with an empty
/// one.
fn continued_lines(begun: &str, lines: &mut Lines<'_>) -> String {
    let mut value = begun.to_owned();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        value += line;
        match value.strip_suffix('\\') {
            Some(shorter) => value.truncate(shorter.len()),
            None => break,
        }
    }
    value
}

/// Returns the text without the quotes around it, if it has no other quotes of their kind.
fn without_quotes(text: &str) -> &str {
    for quote in ['\'', '"'] {
        if let Some(inner) = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote))
            && !inner.contains(quote)
        {
            return inner;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<(String, String)> {
        PackageInfo::parse(text.as_bytes(), &mut Work::of_request(0))
            .unwrap()
            .0
            .into_iter()
            .collect()
    }

    #[test]
    fn as_the_go_library_reads_it() {
        // Each of these was read by gopkg.in/ini.v1 v1.67.3 with this result.
        let cases = [
            ("a = b\n# c = d\n; e\n\n  f=g h ", "a=b f=g h"),
            ("a = 1\na = 2\n", "a=2"),
            ("a : b = c\n", "a=b = c"),
            ("a = b # c\nd = e;f\n", "a=b d=e"),
            ("a = 'b c'\nd = \"e\"\nf = 'g'h'\n", "a=b c d=e f='g'h'"),
            ("a = b\\\n  c \\\n d\ne = f\n", "a=bc d e=f"),
            (
                "a = \"\"\"b # c\n d\"\"\" x\ne = `f`g`\n",
                "a=b # c\n d e=f`g",
            ),
            (
                "\"a=b\" = c\n`d:e`:f\n\"\"\"g\"h\"\"\" = i\n",
                "a=b=c d:e=f g\"h=i",
            ),
            ("- = a\n- = b\n", "#1=a #2=b"),
            ("a = b\n[s]\na = c\n[DEFAULT]\nd = e\n", "a=b d=e"),
            ("a =\nb = \n", "a= b="),
            ("\u{feff}a = b\r\n", "a=b"),
            ("a = b\\\n\nc = d", "a=b c=d"),
            ("a = b\\", "a=b"),
            ("", ""),
        ];
        for (text, expected) in cases {
            let read: Vec<String> = parse(text)
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            assert_eq!(read.join(" "), expected, "{text:?}");
        }
    }

    #[test]
    fn malformed_package_infos_are_refused() {
        let cases = [
            ("a\n", InfoError::NoDelimiter(1)),
            ("\n= a\n", InfoError::EmptyName(2)),
            ("\"\" = a\n", InfoError::EmptyName(1)),
            ("[a\n", InfoError::UnclosedSection(1)),
            ("[]\n", InfoError::EmptySection(1)),
            ("\"a = b\n", InfoError::UnclosedQuote(1)),
            ("a = `b\nc\n", InfoError::UnclosedQuote(2)),
            ("\"a\" b\n", InfoError::NoDelimiter(1)),
        ];
        for (text, expected) in cases {
            assert_eq!(
                PackageInfo::parse(text.as_bytes(), &mut Work::of_request(0)),
                Err(expected),
                "{text:?}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let info = PackageInfo::parse(b"\xff\xfea = \xe2\x82\n", &mut Work::of_request(0)).unwrap();
        assert_eq!(info.get("a"), "\u{fffd}\u{fffd}");
        assert_eq!(
            PackageInfo::parse(b"\xffa = 1\n\xfea = 2\n", &mut Work::of_request(0)),
            Err(InfoError::AmbiguousName(2))
        );
        assert_eq!(
            PackageInfo::parse(b"a = 1\na = 2\n", &mut Work::of_request(0))
                .unwrap()
                .get("a"),
            "2"
        );
    }
}
