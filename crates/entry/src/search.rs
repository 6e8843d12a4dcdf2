//! The key texts by which entries are found: Rekor's, and others that only this log has.
//!
//! Rekor's own key texts stay as Rekor writes them. The others have the form `<attribute>=<value>`
//! and are made only here: for certificates and kinds when an entry is added, and by
//! [`Attribute::key_texts`] when one is searched for. Like all key texts they are lower-cased on
//! both sides. A key says what an entry claims; nothing but its signature is checked.
//!
//! Rekor takes names and algorithms for keys as a client writes them. One that has the form of this
//! log's own keys is left out, or it would claim what the entry does not ([`is_reserved`]).

use pki::x509::{self, Claims};
use pki::{Key, TooCostly, Work, minisign, pgp, ssh, tuf};

use crate::index_keys::lower_case_text;
use crate::packages::Purl;
use crate::refusal::Refusal;

/// Key formats that `index/retrieve` takes.
pub const KEY_FORMATS: [&str; 5] = ["pgp", "x509", "minisign", "ssh", "tuf"];

/// Longest value that is indexed: one that fills half of the longest request line of the server. A
/// longer one could not be asked for.
pub(crate) const MAX_VALUE_BYTES: usize = 2 * 1024;

/// An attribute by which entries are found, beyond Rekor's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The issuer of the token behind a Fulcio certificate: `https://accounts.google.com`.
    Issuer,
    /// The source repository of a Fulcio certificate: `github.com/org/repo`.
    Repository,
    /// A build's workflow in a Fulcio certificate: its file without the ref,
    /// `github.com/org/repo/.github/workflows/release.yml`, and its name.
    Workflow,
    /// The source commit of a Fulcio certificate.
    Commit,
    /// The name of a subject of an in-toto statement that is not a package URL.
    Subject,
    /// A package that is a subject of an in-toto statement, as a package URL in one spelling: once
    /// as exactly as the statement names it, once in its version, once without,
    /// `pkg:deb/debian/a@1.0?arch=i386`, `pkg:deb/debian/a@1.0` and `pkg:deb/debian/a`.
    Purl,
    /// The package URL of a package whose digest differs from that of an earlier entry. The ledger
    /// adds the key when it appends such an entry.
    Contradicts,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Issuer,
        Self::Repository,
        Self::Workflow,
        Self::Commit,
        Self::Subject,
        Self::Purl,
        Self::Contradicts,
    ];

    /// The name of the query parameter, and of the key texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Repository => "repository",
            Self::Workflow => "workflow",
            Self::Commit => "commit",
            Self::Subject => "subject",
            Self::Purl => "purl",
            Self::Contradicts => "contradicts",
        }
    }

    /// Returns the key texts of which an entry with this value has one. `subject` includes Rekor's
    /// own, which are names as they stand in a certificate or a key.
    ///
    /// # Errors
    ///
    /// The value cannot be one of this attribute. The text says why, for a person.
    pub fn key_texts(self, value: &str) -> Result<Vec<String>, &'static str> {
        match self {
            Self::Subject => Ok([value.to_owned()]
                .into_iter()
                .chain(name_keys(value).into_iter().take(1))
                .collect()),
            Self::Purl | Self::Contradicts => match Purl::parse(value) {
                Some(purl) => Ok(vec![self.key(&purl.exact())]),
                None => Err("a package URL begins with pkg:"),
            },
            Self::Repository => {
                let repository = without_scheme(value);
                let short = repository.split('/').count() == 2;
                let names = [repository.to_owned()].into_iter();
                // Old certificates of GitHub's workflows name `org/repo` only, and so do people.
                Ok(names
                    .chain(short.then(|| format!("github.com/{repository}")))
                    .map(|name| self.key(&name))
                    .collect())
            }
            Self::Workflow if value.contains("@refs/") => Err(
                "a workflow is searched without its ref; subject takes the whole identity, commit the exact source",
            ),
            Self::Workflow => Ok(vec![self.key(without_scheme(value))]),
            Self::Issuer | Self::Commit => Ok(vec![self.key(value)]),
        }
    }

    fn key(self, value: &str) -> String {
        format!("{}={value}", self.name())
    }
}

/// `hex(sha256(canonical key))`, the search key of a public key.
///
/// # Errors
///
/// The key does not parse, or the format is not one of [`KEY_FORMATS`].
pub fn key_search_key(format: &str, key: &[u8]) -> Result<String, Refusal> {
    match format {
        "pgp" => search_key::<pgp::Key>(key),
        "minisign" => search_key::<minisign::Key>(key),
        "ssh" => search_key::<ssh::Key>(key),
        "tuf" => search_key::<tuf::Root>(key),
        "x509" => search_key::<x509::Key>(key),
        _ => Err(Refusal::Invalid(
            "the PKI format requested is not supported by this server".to_owned(),
        )),
    }
}

