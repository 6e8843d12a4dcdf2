//! The cases that do not match, each with its reason. The first list is mirrored in `docs/API.md`.

use crate::case::Recordings;
use crate::compare::Aspect::{self, Body, Headers, Message, Status};

/// Where we differ on purpose, in what, and why. A case in it that matches, or differs in anything else, fails the test.
const DELIBERATE: &[(&str, &[Aspect], &str)] = &[
    ("neg-array-body", &[Status, Body], "a body that is no JSON object is the client's fault: 400, not 500"),
    ("neg-kind-wrong-type", &[Status, Body], "as above"),
    ("neg-string-body", &[Status, Body], "as above"),
    ("neg-accept-xml", &[Headers], "an answer in JSON says so; Rekor sends an empty Content-Type"),
    ("neg-index-sha384-hash", &[Status, Body], "SHA-384 can be searched for"),
    ("get-healthz", &[Status, Body], "a route of ours"),
    ("neg-404-v2", &[Status, Headers, Body], "the v2 API is there too"),
    ("get-metrics", &[Status, Headers, Body], "on a listener of their own, which this test does not open"),
    ("get-root-html", &[Headers, Body], "our own page, which says that it is UTF-8"),
    ("neg-method-delete-", &[Headers, Body], "our own page, which says that it is UTF-8"),
    ("neg-method-head-", &[Headers], "our own page, which says that it is UTF-8"),
    ("neg-method-options-", &[Headers, Body], "our own page, which says that it is UTF-8"),
    ("neg-method-patch-", &[Headers, Body], "our own page, which says that it is UTF-8"),
    ("neg-method-put-", &[Headers, Body], "our own page, which says that it is UTF-8"),
    ("cors-preflight-post", &[Headers], "web pages write only from origins that are named"),
    ("get-docs", &[Body], "our own page, which loads nothing from elsewhere"),
    ("get-swagger", &[Body], "our own document of the same routes"),
    ("hashedrekord-pem-trailing-junk", &[Message], "the text of another ASN.1 library"),
    ("hashedrekord-two-pubkeys", &[Message], "the text of another ASN.1 library"),
    ("neg-index-malformed", &[Message], "the text of another JSON library"),
    ("neg-retrieve-malformed", &[Message], "the text of another JSON library"),
    ("neg-retrieve-bad-entry", &[Message], "the text of another JSON library"),
    ("neg-dsse-garbage", &[Message], "the text of another JSON library"),
    ("neg-rfc3161-garbage", &[Message], "the text of another ASN.1 library"),
    ("intoto-0.0.2-raw-double-b64", &[Status, Body], "a proposal without its hash is the client's fault: 400, not 500"),
    ("rpm-cli-json", &[Status, Headers, Body], "signatures of version 3 are taken, as Rekor v1.5.3 took them"),
];

/// Cases of a log with several shards, which have a test of their own.
const MULTI_SHARD: &[&str] = &["sharding-*"];

/// In what this case may differ.
pub(crate) fn deliberate(name: &str) -> Option<&'static [Aspect]> {
    DELIBERATE.iter().find(|(listed, _, _)| *listed == name).map(|(_, aspects, _)| *aspects)
}

/// Whether the case needs a log with several shards.
pub(crate) fn is_multi_shard(name: &str) -> bool {
    MULTI_SHARD.iter().any(|pattern| matches(pattern, name))
}

/// Lines of the lists that no recording has.
pub(crate) fn unused(recordings: &Recordings) -> Vec<String> {
    let listed = DELIBERATE.iter().map(|(name, _, _)| name).chain(MULTI_SHARD);
    listed
        .filter(|pattern| !recordings.cases.iter().any(|case| matches(pattern, &case.name)))
        .map(|pattern| format!("{pattern}: listed, and not recorded"))
        .collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |beginning| name.starts_with(beginning))
}

#[test]
fn the_reference_lists_every_deliberate_difference() {
    let reference = include_str!("../../../../docs/API.md");
    for (name, _, _) in DELIBERATE {
        assert!(reference.contains(&format!("`{name}`")), "{name} is not in docs/API.md");
    }
}
