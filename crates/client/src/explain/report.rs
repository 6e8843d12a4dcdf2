//! The report about a document.

use std::fmt::{self, Display};

use serde::{Serialize, Serializer};

/// Most findings that are kept. A hostile document could have one in every few bytes.
const MAX_FINDINGS: usize = 200;
/// Most facts that are kept.
const MAX_FACTS: usize = 400;
/// Longest text of a document that is repeated, in characters.
const MAX_SHOWN: usize = 200;

/// A client of Sigstore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// cosign, which verifies with sigstore-go.
    Cosign,
    /// sigstore-go.
    SigstoreGo,
    /// sigstore-js, which npm uses.
    SigstoreJs,
    /// sigstore-python.
    SigstorePython,
    /// rekor-monitor.
    RekorMonitor,
}

/// cosign and sigstore-go.
pub(super) const GO: &[Client] = &[Client::Cosign, Client::SigstoreGo];
pub(super) const JS: &[Client] = &[Client::SigstoreJs];
pub(super) const PYTHON: &[Client] = &[Client::SigstorePython];
pub(super) const MONITOR: &[Client] = &[Client::RekorMonitor];
pub(super) const GO_JS: &[Client] = &[Client::Cosign, Client::SigstoreGo, Client::SigstoreJs];
pub(super) const GO_PYTHON: &[Client] =
    &[Client::Cosign, Client::SigstoreGo, Client::SigstorePython];
/// The clients that sign and verify.
pub(super) const ALL: &[Client] = &[
    Client::Cosign,
    Client::SigstoreGo,
    Client::SigstoreJs,
    Client::SigstorePython,
];

impl Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cosign => "cosign",
            Self::SigstoreGo => "sigstore-go",
            Self::SigstoreJs => "sigstore-js",
            Self::SigstorePython => "sigstore-python",
            Self::RekorMonitor => "rekor-monitor",
        })
    }
}

impl Serialize for Client {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A fault: the named clients refuse the document, or what is done with it fails.
    Error,
    /// It works today, and will surprise somebody.
    Warning,
    /// Worth knowing. There is nothing to mend.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A name that stays the same over releases, for programs and for searches.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The clients that refuse the document because of it.
    #[serde(rename = "refusedBy")]
    pub refused_by: Vec<Client>,
    /// The place in the document: a JSON pointer, or a line. Empty: the document as a whole.
    pub place: String,
    /// What is wrong, and why that matters.
    pub what: String,
    /// What to do. Empty for a note.
    pub remedy: String,
}

/// One thing that a document says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about.
    pub label: String,
    /// Its value. Times are in UTC.
    pub value: String,
}

/// What a document is, what is in it, and what is wrong with it.
///
/// No text in it has a control character, whatever the document has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What the document is, in a few words.
    pub what: String,
    /// What is in it.
    pub facts: Vec<Fact>,
    /// What was found, errors first.
    pub findings: Vec<Finding>,
    /// The clients that read documents of this kind.
    pub readers: Vec<Client>,
    /// How many findings or facts were left out, because there were too many.
    #[serde(rename = "leftOut")]
    pub left_out: usize,
}

impl Report {
    /// Returns the clients that read such documents and have no reason in it to refuse this one.
    /// They still verify its signatures with the keys that they trust.
    pub fn accepted_by(&self) -> Vec<Client> {
        let refuses = |client: &Client| {
            let mut findings = self.findings.iter();
            findings.any(|finding| finding.refused_by.contains(client))
        };
        let readers = self.readers.iter().copied();
        readers.filter(|client| !refuses(client)).collect()
    }

