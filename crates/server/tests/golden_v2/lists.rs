//! Where we differ on purpose, mirrored in `docs/API.md`.

use std::collections::BTreeSet;

use crate::case::Case;

/// In what an answer differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aspect {
    Status,
    ContentType,
    LogIndex,
    /// The text of an error with the same code.
    Message,
    Body,
}

use Aspect::{Body, ContentType, Message, Status};

/// Of which recordings a line is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// All that have a case of this name.
    All,
    /// Those of the source after v2.3.0, which takes no DSSE any more.
    Newest,
}

impl Of {
    fn includes(self, folder: &str) -> bool {
        self == Self::All || folder.is_empty()
    }
}

/// Cases and why. A case that does not differ in exactly this fails the test.
const DELIBERATE: &[(&str, Of, &[Aspect], &str)] = &[
    ("dsse-single-cert", Of::Newest, &[Status, Body], "DSSE requests are taken, as by v2.2.1"),
    ("neg-empty-body", Of::Newest, &[Message], "the text of v2.2.1"),
    ("neg-empty-object", Of::Newest, &[Message], "the text of v2.2.1"),
    ("neg-hashedrekord-null", Of::Newest, &[Message], "the text of v2.2.1"),
    (
        "mismatch-p256details-rsa2048key",
        Of::All,
        &[Status, Body],
        "no client can verify an entry whose label is not its key's",
    ),
    ("mismatch-pssdetails-pkcs1sig", Of::All, &[Status, Body], "as above"),
    ("mismatch-rsa2048details-rsa4096key", Of::All, &[Status, Body], "as above"),
    ("neg-trailing-garbage", Of::All, &[Status, Body], "nothing may follow the request"),
    ("neg-two-json-values", Of::All, &[Status, Body], "as above"),
    ("entry-over-64KiB", Of::All, &[Status, Body], "the client's fault, said with both sizes"),
    ("neg-oversized-body-4MiB+1", Of::All, &[Status, Body], "413"),
    ("neg-method-get", Of::All, &[Status, Body], "look-ups by leaf hash"),
    ("neg-pushback", Of::Newest, &[Status, Body], "this test does not overload the log"),
    ("write-api-v2-checkpoint", Of::All, &[Status, ContentType, Body], "tiles are served"),
    ("write-get-checkpoint", Of::All, &[Status, ContentType, Body], "as above"),
    ("write-api-v2-tile", Of::All, &[Status, Body], "as above; this log has no full tile yet"),
    ("write-api-v2-entries", Of::All, &[Status, Body], "as above"),
    ("write-api-v2-tile-badlevel", Of::All, &[Status, Body], "what is no tile's path is not there"),
    ("write-healthz-head", Of::All, &[Status], "HEAD is answered"),
    ("write-healthz-post", Of::All, &[Status, Body], "outside of /api/v2 the v1 API's errors hold"),
    ("write-metrics-on-api-port", Of::All, &[Body], "as above"),
    ("neg-unknown-path", Of::All, &[Body], "as above"),
    ("neg-v1-path-on-v2", Of::All, &[Status, Body], "the v1 API is there too"),
    ("neg-root", Of::All, &[Status, ContentType, Body], "our own page"),
    ("read-root", Of::Newest, &[Status], "as above"),
    ("metrics-root", Of::All, &[ContentType, Body], "on a listener of their own, which this test does not open"),
    ("metrics", Of::All, &[Status, ContentType, Body], "as above"),
    ("read-checkpoint-post", Of::All, &[Status], "501, as on all paths of v2"),
    ("read-checkpoint-range", Of::All, &[Status], "there are no ranges"),
    ("read-tile-garbage-collected-partial", Of::Newest, &[Status], "partial tiles stay"),
];

/// In what this case may differ.
pub(crate) fn deliberate(folder: &str, name: &str) -> BTreeSet<Aspect> {
    let listed = DELIBERATE.iter().filter(|(listed, folders, _, _)| *listed == name && folders.includes(folder));
    listed.flat_map(|(_, _, aspects, _)| aspects.iter().copied()).collect()
}

/// Lines of the list that no recording has.
pub(crate) fn unused(cases: &[Case]) -> Vec<String> {
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let unused = DELIBERATE.iter().filter(|(name, _, _, _)| !names.contains(name));
    unused.map(|(name, _, _, _)| format!("{name}: listed, and not recorded")).collect()
}

#[test]
fn the_reference_lists_every_deliberate_difference() {
    let reference = include_str!("../../../../docs/API.md");
    for (name, _, _, _) in DELIBERATE {
        assert!(reference.contains(&format!("`{name}`")), "{name} is not in docs/API.md");
    }
}