fn search_key<K: Key>(key: &[u8]) -> Result<String, Refusal> {
    let mut work = Work::of_request(key.len());
    let parsed = K::parse(key, &mut work);
    if work.is_exhausted() {
        return Err(Refusal::invalid(TooCostly));
    }
    parsed
        .map(|key| key_hash(&key))
        .map_err(|_| Refusal::Invalid("public key provided could not be parsed".to_owned()))
}

/// Returns `hex(sha256(canonical key))`, by which Rekor finds the entries of a key.
pub(crate) fn key_hash(key: &impl Key) -> String {
    hex::encode(tlog::sha256(key.canonical()).0)
}

/// Returns the key texts of the names in a key, and of the claims where it is a certificate.
pub(crate) fn key_names(key: &impl Key) -> Vec<String> {
    let mut names = raw_keys(key.subjects());
    names.extend(key.claims().map(claim_keys).unwrap_or_default());
    names
}

/// Returns those of the names in a key or certificate that are key texts as they stand.
pub(crate) fn raw_keys(names: &[String]) -> Vec<String> {
    let names = names.iter().filter(|name| !is_reserved(name));
    names.cloned().collect()
}

/// Returns whether a text becomes, in lower case, one of the form that only this log's own keys
/// have: `<attribute>=…`. A text that a client writes must not be a key then.
pub(crate) fn is_reserved(text: &str) -> bool {
    let Some((name, _)) = text.split_once('=') else {
        return false;
    };
    let name = lower_case_text(name);
    Attribute::ALL
        .iter()
        .any(|attribute| attribute.name() == name)
}

/// Returns the keys of the name of a subject in an in-toto statement, the most exact one first.
pub(crate) fn name_keys(name: &str) -> Vec<String> {
    if name.is_empty() || name.len() > MAX_VALUE_BYTES {
        return Vec::new();
    }
    match Purl::parse(name) {
        Some(purl) => package_keys(&purl),
        None => vec![Attribute::Subject.key(name)],
    }
}

/// Returns the keys of a package, the most exact one first: all of them, or none if that one would
/// be too long.
pub(crate) fn package_keys(purl: &Purl) -> Vec<String> {
    if !is_indexed(purl) {
        return Vec::new();
    }
    let mut texts = vec![purl.exact()];
    texts.extend(purl.in_version());
    texts.push(purl.package().to_owned());
    texts.dedup();
    texts.iter().map(|text| Attribute::Purl.key(text)).collect()
}

/// Returns whether a package has keys. The form of its keys may be longer than what a client wrote.
pub(crate) fn is_indexed(purl: &Purl) -> bool {
    purl.exact().len() <= MAX_VALUE_BYTES
}

/// Returns the keys of a Fulcio certificate's claims.
pub(crate) fn claim_keys(claims: &Claims) -> Vec<String> {
    let file = |uri: &Option<String>| {
        let uri = without_scheme(uri.as_deref()?);
        Some(
            uri.rsplit_once('@')
                .map_or(uri, |(file, _)| file)
                .to_owned(),
        )
    };
    let [run, of_job] = claims.workflow_files.each_ref().map(file);
    let of_job = of_job.filter(|of_job| run.as_ref() != Some(of_job));
    let values = [
        (Attribute::Issuer, claims.issuer.clone()),
        (
            Attribute::Repository,
            claims
                .repository
                .as_deref()
                .map(|uri| without_scheme(uri).to_owned()),
        ),
        (Attribute::Commit, claims.commit.clone()),
        (Attribute::Workflow, claims.workflow_name.clone()),
        (Attribute::Workflow, run),
        (Attribute::Workflow, of_job),
    ];
    values
        .into_iter()
        .filter_map(|(attribute, value)| {
            Some((attribute, value.filter(|value| !value.is_empty())?))
        })
        .filter(|(_, value)| value.len() <= MAX_VALUE_BYTES)
        .map(|(attribute, value)| attribute.key(&value))
        .collect()
}