    /// Returns whether there is a fault in it.
    pub fn has_errors(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.severity == Severity::Error)
    }

    /// Adds a fact.
    pub fn fact(&mut self, label: impl Display, value: impl Display) {
        if self.facts.len() == MAX_FACTS {
            self.left_out += 1;
            return;
        }
        self.facts.push(Fact {
            label: shown(label),
            value: shown(value),
        });
    }

    /// Adds a fault that makes clients refuse the document.
    pub fn error(
        &mut self,
        id: &'static str,
        refused_by: &[Client],
        place: impl Display,
        what: impl Display,
        remedy: impl Display,
    ) {
        let refused_by = refused_by.to_vec();
        self.add(Finding {
            id,
            severity: Severity::Error,
            refused_by,
            place: shown(place),
            what: long(what),
            remedy: long(remedy),
        });
    }

    /// Adds something that no client refuses by itself.
    pub fn warning(
        &mut self,
        id: &'static str,
        place: impl Display,
        what: impl Display,
        remedy: impl Display,
    ) {
        self.add(Finding {
            id,
            severity: Severity::Warning,
            refused_by: Vec::new(),
            place: shown(place),
            what: long(what),
            remedy: long(remedy),
        });
    }

    /// Adds something to know. `refused_by` names clients that such a document is not for.
    pub fn note(
        &mut self,
        id: &'static str,
        refused_by: &[Client],
        place: impl Display,
        what: impl Display,
    ) {
        self.add(Finding {
            id,
            severity: Severity::Note,
            refused_by: refused_by.to_vec(),
            place: shown(place),
            what: long(what),
            remedy: String::new(),
        });
    }

    fn add(&mut self, finding: Finding) {
        let is_repeated = |other: &Finding| {
            (other.id, &other.place, &other.what) == (finding.id, &finding.place, &finding.what)
        };
        if self.findings.iter().any(is_repeated) {
            return;
        }
        if self.findings.len() == MAX_FINDINGS {
            self.left_out += 1;
            return;
        }
        self.findings.push(finding);
    }

    /// Adds what was found in a part, under the place of that part.
    pub fn absorb(&mut self, place: &str, part: Self) {
        self.left_out += part.left_out;
        for finding in part.findings {
            let place = shown(format_args!("{place}{}", finding.place));
            self.add(Finding { place, ..finding });
        }
    }

    /// Brings errors to the top. Findings of one severity keep the order of the document.
    pub fn sort(&mut self) {
        self.findings.sort_by_key(|finding| finding.severity);
    }
}

/// Returns a text of a document in one line of bounded length, without control characters and
/// without those that turn the direction of text.
pub(super) fn shown(text: impl Display) -> String {
    bounded(&text.to_string(), MAX_SHOWN)
}

/// Returns a sentence that may repeat several texts of a document.
fn long(text: impl Display) -> String {
    bounded(&text.to_string(), 5 * MAX_SHOWN)
}

fn bounded(text: &str, most: usize) -> String {
    let is_harmful =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let clean = |c: char| if is_harmful(c) { '\u{fffd}' } else { c };
    let mut kept: String = text.chars().take(most).map(clean).collect();
    if kept.len() < text.len() && text.chars().nth(most).is_some() {
        kept.push('…');
    }
    kept
}

/// Returns a time in RFC 3339, in UTC.
pub(super) fn time(seconds: i64) -> String {
    let Ok(time) = time::OffsetDateTime::from_unix_timestamp(seconds) else {
        return format!("{seconds} s after 1970");
    };
    let ((year, month, day), (hour, minute, second)) = (time.to_calendar_date(), time.to_hms());
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Returns names with commas between them.
pub(super) fn list<T: Display>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_cannot_write_to_the_terminal_or_fill_the_report() {
        let mut report = Report::default();
        report.fact("origin", "a\u{1b}[2Jb\u{202e}c\nd");
        assert_eq!(report.facts[0].value, "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        report.fact("long", "x".repeat(1_000));
        assert_eq!(report.facts[1].value.chars().count(), MAX_SHOWN + 1);
        for number in 0..2 * MAX_FINDINGS {
            report.error("id", ALL, format_args!("/{number}"), "what", "remedy");
            report.error("id", ALL, format_args!("/{number}"), "what", "remedy");
        }
        assert_eq!(report.findings.len(), MAX_FINDINGS);
        assert_eq!(report.left_out, 2 * MAX_FINDINGS);
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(time(1_795_384_279), "2026-11-22 21:51:19 UTC");
        assert_eq!(time(i64::MAX), format!("{} s after 1970", i64::MAX));
    }
}
