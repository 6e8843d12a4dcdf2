//! Tables of rules and of entries that match them.

use entry::{CertificateSummary, Package, Signer, StatementSummary, Summary};
use tlog::Hash;

use super::*;

#[derive(Deserialize)]
struct File {
    rule: Vec<RuleSection>,
}

fn rules(toml: &str) -> Result<Rules, RuleError> {
    let file: File = toml::from_str(toml).unwrap();
    Rules::new(&file.rule)
}

/// Rules `0`, `1`, … with these conditions.
fn rules_with(conditions: &[&str]) -> Rules {
    let numbered = conditions.iter().enumerate();
    let texts: Vec<String> = numbered
        .map(|(number, conditions)| format!("[[rule]]\nname = \"{number}\"\n{conditions}\n"))
        .collect();
    rules(&texts.concat()).unwrap()
}

fn facts<'a>(summary: &'a Summary, statement: Option<&'a StatementSummary>) -> Facts<'a> {
    Facts {
        log: "log",
        origin: "log.example",
        leaf_index: 7,
        log_index: 7,
        leaf_hash: Hash([0; 32]),
        uuid: None,
        time: None,
        summary,
        statement,
        index_keys: &[],
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// An entry signed in a workflow, and by a key of another person.
fn release() -> Summary {
    let extensions = [
        ("1.3.6.1.4.1.57264.1.8", "https://issuer.example"),
        ("1.3.6.1.4.1.57264.1.12", "https://git.example/org/repo"),
        ("1.3.6.1.4.1.57264.1.14", "refs/heads/main"),
        ("1.2.3", "custom"),
    ];
    let certificate = CertificateSummary {
        sha256: "ce".repeat(32),
        issuer: Some(text("https://issuer.example")),
        extensions: extensions.map(|(id, value)| (text(id), text(value))).into(),
        ..CertificateSummary::default()
    };
    let workflow = Signer {
        key_hash: "aa".repeat(32),
        spki_sha256: Some("bb".repeat(32)),
        certificate: Some(certificate),
        names: vec![text(
            "https://git.example/org/repo/release.yml@refs/heads/main",
        )],
        ..Signer::default()
    };
    let person = Signer {
        key_hash: "dd".repeat(32),
        fingerprints: vec![
            text("0123456789abcdef0123456789abcdef01234567"),
            format!("SHA256:{}", "Ab+/".repeat(11).split_at(43).0),
        ],
        names: vec![text("Somebody@Example.com")],
        ..Signer::default()
    };
    Summary {
        kind: text("hashedrekord"),
        version: text("0.0.1"),
        digests: vec![format!("sha256:{}", "12".repeat(32))],
        signers: vec![workflow, person],
        index_keys: Vec::new(),
    }
}

#[test]
fn each_condition_matches_what_it_is_about() {
    let digest = "12".repeat(32).to_uppercase();
    for (conditions, expected) in [
        ("subject = 'somebody@example.com'", true),
        (
            "subject = ['nobody@example.com', 'SOMEBODY@example.com']",
            true,
        ),
        ("subject = 'body@example.com'", false),
        (
            "subject-regex = '^https://git[.]example/org/.*@refs/heads/main$'",
            true,
        ),
        ("subject-regex = 'BODY@'", false),
        ("subject-regex = '(?i)body@EXAMPLE'", true),
        ("issuer = 'https://issuer.example'", true),
        ("issuer = 'https://issuer.example/'", false),
        ("issuer-regex = 'issuer'", true),
        ("extension = { issuer = 'https://issuer.example' }", true),
        (
            "extension = { source-repository-uri = 'https://git.example/org/repo' }",
            true,
        ),
        (
            "extension = { source-repository-uri = 'https://git.example/org' }",
            false,
        ),
        ("extension = { '1.2.3' = ['other', 'custom'] }", true),
        (
            "extension = { '1.2.3' = 'custom', source-repository-ref = 'refs/heads/main' }",
            true,
        ),
        (
            "extension = { '1.2.3' = 'custom', source-repository-ref = 'refs/heads/x' }",
            false,
        ),
        ("key = 'AA:AA'", false),
        (&format!("key = '{}'", "AA:".repeat(31) + "AA"), true),
        (&format!("key = '{}'", "bb".repeat(32)), true),
        (&format!("key = '{}'", "ce".repeat(32)), true),
        (
            "key = '0123 4567 89AB CDEF 0123 4567 89ab cdef 0123 4567'",
            true,
        ),
        (
            "key = 'SHA256:Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+'",
            true,
        ),
        ("key = 'Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+'", true),
        ("key = 'ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+'", false),
        (&format!("digest = 'sha256:{digest}'"), true),
        (&format!("digest = '{digest}'"), true),
        (&format!("digest = 'sha512:{digest}'"), false),
        ("kind = 'hashedrekord'", true),
        ("kind = ['dsse', 'hashedrekord:0.0.1']", true),
        ("kind = 'hashedrekord:0.0.2'", false),
        ("package = 'pkg:npm/a'", false),
    ] {
        let rules = rules_with(&[conditions]);
        let summary = release();
        let hits = rules.matches(&facts(&summary, None));
        assert_eq!(!hits.is_empty(), expected, "{conditions}");
        for hit in hits {
            assert!(!hit.matched.is_empty(), "{conditions}");
        }
    }
}

#[test]
fn all_conditions_have_to_hold_and_those_about_a_signer_for_one_signer() {
    let issuer = "issuer = 'https://issuer.example'";
    for (conditions, expected) in [
        (format!("{issuer}\nkind = 'hashedrekord'"), true),
        (format!("{issuer}\nkind = 'dsse'"), false),
        (format!("{issuer}\nsubject-regex = 'release.yml@'"), true),
        // The person has no certificate.
        (format!("{issuer}\nsubject = 'somebody@example.com'"), false),
        (format!("{issuer}\nkey = '{}'", "dd".repeat(32)), false),
        (format!("{issuer}\nkey = '{}'", "aa".repeat(32)), true),
    ] {
        let rules = rules_with(&[&conditions]);
        let summary = release();
        let hits = rules.matches(&facts(&summary, None));
        assert_eq!(!hits.is_empty(), expected, "{conditions}");
    }
}

#[test]
fn hits_are_in_the_order_of_the_rules_and_show_the_values() {
    let rules = rules_with(&[
        "kind = 'hashedrekord'",
        "kind = 'dsse'",
        "subject-regex = ['example', '^nobody']\nextension = { '1.2.3' = 'custom' }",
    ]);
    let summary = release();
    let hits = rules.matches(&facts(&summary, None));
    let names: Vec<&str> = hits.iter().map(|hit| hit.rule).collect();
    assert_eq!(names, ["0", "2"]);
    let matched = hits[1].matched.iter();
    let matched: Vec<(&str, &str)> = matched.map(|m| (&*m.condition, &*m.value)).collect();
    assert_eq!(
        matched,
        [
            (
                "subject",
                "https://git.example/org/repo/release.yml@refs/heads/main"
            ),
            ("extension", "1.2.3=custom"),
        ]
    );
}

#[test]
fn packages_match_with_and_without_version() {
    for (pattern, purl, expected) in [
        ("pkg:npm/@scope/name", "pkg:npm/@scope/name@1.0.0", true),
        ("pkg:npm/%40scope/name", "pkg:npm/@scope/name", true),
        (
            "pkg:npm/@scope/name@1.0.0",
            "pkg:npm/@scope/name@1.0.0",
            true,
        ),
        (
            "pkg:npm/@scope/name@1.0.0",
            "pkg:npm/@scope/name@1.0.1",
            false,
        ),
        ("pkg:npm/@scope/name@1.0.0", "pkg:npm/@scope/name", false),
        ("pkg:npm/@scope/name", "pkg:npm/@scope/names@1.0.0", false),
        ("pkg:npm/@scope/*", "pkg:npm/@scope/name@1.0.0", true),
        ("pkg:npm/@scope/*", "pkg:npm/@other/name@1.0.0", false),
        ("pkg:npm/@scope/*@2.*", "pkg:npm/@scope/name@1.0.0", false),
        ("pkg:npm/@scope/*@1.*", "pkg:npm/@scope/name@1.0.0", true),
        (
            "pkg:pypi/*",
            "pkg:pypi/name@3?file_name=name-3.tar.gz",
            true,
        ),
        (
            "pkg:pypi/name@3",
            "pkg:pypi/name@3?file_name=name-3.tar.gz",
            true,
        ),
        ("pkg:pypi/name@3", "pkg:pypi/name@3.1", false),
        ("pkg:npm/a.b", "pkg:npm/axb", false),
    ] {
        let rules = rules_with(&[&format!("package = '{pattern}'")]);
        let statement = StatementSummary {
            packages: vec![Package {
                purl: text(purl),
                digests: Vec::new(),
            }],
            ..StatementSummary::default()
        };
        let summary = release();
        let by_statement = rules.matches(&facts(&summary, Some(&statement)));
        assert_eq!(!by_statement.is_empty(), expected, "{pattern} {purl}");
        let keys = [format!("purl={}", purl.to_lowercase()), text("other")];
        let by_keys = rules.matches(&Facts {
            index_keys: &keys,
            ..facts(&summary, None)
        });
        assert_eq!(!by_keys.is_empty(), expected, "{pattern} {purl}");
    }
}

#[test]
fn an_attestation_is_wanted_only_where_it_decides() {
    let intoto = Summary {
        kind: text("intoto"),
        ..release()
    };
    let digest = format!("digest = '{}'", "12".repeat(32));
    for (conditions, expected) in [
        ("package = 'pkg:npm/a'", true),
        ("package = 'pkg:npm/a'\nkind = 'dsse'", false),
        (
            "package = 'pkg:npm/a'\nsubject = 'nobody@example.com'",
            false,
        ),
        ("subject = 'somebody@example.com'", false),
        ("digest = 'sha256:00'", true),
        // It matches already.
        (&digest, false),
    ] {
        let rules = rules_with(&[conditions]);
        assert_eq!(rules.wants_attestation(&intoto), expected, "{conditions}");
        assert!(!rules.wants_attestation(&release()), "{conditions}");
    }
}

#[test]
fn malformed_rules_are_refused_by_name() {
    for (toml, expected) in [
        ("[[rule]]\nkind = 'a'", "rule 1: it has no `name`"),
        (
            "[[rule]]\nname = 'a'",
            "rule 1 (\"a\"): it has no condition",
        ),
        ("[[rule]]\nname = 'a'\nkind = []", "it has no condition"),
        ("[[rule]]\nname = 'a'\nkind = ''", "a value is empty"),
        (
            "[[rule]]\nname = 'a'\nkind = 'x'\n[[rule]]\nname = 'a'\nkind = 'x'",
            "rule 2 (\"a\"): another rule",
        ),
        (
            "[[rule]]\nname = 'a'\nsubject-regex = '('",
            "unclosed group",
        ),
        (
            "[[rule]]\nname = 'a'\nsubject-regex = '(\\w{500}){500}'",
            "exceeds size limit",
        ),
        (
            "[[rule]]\nname = 'a'\nextension = { x = 'y' }",
            "the extension \"x\"",
        ),
        (
            "[[rule]]\nname = 'a'\nextension = { issuer = [] }",
            "a value is empty",
        ),
        ("[[rule]]\nname = 'a'\nkey = 'me'", "the key \"me\""),
        ("[[rule]]\nname = 'a'\ndigest = 'abc'", "the digest \"abc\""),
        (
            "[[rule]]\nname = 'a'\npackage = 'npm/a'",
            "the package \"npm/a\"",
        ),
    ] {
        let error = rules(toml).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let long = format!(
        "[[rule]]\nname = 'a'\nissuer-regex = '{}'",
        "x".repeat(5_000)
    );
    assert!(rules(&long).unwrap_err().to_string().contains("4096 bytes"));
    let unknown = "[[rule]]\nname = 'a'\nkind = 'b'\nsubjects = 'c'";
    let error = toml::from_str::<File>(unknown).err().unwrap().to_string();
    assert!(
        error.contains("line 4") && error.contains("subjects"),
        "{error}"
    );
}

/// Measured: `cargo test -p monitor --lib --release -- --ignored --nocapture a_hundred_rules`.
#[test]
#[ignore = "a measurement"]
fn a_hundred_rules_are_matched_fast() {
    let conditions: Vec<String> = (0..100)
        .map(|number| match number % 4 {
            0 => format!("subject = 'user{number}@example.com'"),
            1 => format!("subject-regex = '^https://git[.]example/org{number}/.*@refs/tags/v.*$'"),
            2 => format!(
                "subject-regex = 'team{number}.*@corp[.]example$'\nissuer-regex = 'accounts'"
            ),
            _ => {
                format!("extension = {{ source-repository-uri = 'https://git.example/{number}' }}")
            }
        })
        .collect();
    let conditions: Vec<&str> = conditions.iter().map(String::as_str).collect();
    let rules = rules_with(&conditions);
    let leaf = include_bytes!("../../../../fuzz/seeds/summary/v2-all-extensions");
    let (mut entries, mut hits) = (0_u32, 0);
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let start = std::time::Instant::now();
    while start.elapsed().as_secs() < 3 {
        for _ in 0..1_000 {
            let summary = entry::summarize(leaf).unwrap();
            hits += rules.matches(&facts(&summary, None)).len();
        }
        entries += 1_000;
    }
    let rate = f64::from(entries) / start.elapsed().as_secs_f64();
    println!("{rate:.0} entries/s summarised and matched with 100 rules, {hits} hits");
    assert!(rate > 20_000.0);
}
