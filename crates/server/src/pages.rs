//! Documents for people and their tools: a home page, the API reference, its Swagger 2.0 form, and
//! the heartbeat.
//!
//! They load nothing from elsewhere, and forbid browsers to do so.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use host::{JSON, PublicUrl};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use http::request::Parts;

use crate::app::App;

const HOME: &str = include_str!("../pages/index.html");
const DOCS: &str = include_str!("../pages/docs.html");
const SWAGGER: &str = include_str!("../pages/swagger.json");

/// The log's address in the pages as they are stored.
const ADDRESS: &str = "http://HOST";
/// Marks a line of the home page about the v1 log. A ledger without that log does not show it.
const OF_V1: &str = "class=\"v1\"";
/// Marks a line about the v2 log.
const OF_V2: &str = "class=\"v2\"";
/// The program's version in the OpenAPI document as it is stored.
const VERSION: &str = "\"VERSION\"";

/// Pages contain a style sheet, and nothing else: no script, no form, no frame around them.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The OpenAPI document of a program of this version.
pub(crate) fn swagger_of(version: &str) -> String {
    let version = serde_json::Value::from(version).to_string();
    SWAGGER.replacen(VERSION, &version, 1)
}

/// `/`, whatever the method.
pub(crate) async fn home(State(app): State<Arc<App>>, head: Parts) -> Response {
    let mut text = HOME.to_owned();
    for (mark, log) in [(OF_V1, app.v1()), (OF_V2, app.v2())] {
        if log.is_err() {
            text = without(&text, mark);
        }
    }
    page(&text, &app, &head)
}

/// `/docs`.
pub(crate) async fn docs(State(app): State<Arc<App>>, head: Parts) -> Response {
    page(DOCS, &app, &head)
}

/// `/swagger.json`.
pub(crate) async fn swagger(State(app): State<Arc<App>>) -> Response {
    ([(CONTENT_TYPE, JSON)], app.swagger.clone()).into_response()
}

/// `/ping`.
pub(crate) async fn ping() -> Response {
    ([(CONTENT_TYPE, "text/plain")], ".").into_response()
}

/// Returns a text without the lines that hold `mark`.
fn without(text: &str, mark: &str) -> String {
    let lines = text.split_inclusive('\n');
    lines.filter(|line| !line.contains(mark)).collect()
}

/// Returns a page with command lines that run as written.
fn page(text: &str, app: &App, head: &Parts) -> Response {
    let public = app
        .trust
        .public_url
        .clone()
        .unwrap_or_else(|| PublicUrl::https(app.ledger.name()));
    let host = host::authority(head);
    let text = text.replace(
        ADDRESS,
        &address(&public.to_string(), host.as_ref().map(|host| host.as_str())),
    );
    (
        [(CONTENT_TYPE, HTML), (CONTENT_SECURITY_POLICY, POLICY)],
        text,
    )
        .into_response()
}

/// Returns the address at which the reader of a page reached the log: its public URL, which has the
/// scheme, or else the host of the request, by plain HTTP.
fn address(public: &str, host: Option<&str>) -> String {
    // A client may send any text as its host, and the page shows it unescaped.
    let is_plain = |host: &&str| {
        host.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
    };
    let is_public = |host: &str| {
        public
            .split_once("://")
            .is_some_and(|(_, own)| own.eq_ignore_ascii_case(host))
    };
    match host.filter(is_plain) {
        Some(host) if !is_public(host) => format!("http://{host}"),
        _ => public.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::operation::{Api, Operation};

    /// All that the documents describe.
    fn documented() -> impl Iterator<Item = Operation> {
        Operation::of(&[Api::V1, Api::V2, Api::Tiles, Api::Trees, Api::Trust])
    }

    /// The path that stands for all of an operation's. OpenAPI knows no rest of a path.
    fn path(operation: Operation) -> String {
        operation.paths()[0].replace("{*", "{")
    }

    #[test]
    fn swagger_lists_exactly_the_operations() {
        let document: Value = serde_json::from_str(&swagger_of("1.2.3")).expect("JSON");
        assert_eq!(
            (&document["swagger"], &document["info"]["version"]),
            (&"2.0".into(), &"1.2.3".into())
        );
        let mut listed = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                let id = operation["operationId"].as_str().unwrap_or_default();
                listed.insert((path.clone(), method.to_uppercase(), id.to_owned()));
            }
        }
        let route = |operation: Operation| {
            (
                path(operation),
                operation.method().to_string(),
                operation.id().to_owned(),
            )
        };
        assert_eq!(listed, documented().map(route).collect());
    }

    #[test]
    fn swagger_lists_the_refusals_of_the_table() {
        let document: Value = serde_json::from_str(SWAGGER).expect("JSON");
        for operation in documented() {
            let method = operation.method().as_str().to_lowercase();
            let responses = &document["paths"][path(operation)][method]["responses"];
            let lists = |status: &str| responses.get(status).is_some();
            assert_eq!(lists("501"), operation.is_switchable(), "{operation:?}");
            let writes = operation.access() == host::Access::Write;
            assert_eq!(lists("403"), writes, "{operation:?}");
        }
    }

    #[test]
    fn pages_name_the_address_that_they_were_reached_at() {
        for (public, host, expected) in [
            (
                "https://log.example",
                Some("log.example"),
                "https://log.example",
            ),
            (
                "https://log.example",
                Some("LOG.example"),
                "https://log.example",
            ),
            ("https://log.example", None, "https://log.example"),
            (
                "https://log.example",
                Some("10.0.0.1:3000"),
                "http://10.0.0.1:3000",
            ),
            (
                "http://localhost:3000",
                Some("localhost:8080"),
                "http://localhost:8080",
            ),
            (
                "http://localhost:3000",
                Some("[::1]:3000"),
                "http://[::1]:3000",
            ),
            (
                "https://log.example",
                Some("x'onload='alert(1)"),
                "https://log.example",
            ),
            ("https://log.example", Some("user@x"), "https://log.example"),
        ] {
            assert_eq!(address(public, host), expected);
        }
        for page in [HOME, DOCS] {
            assert!(page.contains(ADDRESS) && !page.replace(ADDRESS, "").contains("HOST"));
        }
    }

    #[test]
    fn swagger_refers_only_to_what_it_defines() {
        fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document: Value = serde_json::from_str(SWAGGER).expect("JSON");
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn pages_load_nothing_and_name_every_route() {
        for page in [HOME, DOCS] {
            for loads in [
                "src=", "<script", "<link", "@import", "url(", "<iframe", "<img",
            ] {
                assert!(!page.contains(loads), "{loads}");
            }
        }
        for operation in documented() {
            assert!(DOCS.contains(&path(operation)), "{operation:?}");
        }
    }
}
