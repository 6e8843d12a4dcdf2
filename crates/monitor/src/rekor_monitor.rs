//! The configuration of rekor-monitor, as far as it maps to rules.
//!
//! Each monitored value becomes a rule of its own, as in rekor-monitor, whose values are
//! alternatives. Its regular expressions may match anywhere in a text, and so do ours.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_norway::Value;

use crate::rule_file::{RuleFile, RuleFileError};
use crate::rules::{RuleSection, Texts};

/// Members that say where rekor-monitor keeps its own state and output.
const OWN_FILES: [&str; 5] = [
    "outputIdentities",
    "outputIdentitiesFormat",
    "logInfoFile",
    "identityMetadataFile",
    "interval",
];

/// Members without a counterpart, and what to do instead.
const UNMAPPED: [(&str, &str); 11] = [
    (
        "startIndex",
        "the monitor continues where it stopped, and `start` of a log says where it begins",
    ),
    ("endIndex", "the monitor reads up to the newest head"),
    ("githubIssue", "add a [[channel]] of type webhook"),
    (
        "emailNotification",
        "add a [[channel]] of type email, with the password in a file",
    ),
    (
        "emailNotificationSMTP",
        "add a [[channel]] of type email, with the password in a file",
    ),
    (
        "emailNotificationMailgun",
        "add a [[channel]] of type email, with Mailgun's SMTP relay",
    ),
    (
        "emailNotificationSendGrid",
        "add a [[channel]] of type email, with SendGrid's SMTP relay",
    ),
    (
        "trustedCAs",
        "entries are reported whoever issued their certificates; add a condition `issuer`",
    ),
    (
        "caRootsFile",
        "entries are reported whoever issued their certificates; add a condition `issuer`",
    ),
    (
        "caIntermediatesFile",
        "entries are reported whoever issued their certificates; add a condition `issuer`",
    ),
    (
        "ctShards",
        "logs of Certificate Transparency are not followed",
    ),
];

#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "monitoredValues", default)]
    values: MonitoredValues,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct MonitoredValues {
    cert_identities: Vec<CertIdentity>,
    fingerprints: Vec<String>,
    subjects: Vec<String>,
    oid_matchers: OidMatchers,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CertIdentity {
    cert_subject: String,
    #[serde(default)]
    issuers: Vec<String>,
}

/// The lower-case names are those that rekor-monitor itself reads.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct OidMatchers {
    #[serde(alias = "fulcioextensions")]
    fulcio_extensions: BTreeMap<String, Vec<String>>,
    #[serde(alias = "oidextensions")]
    oid_extensions: Vec<OidExtension>,
    #[serde(alias = "customextensions")]
    custom_extensions: Vec<OidExtension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OidExtension {
    object_identifier: ObjectIdentifier,
    extension_values: Vec<String>,
}

/// `[1, 2, 3]` or `"1.2.3"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum ObjectIdentifier {
    Numbers(Vec<u64>),
    Dotted(String),
}

impl ObjectIdentifier {
    fn dotted(&self) -> String {
        match self {
            Self::Dotted(text) => text.clone(),
            Self::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
                numbers.join(".")
            }
        }
    }
}

pub(crate) fn read(text: &str) -> Result<RuleFile, RuleFileError> {
    let Configuration { values, others } = serde_norway::from_str(text)?;
    let mut file = RuleFile {
        rules: rules(values),
        ..RuleFile::default()
    };
    let mut unmapped = Vec::new();
    for name in others.keys() {
        let instead = UNMAPPED.iter().find(|(known, _)| known == name);
        match instead {
            Some((_, instead)) => unmapped.push(format!("- {name}: {instead}")),
            None if OWN_FILES.contains(&name.as_str()) => {
                file.notes.push(format!(
                    "{name} of rekor-monitor's configuration is not used"
                ));
            }
            None => unmapped.push(format!("- {name}: rekor-monitor has no such member")),
        }
    }
    match () {
        () if !unmapped.is_empty() => Err(RuleFileError::Unmapped(unmapped)),
        () if file.rules.is_empty() => Err(RuleFileError::NoRule),
        () => Ok(file),
    }
}

