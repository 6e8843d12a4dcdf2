//! Manifests and signature files of JAR archives: sections of attributes, as Rekor's library
//! (relic) reads them.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{self, Algorithm, Context};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::archive::shown;
use pki::{TooCostly, Work};

/// A manifest or signature file, split into its sections.
pub(super) struct Manifest<'m> {
    whole: &'m [u8],
    main: &'m [u8],
    /// The sections that have a name, in their order.
    named: Vec<(Vec<u8>, &'m [u8])>,
    /// Their positions, by name and then by position: of those with one name the last one counts.
    by_name: Vec<usize>,
}

/// Sections of one file. One with a name and a digest has 50 bytes at least, so that the 1 MiB that
/// a manifest may have holds 21,000.
const MAX_SECTIONS: usize = 20_000;
/// Attributes of one section. Those in use have up to a hundred.
const MAX_ATTRIBUTES: usize = 4_096;

/// Why a manifest is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("manifest has incorrect line ending sequence")]
    LineEndings,
    #[error("manifest has no sections")]
    Empty,
    #[error("jar manifest is malformed")]
    Malformed,
    #[error("manifest has section with no \"Name\" attribute")]
    NoName,
    #[error("unknown digest key in manifest: {0}")]
    UnknownDigest(String),
    #[error("no recognized digests found")]
    NoDigests,
    #[error("only an MD5 digest, which proves nothing")]
    OnlyMd5,
    #[error("{name} mismatch: manifest {claimed} != calculated {calculated}")]
    Mismatch {
        name: String,
        claimed: String,
        calculated: String,
    },
    #[error("manifest signature: {0}")]
    Whole(Box<ManifestError>),
    #[error("manifest main attributes signature: {0}")]
    Main(Box<ManifestError>),
    #[error("manifest is missing signed section {0:?}")]
    NoSection(String),
    #[error("manifest signature over section {0:?}: {1}")]
    Section(String, Box<ManifestError>),
    #[error(
        "manifest has more than {MAX_SECTIONS} sections, or more than {MAX_ATTRIBUTES} attributes in one"
    )]
    TooMany,
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
}

impl<'m> Manifest<'m> {
    pub(super) fn parse(whole: &'m [u8], work: &mut Work) -> Result<Self, ManifestError> {
        work.take_lines(whole)?;
        let sections = sections(whole)?;
        if sections.len() > MAX_SECTIONS {
            return Err(ManifestError::TooMany);
        }
        let mut sections = sections.into_iter();
        let main = sections.next().ok_or(ManifestError::Empty)?;
        Attributes::parse(main)?;
        let mut named = Vec::with_capacity(sections.len());
        for section in sections {
            let name = Attributes::parse(section)?.get("name").to_vec();
            if name.is_empty() {
                return Err(ManifestError::NoName);
            }
            named.push((name, section));
        }
        let mut by_name: Vec<usize> = (0..named.len()).collect();
        by_name.sort_by(|one, other| named[*one].0.cmp(&named[*other].0));
        Ok(Self {
            whole,
            main,
            named,
            by_name,
        })
    }

    /// The position of the section that counts for this name.
    fn position(&self, name: &[u8]) -> Option<usize> {
        let after = self
            .by_name
            .partition_point(|at| self.named[*at].0.as_slice() <= name);
        let at = *self.by_name.get(after.checked_sub(1)?)?;
        (self.named[at].0 == name).then_some(at)
    }

    /// The sections that count.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&[u8], &'m [u8])> {
        let counts = |at: &usize, name: &[u8]| self.position(name) == Some(*at);
        let numbered = self.named.iter().enumerate();
        numbered
            .filter(move |(at, (name, _))| counts(at, name))
            .map(|(_, (name, section))| (&name[..], *section))
    }

    /// Checks that this signature file has the digest of the whole `manifest`, or where it does not
    /// name one, those of its main attributes and of every section that this names.
    pub(super) fn verify(
        &self,
        manifest: &Manifest<'_>,
        work: &mut Work,
    ) -> Result<(), ManifestError> {
        let main = Attributes::parse(self.main)?;
        match Digests::of(&main, "-digest-manifest") {
            Ok(digests) => {
                return digests
                    .check(manifest.whole, work)
                    .map_err(|error| ManifestError::Whole(Box::new(error)));
            }
            Err(ManifestError::NoDigests) => {}
            Err(error) => return Err(ManifestError::Whole(Box::new(error))),
        }
        Digests::of(&main, "-digest-manifest-main-attributes")
            .and_then(|digests| digests.check(manifest.main, work))
            .map_err(|error| ManifestError::Main(Box::new(error)))?;
        for (name, section) in self.sections() {
            let at = manifest
                .position(name)
                .ok_or_else(|| ManifestError::NoSection(shown(name)))?;
            Digests::of(&Attributes::parse(section)?, "-digest")
                .and_then(|digests| digests.check(manifest.named[at].1, work))
                .map_err(|error| ManifestError::Section(shown(name), Box::new(error)))?;
        }
        Ok(())
    }
}

