//! The cases that do not match. Those of the newest recordings stand in `docs/API.md`, each under
//! its reason.

use crate::compare::Aspect;

/// Recordings of Rekor v1.5.4 whose newest one has another answer, which is ours.
const SUPERSEDED: &[&str] = &["v1/rpm-cli-json"];

/// Whether the newest recording of this case decides.
pub(crate) fn is_superseded(id: &str) -> bool {
    SUPERSEDED.contains(&id)
}

/// Cases of a log with several shards, which have a test of their own.
pub(crate) fn is_multi_shard(name: &str) -> bool {
    name.starts_with("sharding-")
}

/// How docs/API.md names a difference: by the statuses, or by what else differs. None if nothing
/// does.
pub(crate) fn difference(expected: u16, found: u16, aspects: &[Aspect]) -> Option<String> {
    if expected != found {
        return Some(format!("{expected} → {found}"));
    }
    let names: Vec<&str> = aspects.iter().map(|aspect| aspect.name()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
