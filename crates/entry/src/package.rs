//! A package with its digests, as statements name it.

use serde::Serialize;

/// A package that a subject names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Package {
    /// The package URL in the form that search keys have, `pkg:npm/@scope/name@1.0.0`, before these
    /// become lower case.
    pub purl: String,
    /// The digests of the subject, `<algorithm>:<digest>`, in lower case.
    pub digests: Vec<String>,
}