/// Sections with the empty lines that end them.
fn sections(mut rest: &[u8]) -> Result<Vec<&[u8]>, ManifestError> {
    let mut sections = Vec::new();
    // Line ends of the second kind do not count while the text has one of the first kind.
    let mut ends = [&b"\r\n\r\n"[..], &b"\n\n"[..]].into_iter();
    let mut end = ends.next();
    while !rest.is_empty() {
        let Some(pattern) = end else {
            return Err(ManifestError::LineEndings);
        };
        let Some(at) = rest
            .windows(pattern.len())
            .position(|window| window == pattern)
        else {
            end = ends.next();
            continue;
        };
        let (section, after) = rest.split_at(at + pattern.len());
        if section.trim_ascii().is_empty() {
            return Err(ManifestError::LineEndings);
        }
        sections.push(section);
        rest = after;
    }
    Ok(sections)
}

/// The attributes of a section by their names in lower case; of equal names the last one counts.
pub(super) struct Attributes(BTreeMap<String, Vec<u8>>);

impl Attributes {
    pub(super) fn parse(section: &[u8]) -> Result<Self, ManifestError> {
        let mut unfolded: Vec<u8> = Vec::with_capacity(section.len());
        for line in section.split_inclusive(|byte| *byte == b'\n') {
            let line = line
                .strip_suffix(b"\r\n")
                .or(line.strip_suffix(b"\n"))
                .unwrap_or(line);
            match line.strip_prefix(b" ") {
                // A line that begins with a blank continues the one before.
                Some(continued) if !unfolded.is_empty() => {
                    unfolded.pop();
                    unfolded.extend_from_slice(continued);
                }
                _ => unfolded.extend_from_slice(line),
            }
            unfolded.push(b'\n');
        }
        let mut attributes = BTreeMap::new();
        for line in unfolded
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let colon = line
                .iter()
                .position(|byte| *byte == b':')
                .ok_or(ManifestError::Malformed)?;
            let name = String::from_utf8_lossy(line[..colon].trim_ascii()).to_ascii_lowercase();
            attributes.insert(name, line[colon + 1..].trim_ascii().to_vec());
            if attributes.len() > MAX_ATTRIBUTES {
                return Err(ManifestError::TooMany);
            }
        }
        Ok(Self(attributes))
    }

    /// Returns the value of a name, which is given in lower case. None if it is absent.
    pub(super) fn get(&self, name: &str) -> &[u8] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The digests that a section claims for something.
pub(super) struct Digests(Vec<Claim>);

/// All that is claimed by one hash function.
struct Claim {
    algorithm: &'static Algorithm,
    /// Names of attributes and their values.
    values: Vec<(String, Vec<u8>)>,
}

impl Digests {
    /// The claims of all attributes whose name ends so. MD5 counts for nothing; beside another
    /// digest it does no harm.
    pub(super) fn of(attributes: &Attributes, suffix: &str) -> Result<Self, ManifestError> {
        let mut claims: Vec<Claim> = Vec::new();
        let mut has_md5 = false;
        for (name, value) in &attributes.0 {
            let Some(hash) = name.strip_suffix(suffix) else {
                continue;
            };
            let algorithm = match hash.replacen('-', "", 1).as_str() {
                "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
                "sha224" => &digest::SHA224,
                "sha256" => &digest::SHA256,
                "sha384" => &digest::SHA384,
                "sha512" => &digest::SHA512,
                "md5" => {
                    has_md5 = true;
                    continue;
                }
                _ => {
                    return Err(ManifestError::UnknownDigest(shown(
                        hash.to_ascii_uppercase().as_bytes(),
                    )));
                }
            };
            let value = (name.clone(), value.clone());
            match claims.iter_mut().find(|claim| claim.algorithm == algorithm) {
                Some(claim) => claim.values.push(value),
                None => claims.push(Claim {
                    algorithm,
                    values: vec![value],
                }),
            }
        }
        match (claims.is_empty(), has_md5) {
            (false, _) => Ok(Self(claims)),
            (true, true) => Err(ManifestError::OnlyMd5),
            (true, false) => Err(ManifestError::NoDigests),
        }
    }

