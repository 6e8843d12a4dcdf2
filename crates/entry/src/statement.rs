//! Index keys that follow from an in-toto statement: digests and names of its subjects, digests of
//! what went into them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::index_keys::{MAX_INDEX_KEYS, lower_case, too_many_index_keys};
use crate::package::Package;
use crate::packages::{Naming, Purl};
use crate::refusal::Refusal;
use crate::search;
use pki::go_json::{self, Error, Value};

/// The type of a payload that is a statement.
pub(crate) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The digests of a statement that become index keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digests {
    /// The digests of its subjects.
    Subjects,
    /// The digests of its subjects and of the materials of SLSA provenance up to 0.2. A list that
    /// is partly malformed gives no digests, as for the kind `intoto` in Rekor.
    SubjectsAndMaterials,
    /// The same digests, but a list that is partly malformed gives those that can be read, as for
    /// the kind `dsse` in Rekor since v1.6.
    Readable,
}

impl Digests {
    fn include_materials(self) -> bool {
        self != Self::Subjects
    }

    fn pass_over_faults(self) -> bool {
        self == Self::Readable
    }

    /// Returns the values that are read: all of them, or only those that begin with `first` if
    /// faults are skipped.
    fn read<'a>(self, value: &Value<'a>, first: char) -> Value<'a> {
        match self.pass_over_faults() {
            true => value.beginning_with(first),
            false => value.clone(),
        }
    }
}

/// Returns `<algorithm>:<digest>` for each digest, as written, and the keys of the subjects' names.
/// A digest that has the form of the latter is left out. A payload that is not a statement has no
/// keys, as in Rekor. Repeated members are merged as Go merges them, so that an entry is found by
/// all that any client written in Go reads.
pub(crate) fn index_keys(payload: &[u8], digests: Digests) -> Result<Vec<String>, Refusal> {
    read(payload, digests).map(|statement| statement.index_keys)
}

/// The parts of a statement that the log knows.
#[derive(Default)]
pub(crate) struct Statement {
    /// See [`index_keys`].
    pub(crate) index_keys: Vec<String>,
    /// The subjects that are packages.
    pub(crate) packages: Vec<Package>,
}

/// Reads a statement.
pub(crate) fn read(payload: &[u8], digests: Digests) -> Result<Statement, Refusal> {
    let payload = String::from_utf8_lossy(payload);
    let mut found = Statement::default();
    let names = ["subject", "predicate", "predicateType"];
    let [subjects, predicate, predicate_type] = match go_json::members(&payload, names) {
        Ok(members) => members,
        Err(Error::Json(_)) => return Ok(found),
        Err(repeated @ Error::Repeated) => return Err(repeated.into()),
    };
    let naming = predicate_type
        .text()
        .map_or(Naming::Free, |name| Naming::of(&name));
    if !collect(&subjects, Names::Of(naming), digests, &mut found)? {
        return Ok(Statement::default());
    }
    if digests.include_materials() {
        let before = found.index_keys.len();
        // Some of Go's clients read it into a pointer, which a null empties; others into a struct,
        // which stays as it is.
        let is_whole = match digests.read(&predicate, '{').members(["materials"]) {
            Ok([materials]) => collect(&materials, Names::Left, digests, &mut found)?,
            Err(Error::Json(_)) => false,
            Err(repeated @ Error::Repeated) => return Err(repeated.into()),
        };
        if !is_whole {
            found.index_keys.truncate(before);
        }
    }
    Ok(found)
}

/// Whether the names in a list become keys. Only those of subjects do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Of(Naming),
    Left,
}

/// Why reading a list ends early.
enum Stop {
    /// It does not have the form that Rekor expects, and is ignored.
    Malformed,
    Refused(Refusal),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Json(_) => Self::Malformed,
            Error::Repeated => Self::Refused(error.into()),
        }
    }
}

