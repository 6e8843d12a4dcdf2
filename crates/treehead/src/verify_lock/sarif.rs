//! The report as SARIF 2.1.0 (OASIS), which code hosts show beside the lines of the lock file.

use client::lock::Verdict;
use serde::Serialize;

use super::report::{Report, title};
use crate::version::VERSION;

/// The schema that the report is valid under.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The rules, in the order of their indexes.
const RULES: [(&str, Level, &str); 5] = [
    (
        "not-in-log",
        Level::Error,
        "A locked artefact is not in the log",
    ),
    (
        "other-digest",
        Level::Error,
        "A version or a file was logged with another digest than the locked one",
    ),
    (
        "other-file",
        Level::Note,
        "A digest that is not locked was logged for a version",
    ),
    (
        "not-checkable",
        Level::Note,
        "The lock file does not say enough about an artefact to ask a log",
    ),
    (
        "by-index-alone",
        Level::Error,
        "Only the log's index ties an entry to a locked artefact",
    ),
];

#[derive(Serialize)]
struct Sarif {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    results: Vec<Finding>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Message,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: Level,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Error,
    Note,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

/// A `result` of SARIF.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: &'static str,
    rule_index: usize,
    level: Level,
    message: Message,
    locations: [Location; 1],
    partial_fingerprints: Fingerprints,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

/// Says which results of two runs are the same, although lines moved.
#[derive(Serialize)]
struct Fingerprints {
    #[serde(rename = "artefact/v1")]
    artefact: String,
}

pub(super) fn sarif(report: &Report<'_>) -> serde_json::Result<String> {
    let uri = uri(report.file);
    let mut results = Vec::new();
    for line @ (artefact, judgement) in report.lines() {
        let title = title(artefact);
        let mut add = |rule_index: usize, text: String| {
            let (rule_id, level, _) = RULES[rule_index];
            let location = PhysicalLocation {
                artifact_location: ArtifactLocation { uri: uri.clone() },
                region: Region {
                    start_line: artefact.line,
                },
            };
            results.push(Finding {
                rule_id,
                rule_index,
                level,
                message: Message { text },
                locations: [Location {
                    physical_location: location,
                }],
                partial_fingerprints: Fingerprints {
                    artefact: format!("{rule_id} {title}"),
                },
            });
        };
        if let Some(finding) = report.finding(line) {
            let rule = match judgement.verdict {
                _ if !judgement.contradicting.is_empty() => 1,
                Verdict::Indexed(_) => 4,
                _ => 0,
            };
            add(rule, finding);
        }
        if !judgement.beside.is_empty() {
            let signers = report.signers(&judgement.beside);
            add(
                2,
                format!("A digest that is not locked was logged for {title} by {signers}"),
            );
        }
        if let Verdict::NotCheckable(why) = judgement.verdict {
            add(3, format!("{title} cannot be checked: {why}"));
        }
    }
    let driver = Driver {
        name: "treehead",
        version: VERSION,
        rules: RULES.iter().map(Rule::new).collect(),
    };
    let tool = Tool { driver };
    serde_json::to_string_pretty(&Sarif {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run { tool, results }],
    })
}

impl Rule {
    fn new((id, level, description): &(&'static str, Level, &str)) -> Self {
        Self {
            id,
            short_description: Message {
                text: (*description).to_owned(),
            },
            default_configuration: Configuration { level: *level },
        }
    }
}

/// Returns the URI of a file: relative if its name is, so that a code host finds it.
fn uri(file: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let encode = |byte| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    let path: String = file.bytes().map(encode).collect();
    match path.starts_with('/') {
        true => format!("file://{path}"),
        false => path.trim_start_matches("./").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_files_become_uris() {
        for (file, uri) in [
            ("Cargo.lock", "Cargo.lock"),
            ("./a b/go.sum", "a%20b/go.sum"),
            ("/tmp/x%/uv.lock", "file:///tmp/x%25/uv.lock"),
            ("c:d/uv.lock", "c%3Ad/uv.lock"),
        ] {
            assert_eq!(super::uri(file), uri);
        }
    }
}