    /// How many hash functions there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Contexts of these hash functions.
    pub(super) fn contexts(&self) -> Vec<Context> {
        self.0
            .iter()
            .map(|claim| Context::new(claim.algorithm))
            .collect()
    }

    /// Checks the claims against what these contexts hashed.
    pub(super) fn finish(&self, contexts: Vec<Context>) -> Result<(), ManifestError> {
        for (claim, context) in self.0.iter().zip(contexts) {
            let calculated = STANDARD.encode(context.finish());
            if let Some((name, claimed)) = claim
                .values
                .iter()
                .find(|(_, value)| *value != calculated.as_bytes())
            {
                let (name, claimed) = (shown(name.as_bytes()), shown(claimed));
                return Err(ManifestError::Mismatch {
                    name,
                    claimed,
                    calculated,
                });
            }
        }
        Ok(())
    }

    fn check(&self, contents: &[u8], work: &mut Work) -> Result<(), ManifestError> {
        work.take_hashing_by(contents.len() as u64, self.len())?;
        let mut contexts = self.contexts();
        contexts
            .iter_mut()
            .for_each(|context| context.update(contents));
        self.finish(contexts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_end_with_empty_lines() {
        let lengths = |text: &'static str| {
            sections(text.as_bytes()).map(|sections| {
                sections
                    .iter()
                    .map(|section| section.len())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(lengths("A: b\r\n\r\nName: c\r\n\r\n"), Ok(vec![8, 11]));
        assert_eq!(lengths("A: b\n\nName: c\n\n"), Ok(vec![6, 9]));
        assert_eq!(
            lengths("A: b\n\nB: c\r\n\r\nName: d\n\n"),
            Ok(vec![14, 9]),
            "the first kind of end goes first"
        );
        assert_eq!(lengths(""), Ok(vec![]));
        for text in ["A: b\r\n", "A: b", "A: b\n\n\n\n", "A: b\r\n\r\nB: c\r\n"] {
            assert_eq!(lengths(text), Err(ManifestError::LineEndings), "{text:?}");
        }
    }

    #[test]
    fn attributes_are_unfolded() {
        let attributes =
            Attributes::parse(b"Name: a\r\n b\r\n  c\r\nX:y\nNAME2 : z\nx: w\n").unwrap();
        assert_eq!(attributes.get("name"), b"ab c");
        assert_eq!(attributes.get("x"), b"w");
        assert_eq!(attributes.get("name2"), b"z");
        assert_eq!(attributes.get("y"), b"");
        assert!(Attributes::parse(b"no colon\n").is_err());
    }

    #[test]
    fn digests_by_name() {
        let digests =
            |text: &str| Digests::of(&Attributes::parse(text.as_bytes()).unwrap(), "-digest");
        let hash = STANDARD.encode(digest::digest(&digest::SHA256, b"x"));
        assert_eq!(
            digests(&format!("SHA-256-Digest: {hash}\nSha256-Digest: {hash}\n"))
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            digests(&format!("SHA-256-Digest: {hash}\nMD5-Digest: x\n"))
                .unwrap()
                .check(b"x", &mut Work::of_request(0)),
            Ok(())
        );
        let error = digests(&format!("SHA-256-Digest: {hash}\n"))
            .unwrap()
            .check(b"y", &mut Work::of_request(0))
            .unwrap_err();
        assert!(error.to_string().starts_with(&format!(
            "sha-256-digest mismatch: manifest {hash} != calculated "
        )));
        assert_eq!(
            digests("MD5-Digest: x\n").err(),
            Some(ManifestError::OnlyMd5)
        );
        assert_eq!(digests("A: b\n").err(), Some(ManifestError::NoDigests));
        assert_eq!(
            digests("Foo-Digest: b\n").err(),
            Some(ManifestError::UnknownDigest("FOO".to_owned()))
        );
    }
}