/// Adds the digests of a list of `{"digest":{algorithm: digest}}`. Returns false if the list has
/// another form, unless faults are skipped.
fn collect(
    list: &Value<'_>,
    names: Names,
    digests: Digests,
    found: &mut Statement,
) -> Result<bool, Refusal> {
    let outcome = digests.read(list, '[').each_element(|item| {
        collect_item(&item, names, digests, found)?;
        if found.index_keys.len() > MAX_INDEX_KEYS {
            Err(Stop::Refused(too_many_index_keys()))
        } else {
            Ok(())
        }
    });
    match outcome {
        Ok(()) => Ok(true),
        Err(Stop::Malformed) => Ok(false),
        Err(Stop::Refused(refusal)) => Err(refusal),
    }
}

/// Adds the digests of one element, the keys of its name, and the packages that it names.
fn collect_item(
    item: &Value<'_>,
    names: Names,
    digests: Digests,
    found: &mut Statement,
) -> Result<(), Stop> {
    let members = ["name", "uri", "digest"];
    let [name, uri, digest] = digests.read(item, '{').members(members)?;
    let digests = digest_texts(&digest, digests)?;
    found.index_keys.extend(digests.iter().cloned());
    let Names::Of(naming) = names else {
        return Ok(());
    };
    // Not among Rekor's keys, so that a name of the wrong type does no harm.
    let name = name.text().unwrap_or_default();
    let uri = uri.text().unwrap_or_default();
    let sha256 = digests
        .iter()
        .find_map(|digest| digest.strip_prefix("sha256:"));
    let mut keys = search::name_keys(&name);
    let named = packages(&name, &uri, naming, sha256);
    if !named.is_empty() {
        let digests = lower_case(digests.clone());
        found.packages.extend(named.iter().map(|purl| Package {
            purl: purl.exact(),
            digests: digests.clone(),
        }));
    }
    keys.extend(named.iter().flat_map(search::package_keys));
    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(key.clone()));
    found.index_keys.extend(keys);
    Ok(())
}

/// Returns `<algorithm>:<digest>` for each member of a digest, as written, but none that has the
/// form of this log's own keys. Of a repeated name the last one counts.
fn digest_texts(digest: &Value<'_>, digests: Digests) -> Result<Vec<String>, Stop> {
    let mut found: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    // A map, because a name may be repeated as often as the payload has room for.
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
    digests.read(digest, '{').each_member(|algorithm, value| {
        let value = match Value::of(value).text() {
            Ok(value) => value,
            // A value that is not a text leaves the digest empty, as in Go.
            Err(_) if digests.pass_over_faults() => Cow::Borrowed(""),
            Err(error) => return Err(Stop::from(error)),
        };
        match places.get(&algorithm) {
            Some(at) => found[*at].1 = value,
            None if found.len() == MAX_INDEX_KEYS => {
                return Err(Stop::Refused(too_many_index_keys()));
            }
            None => {
                places.insert(algorithm.clone(), found.len());
                found.push((algorithm, value));
            }
        }
        Ok(())
    })?;
    let texts = found
        .into_iter()
        .map(|(algorithm, value)| format!("{algorithm}:{value}"))
        .filter(|text| !search::is_reserved(text));
    Ok(texts.collect())
}

