//! Helm provenance files: clear-signed text of two YAML documents, the chart's metadata and the
//! digests of files.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::kinds::artifact;
use crate::refusal::Refusal;
use pki::go_names::is_name;
use pki::pgp::ClearSigned;

/// Bytes of a provenance file. Beside the signature it has the `Chart.yaml`, which has some KiB.
const MAX_BYTES: usize = 1024 * 1024;
/// Bytes of the document with the digests. Helm writes one line of 100. Read, each byte may take a
/// hundred of memory.
const MAX_SUMS_BYTES: usize = 16 * 1024;
/// Brackets that open a list or a map in that document; Helm writes none. The parser goes over all
/// that are open for each token.
const MAX_BRACKETS: usize = 128;
const SEPARATOR: &[u8] = b"\n...\n";
/// The digest that stored entries may have.
const ALGORITHM: &str = "sha256";

/// A provenance file, its signature not verified.
pub(super) struct Provenance {
    pub(super) signed: ClearSigned,
    pub(super) algorithm: String,
    pub(super) value: String,
}

impl Provenance {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let refuse = |reason: &str| Refusal::Invalid(reason.to_owned());
        if bytes.len() > MAX_BYTES {
            return Err(Refusal::Invalid(format!(
                "a provenance file of {} bytes is too large, the limit is {MAX_BYTES}",
                bytes.len()
            )));
        }
        let signed =
            ClearSigned::parse(bytes)?.ok_or_else(|| refuse("unable to decode provenance file"))?;
        let sums = second_document(signed.text()).ok_or_else(|| {
            refuse(
                "error occurred parsing message block: message block must have at least two parts",
            )
        })?;
        let brackets = sums
            .iter()
            .filter(|byte| matches!(byte, b'[' | b'{'))
            .count();
        if sums.len() > MAX_SUMS_BYTES || brackets > MAX_BRACKETS {
            return Err(refuse(
                "the list of digests in the provenance file is too large",
            ));
        }
        // The text of a YAML error repeats the document.
        let sums = Sums::parse(sums).ok_or_else(|| {
            refuse("error occurred parsing message block: error occurred parsing SumCollection")
        })?;
        let Some(First(first)) = sums.files else {
            return Err(refuse("unable to locate chart hash"));
        };
        let first = first.ok_or_else(|| refuse("no checksums found"))?;
        match first.split_once(':') {
            Some((algorithm, value)) if !value.contains(':') => Ok(Self {
                algorithm: algorithm.to_owned(),
                value: value.to_owned(),
                signed,
            }),
            _ => Err(refuse("invalid hash found in Provenance file")),
        }
    }

    /// Checks that the digest is one that a stored entry may have. As in Rekor its value is not
    /// looked at.
    pub(super) fn check_algorithm(&self) -> Result<(), Refusal> {
        match self.algorithm == ALGORITHM {
            true => Ok(()),
            false => artifact::refuse(&[
                "chart.hash.algorithm in body should be one of [sha256]".to_owned()
            ]),
        }
    }
}

/// Returns the text between the first two separators.
fn second_document(text: &[u8]) -> Option<&[u8]> {
    let find = |text: &[u8]| {
        text.windows(SEPARATOR.len())
            .position(|window| window == SEPARATOR)
    };
    let rest = &text[find(text)? + SEPARATOR.len()..];
    Some(&rest[..find(rest).unwrap_or(rest.len())])
}

/// The second document, read as Rekor does: as JSON, so that names are matched without regard to
/// case and scalars are texts.
#[derive(Default)]
struct Sums {
    files: Option<First>,
}

impl Sums {
    /// Parses the first YAML document of `yaml`.
    fn parse(yaml: &[u8]) -> Option<Self> {
        serde_norway::Deserializer::from_slice(yaml)
            .next()?
            .deserialize_any(SumsVisitor)
            .ok()
    }
}

struct SumsVisitor;

impl<'de> Visitor<'de> for SumsVisitor {
    type Value = Sums;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with files and their digests")
    }

    fn visit_unit<E>(self) -> Result<Sums, E> {
        Ok(Sums::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sums, A::Error> {
        let mut sums = Sums::default();
        while let Some(Text(name)) = map.next_key()? {
            if is_name(&name, "files") {
                sums.files = map.next_value()?;
            } else if is_name(&name, "images") {
                map.next_value::<Option<First>>()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(sums)
    }
}

/// Of a map of texts the value of the first name, and of that the last one. Rekor takes any of the
/// names, another one each time.
struct First(Option<String>);

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FirstVisitor)
    }
}