fn without_scheme(uri: &str) -> &str {
    uri.strip_prefix("https://")
        .unwrap_or(uri)
        .trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_keyed_with_and_without_version() {
        for (name, keys) in [
            (
                "pkg:npm/%40scope/name@1.0.0",
                vec!["purl=pkg:npm/@scope/name@1.0.0", "purl=pkg:npm/@scope/name"],
            ),
            (
                "pkg:deb/debian/a@1?arch=i386&x=y#c",
                vec![
                    "purl=pkg:deb/debian/a@1?arch=i386",
                    "purl=pkg:deb/debian/a@1",
                    "purl=pkg:deb/debian/a",
                ],
            ),
            ("pkg:pypi/x", vec!["purl=pkg:pypi/x"]),
            ("pkg:x", vec!["subject=pkg:x"]),
            ("dist/a.tar.gz", vec!["subject=dist/a.tar.gz"]),
            ("", vec![]),
        ] {
            assert_eq!(name_keys(name), keys, "{name}");
        }
        assert!(name_keys(&"x".repeat(MAX_VALUE_BYTES + 1)).is_empty());
    }

    #[test]
    fn names_in_keys_do_not_forge_the_keys_of_this_log() {
        for attribute in Attribute::ALL {
            let name = attribute.name();
            for forged in [
                format!("{name}=pkg:npm/victim@1.0.0"),
                format!("{}=", name.to_uppercase()),
            ] {
                assert!(is_reserved(&forged), "{forged}");
                let names = [forged, format!("{name}@example.com")];
                assert_eq!(raw_keys(&names), names[1..]);
            }
        }
        // The Kelvin sign becomes a k, U+0130 an i.
        assert!(is_reserved("wor\u{212a}flow=x") && is_reserved("comm\u{130}t=x"));
        for other in [
            "",
            "=",
            "purl",
            "purl:x=y",
            " purl=x",
            "https://example.com/?purl=pkg:npm/a@1",
            "sha256:00",
        ] {
            assert!(!is_reserved(other), "{other}");
        }
    }

    #[test]
    fn searches_use_the_key_texts_that_are_stored() {
        let texts = |attribute: Attribute, value| attribute.key_texts(value).unwrap();
        assert_eq!(
            texts(Attribute::Subject, "a.tgz"),
            ["a.tgz", "subject=a.tgz"]
        );
        assert_eq!(
            texts(Attribute::Subject, "pkg:npm/a@1"),
            ["pkg:npm/a@1", "purl=pkg:npm/a@1"]
        );
        assert_eq!(
            texts(Attribute::Purl, "pkg:npm/%40a/b@1?x"),
            ["purl=pkg:npm/@a/b@1"]
        );
        assert_eq!(texts(Attribute::Purl, "pkg:npm/a"), ["purl=pkg:npm/a"]);
        assert!(Attribute::Purl.key_texts("npm/a").is_err());
        assert_eq!(
            texts(Attribute::Repository, "https://gitlab.com/a/b/"),
            ["repository=gitlab.com/a/b"]
        );
        assert_eq!(
            texts(Attribute::Repository, "a/b"),
            ["repository=a/b", "repository=github.com/a/b"]
        );
        let file = "https://github.com/a/b/.github/workflows/c.yml";
        assert_eq!(
            texts(Attribute::Workflow, file),
            ["workflow=github.com/a/b/.github/workflows/c.yml"]
        );
        assert!(
            Attribute::Workflow
                .key_texts("https://github.com/a/b/c.yml@refs/heads/main")
                .is_err()
        );
        assert_eq!(texts(Attribute::Commit, "AB"), ["commit=AB"]);
    }

    #[test]
    fn a_signers_claims_are_keyed_once_each() {
        let uri = |name: &str| {
            Some(format!(
                "https://github.com/a/b/.github/workflows/{name}@refs/heads/main"
            ))
        };
        let mut claims = Claims {
            issuer: Some("https://token.actions.githubusercontent.com".to_owned()),
            repository: Some("https://github.com/a/b".to_owned()),
            commit: Some("c0ffee".to_owned()),
            workflow_name: Some(String::new()),
            workflow_files: [uri("x.yml"), uri("x.yml")],
        };
        let keys = [
            "issuer=https://token.actions.githubusercontent.com",
            "repository=github.com/a/b",
            "commit=c0ffee",
            "workflow=github.com/a/b/.github/workflows/x.yml",
        ];
        assert_eq!(claim_keys(&claims), keys);
        claims.workflow_files = [uri("x.yml"), uri("y.yml")];
        assert_eq!(
            claim_keys(&claims)[4..],
            ["workflow=github.com/a/b/.github/workflows/y.yml"]
        );
        assert!(claim_keys(&Claims::default()).is_empty());
    }
}