fn rules(values: MonitoredValues) -> Vec<RuleSection> {
    let mut rules = Vec::new();
    for identity in values.cert_identities {
        rules.push(RuleSection {
            name: format!("certIdentities: {}", identity.cert_subject),
            subject_regex: Texts(vec![identity.cert_subject]),
            issuer_regex: Texts(identity.issuers),
            ..RuleSection::default()
        });
    }
    for subject in values.subjects {
        rules.push(RuleSection {
            name: format!("subjects: {subject}"),
            subject_regex: Texts(vec![subject]),
            ..RuleSection::default()
        });
    }
    for fingerprint in values.fingerprints {
        rules.push(RuleSection {
            name: format!("fingerprints: {fingerprint}"),
            key: Texts(vec![fingerprint]),
            ..RuleSection::default()
        });
    }
    let OidMatchers {
        fulcio_extensions,
        oid_extensions,
        custom_extensions,
    } = values.oid_matchers;
    let named = fulcio_extensions.into_iter();
    let numbered = oid_extensions.into_iter().chain(custom_extensions);
    let numbered = numbered.map(|oid| (oid.object_identifier.dotted(), oid.extension_values));
    for (extension, values) in named.chain(numbered) {
        rules.push(RuleSection {
            name: format!("oidMatchers: {extension}"),
            extension: BTreeMap::from([(extension, Texts(values))]),
            ..RuleSection::default()
        });
    }
    number_repeated(&mut rules);
    rules
}

/// Gives each rule a name of its own.
fn number_repeated(rules: &mut [RuleSection]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for rule in rules {
        let count = seen.entry(rule.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            rule.name = format!("{} ({count})", rule.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;

    #[test]
    fn monitored_values_become_rules() {
        let file = read(
            r#"
monitoredValues:
  certIdentities:
    - certSubject: user@domain\.com
    - certSubject: otheruser@domain\.com
      issuers:
        - https://accounts\.google\.com
        - https://github\.com/login
    - certSubject: user@domain\.com
  subjects:
    - subject@domain\.com
  fingerprints:
    - 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  oidMatchers:
    fulcioExtensions:
      build-config-uri:
        - https://example.com/config
    oidExtensions:
      - objectIdentifier: [1, 3, 6, 1, 4, 1, 57264, 1, 9]
        extensionValues: [https://github.com/a]
    customExtensions:
      - objectIdentifier: "1.3.6.1.4.1.57264.1.12"
        extensionValues: [https://github.com/b]
outputIdentities: identities.txt
"#,
        )
        .unwrap();
        let names: Vec<&str> = file.rules.iter().map(|rule| &*rule.name).collect();
        assert_eq!(
            names,
            [
                r"certIdentities: user@domain\.com",
                r"certIdentities: otheruser@domain\.com",
                r"certIdentities: user@domain\.com (2)",
                r"subjects: subject@domain\.com",
                "fingerprints: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                "oidMatchers: build-config-uri",
                "oidMatchers: 1.3.6.1.4.1.57264.1.9",
                "oidMatchers: 1.3.6.1.4.1.57264.1.12",
            ]
        );
        assert_eq!(file.rules[1].issuer_regex.0.len(), 2);
        assert_eq!(file.notes.len(), 1);
        assert_eq!(Rules::new(&file.rules).unwrap().len(), 8);
    }

    #[test]
    fn parts_that_do_not_map_are_all_named() {
        let text = "monitoredValues:\n  subjects: [a]\nstartIndex: 7\ngithubIssue: {}\nx: 1\n";
        let error = read(text).unwrap_err().to_string();
        for name in ["- startIndex: ", "- githubIssue: ", "- x: "] {
            assert!(error.contains(name), "{error}");
        }
        let error = read("monitoredValues:\n  subject: [a]\n").unwrap_err();
        assert!(error.to_string().contains("subject"), "{error}");
        assert!(matches!(
            read("logInfoFile: x\n"),
            Err(RuleFileError::NoRule)
        ));
    }
}
