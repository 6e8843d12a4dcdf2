//! Documents for people and their tools: a home page, the API reference, its Swagger 2.0 form, and the heartbeat.
//!
//! They load nothing from anywhere else.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use crate::errors::JSON;

const HOME: &str = include_str!("../pages/index.html");
const DOCS: &str = include_str!("../pages/docs.html");
const SWAGGER: &str = include_str!("../pages/swagger.json");

/// `/`, whatever the method.
pub(crate) async fn home() -> Response {
    ([(CONTENT_TYPE, "text/html")], HOME).into_response()
}

/// `/docs`.
pub(crate) async fn docs() -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], DOCS).into_response()
}

/// `/swagger.json`.
pub(crate) async fn swagger() -> Response {
    ([(CONTENT_TYPE, JSON)], SWAGGER).into_response()
}

/// `/ping`.
pub(crate) async fn ping() -> Response {
    ([(CONTENT_TYPE, "text/plain")], ".").into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::operation::Operation;
    use crate::trust::Document;
    use crate::v2::DOCUMENTED;

    #[test]
    fn swagger_lists_exactly_the_operations() {
        let document: Value = serde_json::from_str(SWAGGER).expect("JSON");
        assert_eq!(document["swagger"], "2.0");
        let mut listed = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                // Rekor's names are part of its API; those of our documents are nobody's.
                let id = operation["operationId"].as_str().filter(|_| !path.starts_with("/trust/")).unwrap_or_default();
                listed.insert((path.clone(), method.to_uppercase(), id.to_owned()));
            }
        }
        let expected: BTreeSet<_> = Operation::ALL
            .iter()
            .map(|operation| (operation.path().to_owned(), operation.method().to_string(), operation.id().to_owned()))
            .chain(Document::ALL.map(|document| (document.path().to_owned(), "GET".to_owned(), String::new())))
            .chain(DOCUMENTED.map(|(path, method, id)| (path.to_owned(), method.to_owned(), id.to_owned())))
            .collect();
        assert_eq!(listed, expected);
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
            for loads in ["src=", "<script", "<link", "@import", "url(", "<iframe", "<img"] {
                assert!(!page.contains(loads), "{loads}");
            }
        }
        for operation in Operation::ALL {
            assert!(DOCS.contains(operation.path()), "{}", operation.path());
        }
        for document in Document::ALL {
            assert!(DOCS.contains(document.path()), "{}", document.path());
        }
        for (path, _, _) in DOCUMENTED {
            assert!(DOCS.contains(path), "{path}");
        }
    }
}
