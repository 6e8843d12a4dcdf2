//! Planted faults: each document is good but for one thing, and the report names that thing.

mod bundles;
mod entries;
mod fixtures;
mod signing;
mod texts;
mod trust;

use serde_json::Value;

use super::{Client, Report, Severity, explain};

/// One fault: the finding that names it, the client that refuses it (if one does), and the change
/// that plants it.
type Fault = (&'static str, Option<Client>, fn(&mut Value));

/// Plants each fault into a good document.
fn check_faults(good: &Value, now: i64, faults: &[Fault]) {
    for (id, client, plant) in faults {
        let mut document = good.clone();
        plant(&mut document);
        let report = explain(document.to_string().as_bytes(), now);
        check_fault(&report, id, *client);
    }
}

fn check_fault(report: &Report, id: &str, client: Option<Client>) {
    let found = report.findings.iter().find(|finding| finding.id == id);
    let found = found.unwrap_or_else(|| panic!("{id} is not in {report:#?}"));
    assert!(!found.what.is_empty());
    assert!(
        !found.remedy.is_empty() || found.severity == Severity::Note,
        "{found:?}"
    );
    match client {
        Some(client) => {
            assert!(found.refused_by.contains(&client), "{found:?}");
            assert!(!report.accepted_by().contains(&client));
        }
        None => assert!(found.refused_by.is_empty(), "{found:?}"),
    }
}

/// A good document has no finding but notes.
fn check_good(document: &Value, now: i64, what: &str, readers: &[Client]) {
    let report = explain(document.to_string().as_bytes(), now);
    let is_note = |severity: Severity| severity == Severity::Note;
    assert!(
        report
            .findings
            .iter()
            .all(|finding| is_note(finding.severity)),
        "{report:#?}"
    );
    assert_eq!(report.what, what);
    assert_eq!(report.accepted_by(), readers);
}

/// Replaces the value at a JSON pointer, or adds it to its object.
fn set(document: &mut Value, pointer: &str, value: impl Into<Value>) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value.into(),
        parent => parent[name] = value.into(),
    }
}

/// Removes the member at a JSON pointer.
fn remove(document: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    parent.as_object_mut().unwrap().remove(name).unwrap();
}