struct FirstVisitor;

impl<'de> Visitor<'de> for FirstVisitor {
    type Value = First;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of files and their digests")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut files: A) -> Result<First, A::Error> {
        let mut first: Option<(Text, Text)> = None;
        while let Some(file) = files.next_key::<Text>()? {
            let digest = files.next_value::<Option<Text>>()?.unwrap_or_default();
            match &mut first {
                None => first = Some((file, digest)),
                Some((name, first)) if *name == file => *first = digest,
                Some(_) => {}
            }
        }
        Ok(First(first.map(|(_, digest)| digest.0)))
    }
}

/// A scalar as a text.
#[derive(Default, PartialEq, Eq)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Text, E> {
        Ok(Text(truth.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(yaml: &str) -> Option<Option<String>> {
        Sums::parse(yaml.as_bytes())?
            .files
            .map(|First(first)| first)
    }

    #[test]
    fn the_first_file_counts() {
        assert_eq!(
            first("files:\n  b: x:1\n  a: y:2\nimages:\n  c: z\n"),
            Some(Some("x:1".to_owned()))
        );
        assert_eq!(first("files: {}\n"), Some(None));
        assert_eq!(first("images: {}\n"), None);
        assert_eq!(first("files:\n  a: [1]\n"), None);
        assert_eq!(first("files: x\n"), None);
    }

    #[test]
    fn it_is_read_as_json() {
        let x1 = || Some(Some("x:1".to_owned()));
        assert_eq!(
            first("files:\n  a: y:2\n  b: z:3\n  a: x:1\n"),
            x1(),
            "one name twice"
        );
        assert_eq!(first("Files: {a: 'x:1'}\n"), x1());
        assert_eq!(first("files: {5: 'x:1', true: 7, x: ~}\n1.5: []\n"), x1());
        assert_eq!(
            first("files: {a: 'x:1'}\n---\nfiles: {a: 'y:2'}\n"),
            x1(),
            "a second document"
        );
        assert_eq!(
            first("files:\n  a: |\n    x:1"),
            x1(),
            "a block that ends with the text"
        );
        assert_eq!(first("files: {a: ~}\n"), Some(Some(String::new())));
        for refused in [
            "~: 1\nfiles: {a: b}",
            "[a]: 1\nfiles: {a: b}",
            "files: {~: b}",
            "files: {a: b}\nimages: x",
        ] {
            assert!(Sums::parse(refused.as_bytes()).is_none(), "{refused}");
        }
        assert!(Sums::parse(b"files: ~\nimages: ~").is_some_and(|sums| sums.files.is_none()));
    }

    #[test]
    fn documents_are_split() {
        assert_eq!(
            second_document(b"a: b\n...\nfiles: c"),
            Some(&b"files: c"[..])
        );
        assert_eq!(second_document(b"a\n...\nb\n...\nc"), Some(&b"b"[..]));
        assert_eq!(second_document(b"a\n..."), None);
        assert_eq!(second_document(b"a\n....\nb"), None);
    }

    /// Rekor v1.5.4 logged any, v1.6.1 only what its own schema admits when the entry is read
    /// again.
    #[test]
    fn only_sha256_can_be_logged() {
        let signed = include_str!("../../../../../fuzz/seeds/helm/signed");
        let check = |algorithm: &str| {
            let text = signed.replace("sha256:", &format!("{algorithm}:"));
            Provenance::parse(text.as_bytes())
                .unwrap()
                .check_algorithm()
        };
        assert_eq!(check("sha256"), Ok(()));
        for algorithm in ["sha512", "SHA256", "sha-256", "foo"] {
            let refusal = check(algorithm).unwrap_err().to_string();
            assert!(
                refusal.ends_with("chart.hash.algorithm in body should be one of [sha256]"),
                "{algorithm}: {refusal}"
            );
        }
    }

    /// Each line repeats the one before nine times.
    #[test]
    fn yaml_that_repeats_itself_is_refused() {
        let mut bomb = "a0: &a0 [x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{},", level - 1).repeat(9);
            bomb += &format!("a{level}: &a{level} [{before}]\n");
        }
        assert_eq!(first(&format!("{bomb}files: {{a: *a11}}\n")), None);
        assert_eq!(
            first(&format!("{bomb}files: {{a: b}}\n")),
            Some(Some("b".to_owned())),
            "what is not asked for costs nothing"
        );
    }
}