/// Returns the packages that a subject names: in its name, and in its URI if that is a package URL.
/// Each has index keys, so that their limit is one of packages, too.
pub(crate) fn packages(name: &str, uri: &str, naming: Naming, sha256: Option<&str>) -> Vec<Purl> {
    let is_short = |text: &&str| text.len() <= search::MAX_VALUE_BYTES;
    let named = Some(name).filter(is_short);
    let named = named.and_then(|name| naming.package_of(name, sha256));
    let located = Some(uri).filter(is_short).and_then(Purl::parse);
    let packages = named.into_iter().chain(located);
    packages.filter(search::is_indexed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(payload: &str) -> Vec<String> {
        index_keys(payload.as_bytes(), Digests::SubjectsAndMaterials).unwrap()
    }

    #[test]
    fn digests_of_subjects_and_materials() {
        let statement = r#"{"Subject":[{"name":"a","digest":{"sha256":"AB","sha1":"c","sha256":"d"}},{},null,{"digest":null}],
            "predicate":{"materials":[{"uri":"u","digest":{"gitCommit":"e"}}],"builder":7}}"#;
        assert_eq!(
            keys(statement),
            ["sha256:d", "sha1:c", "subject=a", "gitCommit:e"]
        );
        assert_eq!(
            index_keys(statement.as_bytes(), Digests::Subjects).unwrap(),
            ["sha256:d", "sha1:c", "subject=a"]
        );
        assert_eq!(
            keys(r#"{"subject":[{"digest":{"a":"b"}}],"predicate":[]}"#),
            ["a:b"]
        );
        assert_eq!(
            keys(
                r#"{"subject":[{"digest":{"a":"b"}}],"predicate":{"materials":[{"digest":{"c":"d"}},7]}}"#
            ),
            ["a:b"]
        );
    }

    #[test]
    fn of_a_statement_that_is_partly_wrong_dsse_keeps_what_can_be_read() {
        let of_dsse = |payload: &str| index_keys(payload.as_bytes(), Digests::Readable).unwrap();
        let good = r#"{"name":"n","digest":{"a":"b"}}"#;
        for (statement, by_intoto, by_dsse) in [
            (
                format!(r#"{{"subject":[{good},7,{{"digest":5}}]}}"#),
                vec![],
                vec!["a:b", "subject=n"],
            ),
            (
                r#"{"subject":[{"digest":{"a":7,"b":"c"}}]}"#.to_owned(),
                vec![],
                vec!["a:", "b:c"],
            ),
            (
                format!(r#"{{"subject":7,"predicate":{{"materials":[7,{good}]}}}}"#),
                vec![],
                vec!["a:b"],
            ),
            (
                format!(
                    r#"{{"subject":[{good}],"predicate":{{"materials":[{{"digest":{{"c":[]}}}}]}}}}"#
                ),
                vec!["a:b", "subject=n"],
                vec!["a:b", "subject=n", "c:"],
            ),
            (
                format!(r#"{{"subject":[{good}],"predicate":"x"}}"#),
                vec!["a:b", "subject=n"],
                vec!["a:b", "subject=n"],
            ),
            (format!(r#"{{"subject":[{good}]}} x"#), vec![], vec![]),
        ] {
            assert_eq!(
                (keys(&statement), of_dsse(&statement)),
                (
                    by_intoto.into_iter().map(str::to_owned).collect(),
                    by_dsse.into_iter().map(str::to_owned).collect(),
                ),
                "{statement}"
            );
        }
    }

    #[test]
    fn other_payloads_than_statements_have_no_keys() {
        for payload in [
            "",
            "text",
            "[]",
            "null",
            "{}",
            r#"{"subject":{}}"#,
            r#"{"subject":[{"digest":{"a":"b"}},{"digest":{"a":7}}]}"#,
        ] {
            assert!(keys(payload).is_empty(), "{payload}");
        }
    }

    #[test]
    fn repeated_members_are_merged_and_null_empties_them() {
        for (payload, expected) in [
            (
                r#"{"subject":[{"digest":{"a":"1"}}],"subject":[{"digest":{"b":"2"}}]}"#,
                vec!["a:1", "b:2"],
            ),
            (
                r#"{"subject":[{"digest":{"a":"1"},"digest":{"b":"2"}}]}"#,
                vec!["a:1", "b:2"],
            ),
            (
                r#"{"subject":[{"digest":{"a":"1"},"digest":{"a":"2"}}]}"#,
                vec!["a:2"],
            ),
            (
                r#"{"subject":[{"digest":{"a":"1"}}],"Subject":null}"#,
                vec![],
            ),
            (
                r#"{"subject":[{"digest":{"a":"1"},"digest":null}]}"#,
                vec![],
            ),
            (r#"{"subject":[{"digest":{"a":"1"}},null]}"#, vec!["a:1"]),
            (
                r#"{"predicate":{"materials":[{"digest":{"a":"1"}}]},"predicate":{}}"#,
                vec!["a:1"],
            ),
            (
                r#"{"predicate":{"materials":[{"digest":{"a":"1"}}]},"predicate":null}"#,
                vec!["a:1"],
            ),
            (
                r#"{"predicate":{"materials":[{"digest":{"a":"1"}}],"materials":[{"digest":{"b":"2"}}]}}"#,
                vec!["a:1", "b:2"],
            ),
        ] {
            assert_eq!(keys(payload), expected, "{payload}");
        }
    }

    /// A signer could hide a subject behind a fault.
    #[test]
    fn faults_between_what_is_repeated_are_passed_over_for_dsse() {
        let one = r#"{"digest":{"a":"1"}}"#;
        for (payload, expected) in [
            (format!(r#"{{"subject":[{one}],"subject":7}}"#), vec!["a:1"]),
            (
                format!(r#"{{"subject":[{one}],"subject":[7]}}"#),
                vec!["a:1"],
            ),
            (
                format!(
                    r#"{{"subject":[{one}],"subject":7,"subject":[{{"digest":{{"b":"2"}}}}]}}"#
                ),
                vec!["a:1", "b:2"],
            ),
            (
                r#"{"subject":[{"digest":{"a":"1"},"digest":7,"digest":{"b":"2"}}]}"#.to_owned(),
                vec!["a:1", "b:2"],
            ),
            (
                format!(r#"{{"predicate":{{"materials":[{one}]}},"predicate":7}}"#),
                vec!["a:1"],
            ),
        ] {
            assert_eq!(
                index_keys(payload.as_bytes(), Digests::Readable).unwrap(),
                expected,
                "{payload}"
            );
        }
    }

    #[test]
    fn packages_are_keyed_by_what_the_statement_says() {
        let digest = "0f".repeat(32);
        let statement = |predicate_type: &str, name: &str| {
            format!(
                r#"{{"predicateType":"{predicate_type}","subject":[{{"name":"{name}","digest":{{"sha256":"{digest}"}}}}]}}"#
            )
        };
        let pypi = "https://docs.pypi.org/attestations/publish/v1";
        for (statement, expected) in [
            (
                statement(pypi, "A.b-1.0.tar.gz"),
                vec![
                    "subject=A.b-1.0.tar.gz".to_owned(),
                    "purl=pkg:pypi/a-b@1.0?file_name=a_b-1.0.tar.gz".to_owned(),
                    "purl=pkg:pypi/a-b@1.0".to_owned(),
                    "purl=pkg:pypi/a-b".to_owned(),
                ],
            ),
            (
                statement("x", "a-1.0.tar.gz"),
                vec!["subject=a-1.0.tar.gz".to_owned()],
            ),
            (
                statement("x", "ghcr.io/org/app"),
                vec![
                    "subject=ghcr.io/org/app".to_owned(),
                    format!("purl=pkg:oci/app@sha256:{digest}"),
                    "purl=pkg:oci/app".to_owned(),
                ],
            ),
        ] {
            let keys = keys(&statement);
            assert_eq!(keys[0], format!("sha256:{digest}"));
            assert_eq!(keys[1..], expected, "{statement}");
        }
        // As GitHub attests to a release.
        let release = r#"{"predicateType":"https://in-toto.io/attestation/release/v0.1","subject":[
            {"uri":"pkg:github/Org/repo@v1","digest":{"sha1":"1"}},
            {"name":"pkg:github/org/repo@v1","uri":7,"digest":{"sha256":"2"}}]}"#;
        let packages = ["purl=pkg:github/org/repo@v1", "purl=pkg:github/org/repo"];
        assert_eq!(
            keys(release),
            [
                "sha1:1",
                packages[0],
                packages[1],
                "sha256:2",
                packages[0],
                packages[1]
            ]
        );
    }

    #[test]
    fn algorithms_do_not_forge_the_keys_of_this_log() {
        for attribute in search::Attribute::ALL {
            for name in [attribute.name().to_owned(), attribute.name().to_uppercase()] {
                let digests = format!(
                    r#"{{"sha256":"aa","{name}=pkg":"npm/victim@1.0.0","{name}":"=pkg:npm/a"}}"#
                );
                let statement = format!(
                    r#"{{"subject":[{{"name":"pkg:npm/a@1","digest":{digests}}}],
                    "predicate":{{"materials":[{{"digest":{digests}}}]}}}}"#
                );
                let expected = [
                    "sha256:aa".to_owned(),
                    format!("{name}:=pkg:npm/a"),
                    "purl=pkg:npm/a@1".to_owned(),
                    "purl=pkg:npm/a".to_owned(),
                    "sha256:aa".to_owned(),
                    format!("{name}:=pkg:npm/a"),
                ];
                for digests in [Digests::SubjectsAndMaterials, Digests::Readable] {
                    let found = read(statement.as_bytes(), digests).unwrap();
                    assert_eq!(found.index_keys, expected);
                    assert_eq!(found.packages.len(), 1);
                    assert_eq!(
                        found.packages[0].digests,
                        lower_case(expected[..2].to_vec())
                    );
                }
            }
        }
    }

    /// Claims are kept for packages, and only index keys limit them.
    #[test]
    fn a_package_whose_keys_would_be_too_long_is_none() {
        let at_signs = "@".repeat(700);
        let statement = format!(
            r#"{{"subject":[{{"name":"pkg:a/x0001{at_signs}1","uri":"pkg:a/x0002{at_signs}1"}}]}}"#
        );
        let found = read(statement.as_bytes(), Digests::Readable).unwrap();
        assert!(found.index_keys.is_empty() && found.packages.is_empty());
        // The keys without its architecture would be short enough.
        let marks = "?".repeat(700);
        let statement = format!(r#"{{"subject":[{{"name":"pkg:deb/debian/a@1?arch={marks}"}}]}}"#);
        let found = read(statement.as_bytes(), Digests::Readable).unwrap();
        assert!(found.index_keys.is_empty() && found.packages.is_empty());
    }

    /// A signer could hide subjects behind it.
    #[test]
    fn endless_repetition_is_refused() {
        let subject = r#""subject":[{"digest":{"a":"1"}}]"#;
        let statement = format!("{{{}}}", vec![subject; 100].join(","));
        assert!(index_keys(statement.as_bytes(), Digests::Subjects).is_err());
    }

    /// Names that are repeated once more for each of the others would take a minute.
    #[test]
    fn a_name_may_be_repeated() {
        let names: Vec<String> = (0..MAX_INDEX_KEYS)
            .map(|n| format!("\"{n}\":\"\""))
            .collect();
        let last = format!(",\"{}\":\"x\"", MAX_INDEX_KEYS - 1).repeat(300_000);
        let statement = format!(
            "{{\"subject\":[{{\"digest\":{{{}{last}}}}}]}}",
            names.join(",")
        );
        let keys = index_keys(statement.as_bytes(), Digests::Subjects).unwrap();
        assert_eq!(
            (keys.len(), keys.last()),
            (MAX_INDEX_KEYS, Some(&format!("{}:x", MAX_INDEX_KEYS - 1)))
        );
    }

    /// As many subjects as a GitHub attestation may have.
    #[test]
    fn a_thousand_subjects_with_three_digests_are_taken() {
        let subject = |n| {
            format!(
                r#"{{"name":"pkg:npm/a@{n}","digest":{{"sha1":"{n}","sha256":"{n}","sha512":"{n}"}}}}"#
            )
        };
        let subjects: Vec<String> = (0..1_024).map(subject).collect();
        let statement = format!(r#"{{"subject":[{}]}}"#, subjects.join(","));
        assert_eq!(
            index_keys(statement.as_bytes(), Digests::Subjects)
                .unwrap()
                .len(),
            5 * 1_024
        );
    }

    #[test]
    fn too_many_are_refused_before_they_are_kept() {
        let statement = |subjects: usize| {
            let subjects: Vec<String> = (0..subjects)
                .map(|n| format!("{{\"digest\":{{\"a\":\"{n}\"}}}}"))
                .collect();
            format!("{{\"subject\":[{}]}}", subjects.join(","))
        };
        let index_keys = |statement: String| index_keys(statement.as_bytes(), Digests::Subjects);
        assert_eq!(
            index_keys(statement(MAX_INDEX_KEYS)).unwrap().len(),
            MAX_INDEX_KEYS
        );
        assert_eq!(
            index_keys(statement(MAX_INDEX_KEYS + 1)).unwrap_err(),
            too_many_index_keys()
        );
        let digests: Vec<String> = (0..=MAX_INDEX_KEYS)
            .map(|n| format!("\"{n}\":\"\""))
            .collect();
        let wide = format!("{{\"subject\":[{{\"digest\":{{{}}}}}]}}", digests.join(","));
        assert_eq!(index_keys(wide).unwrap_err(), too_many_index_keys());
    }
}
