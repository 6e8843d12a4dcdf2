//! Faults of signing configurations.

use serde_json::{Value, json};

use super::fixtures::NOW;
use super::{check_faults, remove, set};
use crate::explain::Client::{Cosign, SigstoreGo, SigstoreJs, SigstorePython};

const START: &str = "2026-01-01T00:00:00Z";

/// A good signing configuration.
pub(super) fn config() -> Value {
    let service = |url: &str, version: u32| json!({"url": url, "majorApiVersion": version, "validFor": {"start": START}, "operator": "example"});
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": [service("https://ca.example", 1)],
        "oidcUrls": [service("https://idp.example", 1)],
        "rekorTlogUrls": [service("https://v2.example", 2)],
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaUrls": [service("https://tsa.example/api/v1/timestamp", 1)],
        "tsaConfig": {"selector": "ANY"},
    })
}

#[test]
fn faults_of_signing_configurations_are_named() {
    check_faults(
        &config(),
        NOW,
        &[
            ("signing-config-media-type", Some(SigstorePython), |c| {
                set(
                    c,
                    "/mediaType",
                    "application/vnd.dev.sigstore.signingconfig.v0.1+json",
                )
            }),
            ("selector-missing", Some(Cosign), |c| {
                remove(c, "/rekorTlogConfig")
            }),
            ("selector-missing", Some(SigstoreJs), |c| {
                remove(c, "/tsaConfig")
            }),
            ("selector-not-any", Some(SigstoreJs), |c| {
                set(c, "/rekorTlogConfig/selector", "ALL")
            }),
            ("selector-count", Some(SigstoreGo), |c| {
                set(
                    c,
                    "/rekorTlogConfig",
                    json!({"selector": "EXACT", "count": 2}),
                )
            }),
            ("selector-unknown", Some(SigstoreGo), |c| {
                set(c, "/rekorTlogConfig/selector", "SOME")
            }),
            ("services-order", None, |c| {
                let mut newer = c["rekorTlogUrls"][0].clone();
                set(&mut newer, "/validFor/start", "2026-06-01T00:00:00Z");
                let older = c["rekorTlogUrls"][0].clone();
                set(c, "/rekorTlogUrls", json!([older, newer]));
            }),
            ("clients-choose-differently", None, |c| {
                let mut newer = c["rekorTlogUrls"][0].clone();
                set(&mut newer, "/validFor/start", "2026-06-01T00:00:00Z");
                set(&mut newer, "/majorApiVersion", 1);
                let older = c["rekorTlogUrls"][0].clone();
                set(c, "/rekorTlogUrls", json!([newer, older]));
            }),
            ("service-without-start", None, |c| {
                remove(c, "/rekorTlogUrls/0/validFor")
            }),
            ("service-without-operator", None, |c| {
                let mut service = c["rekorTlogUrls"][0].clone();
                remove(&mut service, "/operator");
                set(c, "/rekorTlogUrls", json!([service, service]));
            }),
            ("service-in-future", None, |c| {
                let mut future = c["rekorTlogUrls"][0].clone();
                set(&mut future, "/validFor/start", "2040-01-01T00:00:00Z");
                let today = c["rekorTlogUrls"][0].clone();
                set(c, "/rekorTlogUrls", json!([future, today]));
            }),
            ("service-version", None, |c| {
                set(c, "/rekorTlogUrls/0/majorApiVersion", 3)
            }),
            ("no-valid-log", Some(SigstoreGo), |c| {
                set(c, "/rekorTlogUrls/0/validFor/end", "2026-01-02T00:00:00Z")
            }),
            ("no-log-url", Some(SigstorePython), |c| {
                remove(c, "/rekorTlogUrls")
            }),
            ("no-ca-url", Some(SigstorePython), |c| remove(c, "/caUrls")),
            ("service-url", Some(SigstoreGo), |c| {
                set(c, "/rekorTlogUrls/0/url", "v2.example")
            }),
            ("service-url-path", Some(SigstoreGo), |c| {
                set(c, "/rekorTlogUrls/0/url", "https://v2.example/api/v2")
            }),
            ("service-url-slash", None, |c| {
                set(c, "/rekorTlogUrls/0/url", "https://v2.example/")
            }),
            ("tsa-url-not-full", Some(SigstoreGo), |c| {
                set(c, "/tsaUrls/0/url", "https://tsa.example")
            }),
            ("v2-without-tsa", Some(SigstorePython), |c| {
                remove(c, "/tsaUrls")
            }),
        ],
    );
}
