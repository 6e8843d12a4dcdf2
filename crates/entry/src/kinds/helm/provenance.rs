//! Helm provenance files: clear-signed text of two YAML documents, the chart's metadata and the digests of files.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::kinds::artifact;
use crate::pki::pgp::ClearSigned;
use crate::refusal::Refusal;

/// Bytes of a provenance file. Beside the signature it has the `Chart.yaml`, which has some KiB.
const MAX_BYTES: usize = 1024 * 1024;
/// Bytes of the document with the digests. Helm writes one line of 100. Read, each byte may take a hundred of memory.
const MAX_SUMS_BYTES: usize = 16 * 1024;
/// Brackets that open a list or a map in that document; Helm writes none. The parser goes over all that are open for each token.
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
        let signed = ClearSigned::parse(bytes)?.ok_or_else(|| refuse("unable to decode provenance file"))?;
        let sums = second_document(signed.text()).ok_or_else(|| {
            refuse("error occurred parsing message block: message block must have at least two parts")
        })?;
        let brackets = sums.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
        if sums.len() > MAX_SUMS_BYTES || brackets > MAX_BRACKETS {
            return Err(refuse("the list of digests in the provenance file is too large"));
        }
        // The text of a YAML error repeats the document.
        let sums: Sums = serde_norway::from_slice(&sums)
            .map_err(|_| refuse("error occurred parsing message block: error occurred parsing SumCollection"))?;
        let Some(First(first)) = sums.files else { return Err(refuse("unable to locate chart hash")) };
        let first = first.ok_or_else(|| refuse("no checksums found"))?;
        match first.split_once(':') {
            Some((algorithm, value)) if !value.contains(':') => {
                Ok(Self { algorithm: algorithm.to_owned(), value: value.to_owned(), signed })
            }
            _ => Err(refuse("invalid hash found in Provenance file")),
        }
    }

    /// Checks that the digest is one that a stored entry may have. As in Rekor its value is not looked at.
    pub(super) fn check_algorithm(&self) -> Result<(), Refusal> {
        match self.algorithm == ALGORITHM {
            true => Ok(()),
            false => artifact::refuse(&["chart.hash.algorithm in body should be one of [sha256]".to_owned()]),
        }
    }
}

/// What stands between the first two separators.
fn second_document(text: &[u8]) -> Option<Vec<u8>> {
    // The last line ends as well.
    let text = [text, b"\n"].concat();
    let find = |text: &[u8]| text.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
    let rest = &text[find(&text)? + SEPARATOR.len()..];
    Some(rest[..find(rest).unwrap_or(rest.len())].to_vec())
}

#[derive(Deserialize)]
struct Sums {
    files: Option<First>,
}

/// The first value of a map of strings. Rekor takes any of them, another one each time.
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

    fn visit_map<A: MapAccess<'de>>(self, mut files: A) -> Result<Self::Value, A::Error> {
        let mut first = None;
        while files.next_key::<IgnoredAny>()?.is_some() {
            let digest = files.next_value::<String>()?;
            first.get_or_insert(digest);
        }
        Ok(First(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(yaml: &str) -> Option<Option<String>> {
        serde_norway::from_str::<Sums>(yaml).ok()?.files.map(|First(first)| first)
    }

    #[test]
    fn the_first_file_counts() {
        assert_eq!(first("files:\n  b: x:1\n  a: y:2\nimages:\n  c: z\n"), Some(Some("x:1".to_owned())));
        assert_eq!(first("files: {}\n"), Some(None));
        assert_eq!(first("images: {}\n"), None);
        assert_eq!(first("files:\n  a: [1]\n"), None);
        assert_eq!(first("files: x\n"), None);
    }

    #[test]
    fn documents_are_split() {
        assert_eq!(second_document(b"a: b\n...\nfiles: c").as_deref(), Some(&b"files: c\n"[..]));
        assert_eq!(second_document(b"a\n...\nb\n...\nc").as_deref(), Some(&b"b"[..]));
        assert_eq!(second_document(b"a\n...").as_deref(), Some(&b""[..]));
        assert_eq!(second_document(b"a\n....\nb"), None);
    }

    /// Rekor v1.5.4 logged any, v1.6.1 only what its own schema admits when the entry is read again.
    #[test]
    fn only_sha256_can_be_logged() {
        let signed = include_str!("../../../../../fuzz/seeds/helm/signed");
        let check = |algorithm: &str| {
            let text = signed.replace("sha256:", &format!("{algorithm}:"));
            Provenance::parse(text.as_bytes()).unwrap().check_algorithm()
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
