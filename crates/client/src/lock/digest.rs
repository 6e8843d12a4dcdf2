//! Digests in lock files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Algorithms that logs index, the weakest first, with the bytes of a digest.
const ALGORITHMS: [(&str, usize); 4] =
    [("sha1", 20), ("sha256", 32), ("sha384", 48), ("sha512", 64)];

/// A digest of an artefact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest {
    /// `sha1`, `sha256`, `sha384` or `sha512`; `dirhash` for the hash of a Go module.
    pub algorithm: &'static str,
    /// In lower case.
    pub hex: String,
}

impl Digest {
    fn new(algorithm: &str, bytes: &[u8]) -> Option<Self> {
        let known = ALGORITHMS.iter().find(|(name, _)| *name == algorithm);
        let (algorithm, _) = known.filter(|(_, length)| *length == bytes.len())?;
        Some(Self {
            algorithm,
            hex: hex::encode(bytes),
        })
    }

    /// Reads `sha256:<hex>`.
    pub(super) fn of_hex(text: &str) -> Option<Self> {
        let (algorithm, digits) = text.split_once(':')?;
        Self::new(algorithm, &hex::decode(digits).ok()?)
    }

    /// Reads the hash of a Go module, `h1:<base64>`: the SHA-256 of the list of its files with their
    /// hashes. in-toto calls it `dirHash`.
    pub(super) fn of_go(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix("h1:")?).ok()?;
        let digest = Self::new("sha256", &bytes)?;
        Some(Self {
            algorithm: "dirhash",
            ..digest
        })
    }

    /// Reads subresource integrity: `sha512-<base64>`, several with spaces between them. As in
    /// browsers and package managers, those of the strongest algorithm count, and each of them
    /// identifies the artefact.
    pub(super) fn of_integrity(text: &str) -> Vec<Self> {
        let read = |part: &str| {
            let (algorithm, encoded) = part.split_once('-')?;
            let (encoded, _options) = encoded.split_once('?').unwrap_or((encoded, ""));
            Self::new(algorithm, &STANDARD.decode(encoded).ok()?)
        };
        let mut digests: Vec<Self> = text.split_whitespace().filter_map(read).collect();
        let strongest = digests.iter().map(Self::strength).max();
        digests.retain(|digest| Some(digest.strength()) == strongest);
        digests
    }

    fn strength(&self) -> Option<usize> {
        let mut names = ALGORITHMS.iter().map(|(name, _)| *name);
        names.position(|name| name == self.algorithm)
    }

    /// Returns its search keys. Somebody who logs a Go module may call its hash a SHA-256, which it
    /// is.
    pub(super) fn keys(&self) -> Vec<String> {
        let key = |algorithm: &str| format!("{algorithm}:{}", self.hex);
        match self.algorithm {
            "dirhash" => vec![key("dirhash"), key("sha256")],
            algorithm => vec![key(algorithm)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_of_several_digests_counts() {
        let [one, two] = [[1; 64], [2; 64]].map(|bytes| STANDARD.encode(bytes));
        let sha1 = STANDARD.encode([3; 20]);
        let text = format!("sha1-{sha1} sha512-{one}?opt sha512-{two} md5-AAAA sha512-A");
        let read = Digest::of_integrity(&text);
        let hex: Vec<&str> = read.iter().map(|digest| digest.hex.as_str()).collect();
        assert_eq!(hex, ["01".repeat(64), "02".repeat(64)]);
        let only = Digest::of_integrity(&format!("sha1-{sha1}"));
        assert_eq!(only[0].keys(), [format!("sha1:{}", "03".repeat(20))]);
        for nothing in ["", "sha512", "sha512-", "sha256-AAAA", "md5-AAAA"] {
            assert!(Digest::of_integrity(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn digits_and_hashes_of_go_are_read() {
        let digits = "AB".repeat(32);
        let digest = Digest::of_hex(&format!("sha256:{digits}")).unwrap();
        assert_eq!(digest.keys(), [format!("sha256:{}", "ab".repeat(32))]);
        assert_eq!(Digest::of_hex(&format!("sha512:{digits}")), None);
        assert_eq!(Digest::of_hex("md5:00"), None);
        let go = Digest::of_go(&format!("h1:{}", STANDARD.encode([0xab; 32]))).unwrap();
        let digits = "ab".repeat(32);
        assert_eq!(
            go.keys(),
            [format!("dirhash:{digits}"), format!("sha256:{digits}")]
        );
        assert_eq!(Digest::of_go("h2:AA=="), None);
    }
}
