//! The names of Fulcio's certificate extensions, as Fulcio and rekor-monitor write them in
//! configuration files.

/// The arc of Fulcio's extensions.
const ARC: &str = "1.3.6.1.4.1.57264.1";

/// Name and number of each extension that is text. `issuer` is found in both of its numbers.
const NAMES: [(&str, u8); 23] = [
    ("issuer", 8),
    ("issuer", 1),
    ("github-workflow-trigger", 2),
    ("github-workflow-sha", 3),
    ("github-workflow-name", 4),
    ("github-workflow-repository", 5),
    ("github-workflow-ref", 6),
    ("build-signer-uri", 9),
    ("build-signer-digest", 10),
    ("runner-environment", 11),
    ("source-repository-uri", 12),
    ("source-repository-digest", 13),
    ("source-repository-ref", 14),
    ("source-repository-identifier", 15),
    ("source-repository-owner-uri", 16),
    ("source-repository-owner-identifier", 17),
    ("build-config-uri", 18),
    ("build-config-digest", 19),
    ("build-trigger", 20),
    ("run-invocation-uri", 21),
    ("source-repository-visibility-at-signing", 22),
    ("deployment-environment", 23),
    ("token-subject", 24),
];

/// Returns the dotted object identifiers that a name stands for: those of Fulcio's extension, or
/// the text itself if it is dotted numbers. Empty for other texts.
pub(super) fn identifiers(name: &str) -> Vec<String> {
    let numbers = NAMES.iter().filter(|(known, _)| *known == name);
    let known: Vec<String> = numbers
        .map(|(_, number)| format!("{ARC}.{number}"))
        .collect();
    match known.is_empty() {
        true if is_dotted(name) => vec![name.to_owned()],
        _ => known,
    }
}

fn is_dotted(text: &str) -> bool {
    let is_number = |part: &str| {
        let is_digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        is_digits && (part == "0" || !part.starts_with('0'))
    };
    text.contains('.') && text.split('.').all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_identifiers() {
        assert_eq!(
            identifiers("issuer"),
            ["1.3.6.1.4.1.57264.1.8", "1.3.6.1.4.1.57264.1.1"]
        );
        assert_eq!(identifiers("token-subject"), ["1.3.6.1.4.1.57264.1.24"]);
        assert_eq!(identifiers("1.2.3"), ["1.2.3"]);
        for other in [
            "",
            "1",
            "1..2",
            "01.2",
            "1.2a",
            "Issuer",
            "source_repository_uri",
        ] {
            assert!(identifiers(other).is_empty(), "{other}");
        }
    }
}
