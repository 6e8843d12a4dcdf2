//! What is where, and how it refuses. The recordings say more; this stands where they are absent.

use axum::body::Body;
use http::{Method, Request};

use crate::support::{OF_BOTH, OF_V1, OF_V2, TestLog, open_log_for};

const NO_CACHE: &str = "no-cache, no-store, no-transform, must-revalidate, private, max-age=0";
const GET_ONLY: &str = "method {} is not allowed, but [GET] are";
const POST_ONLY: &str = "method {} is not allowed, but [POST] are";
const BOTH: &str = "method {} is not allowed, but [GET,POST] are";

#[tokio::test]
async fn the_home_page_links_only_to_what_the_ledger_has() {
    for (logs, of_logs) in [
        (OF_BOTH, &["/api/v1/log", "/checkpoint"][..]),
        (OF_V1, &["/api/v1/log"]),
        (OF_V2, &["/checkpoint"]),
    ] {
        let log = TestLog::of(open_log_for(logs).await);
        let page = log.get("/").await.body;
        let links = page.split("href=\"").skip(1);
        let links: Vec<_> = links.filter_map(|rest| rest.split('"').next()).collect();
        for link in of_logs.iter().chain(&["/docs", "/trust/checkpoint.vkey"]) {
            assert!(links.contains(link), "{link}: {page}");
        }
        for link in links {
            assert_eq!(log.get(link).await.status, 200, "{link}");
        }
        assert_eq!(page.contains("curl"), of_logs.contains(&"/api/v1/log"));
    }
}

#[tokio::test]
async fn routes_and_methods() {
    let log = TestLog::start().await;
    for (method, target, status, allow, message) in [
        ("GET", "/api/v1/log", 200, "", ""),
        ("GET", "//api/v1//log/", 200, "", ""),
        ("GET", "/api/v1/x/../log", 200, "", ""),
        ("PUT", "/api/v1/log", 405, "GET", GET_ONLY),
        ("HEAD", "/api/v1/log", 405, "GET", ""),
        ("OPTIONS", "/api/v1/log", 405, "GET", GET_ONLY),
        ("POST", "/api/v1/index/search", 405, "GET", GET_ONLY),
        ("GET", "/api/v1/index/lookup", 405, "POST", POST_ONLY),
        ("HEAD", "/api/v1/log/events", 405, "GET", ""),
        ("GET", "/api/v1/log/events?limit=0", 422, "", ""),
        ("BREW", "/api/v1/index/retrieve", 405, "POST", POST_ONLY),
        ("DELETE", "/api/v1/log/entries", 405, "GET,POST", BOTH),
        (
            "PUT",
            "/api/v1/log/entries/retrieve/",
            405,
            "GET,POST",
            BOTH,
        ),
        ("GET", "/api/v1/log/entries/batch", 422, "", ""),
        ("PUT", "/api/v1/log/entries/batch/", 405, "GET,POST", BOTH),
        ("POST", "/api/v1/log/entries/abc", 405, "GET", GET_ONLY),
        (
            "GET",
            "/nope/%22?x=1",
            404,
            "",
            "path /nope/%22 was not found",
        ),
        ("GET", "/api/v1", 404, "", "path /api/v1 was not found"),
        (
            "GET",
            "/API/v1/log",
            404,
            "",
            "path /API/v1/log was not found",
        ),
        (
            "GET",
            "/api/v1/log/entries/a/b",
            404,
            "",
            "path /api/v1/log/entries/a/b was not found",
        ),
        ("GET", "//", 404, "", "path // was not found"),
        ("DELETE", "/", 200, "", ""),
        ("GET", "/Ping", 200, "", ""),
        ("HEAD", "/ping", 200, "", ""),
        ("PUT", "/ping", 404, "", "path /ping was not found"),
        ("GET", "/ping/", 404, "", "path /ping/ was not found"),
        ("GET", "/docs", 200, "", ""),
        ("GET", "/swagger.json", 200, "", ""),
        ("GET", "/healthz", 200, "", ""),
        ("HEAD", "/readyz", 200, "", ""),
        (
            "POST",
            "/healthz",
            405,
            "GET,HEAD",
            "method {} is not allowed, but [GET,HEAD] are",
        ),
        ("GET", "/metrics", 404, "", "path /metrics was not found"),
    ] {
        let method: Method = method.parse().expect("a token");
        let request = Request::builder()
            .method(method.clone())
            .uri(target)
            .body(Body::empty())
            .expect("a request");
        let answer = log.send(request).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (status, allow),
            "{method} {target}"
        );
        if !message.is_empty() {
            let message = message.replace("{}", method.as_str());
            assert_eq!(
                answer.body,
                format!("{{\"code\":{status},\"message\":\"{message}\"}}")
            );
        }
        if method == Method::HEAD {
            assert_eq!(answer.body, "");
            assert_ne!(
                answer.header("content-length"),
                "0",
                "it says how long the body would be"
            );
        }
    }
}

#[tokio::test]
async fn reads_forbid_caches_even_when_they_fail() {
    let log = TestLog::start().await;
    for (target, status) in [
        ("/api/v1/log", 200),
        ("/api/v1/log/publicKey", 200),
        ("/api/v1/log/publicKey?treeID=x", 422),
        ("/api/v1/log/proof", 422),
        ("/api/v1/log/proof?lastSize=1", 400),
        ("/api/v1/log/entries?logIndex=0", 404),
        ("/api/v1/log/entries/x", 422),
    ] {
        let answer = log.get(target).await;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (status, NO_CACHE),
            "{target}"
        );
        assert_eq!(answer.header("x-accel-expires"), "0");
    }
    assert_eq!(
        log.post("/api/v1/index/retrieve", "{}")
            .await
            .header("cache-control"),
        ""
    );
}

#[tokio::test]
async fn an_answer_names_its_request() {
    let log = TestLog::start().await;
    let request = Request::get("/api/v1/log")
        .header("x-request-id", "abc")
        .body(Body::empty())
        .expect("a request");
    assert_eq!(log.send(request).await.header("x-request-id"), "abc");
    assert_eq!(
        log.get("/api/v1/log").await.header("x-request-id"),
        "test-1"
    );
}

#[tokio::test]
async fn types_are_negotiated_before_bodies_are_read() {
    let log = TestLog::start().await;
    for (content_type, accept, body, status) in [
        // With a body, JSON is the fallback.
        (Some("application/json"), "text/html", "{}", 200),
        (None, "*/*", "{}", 415),
        (Some("text/json"), "*/*", "{}", 415),
        (Some("/"), "*/*", "{}", 400),
        // No body, no type.
        (None, "*/*", "", 422),
        (None, "text/html", "", 406),
    ] {
        let mut request = Request::post("/api/v1/index/retrieve")
            .header("accept", accept)
            .header("content-length", body.len());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = log
            .send(request.body(Body::from(body)).expect("a request"))
            .await;
        assert_eq!(answer.status, status, "{content_type:?} {accept} {body}");
    }
    let key = Request::get("/api/v1/log/publicKey")
        .header("accept", "application/json")
        .body(Body::empty())
        .expect("a request");
    let json: String = serde_json::from_value(log.send(key).await.json()).expect("a text");
    let pem = log.get("/api/v1/log/publicKey").await;
    assert_eq!(
        (json.as_str(), pem.header("content-type")),
        (pem.body.as_str(), "application/x-pem-file")
    );
}

#[tokio::test]
async fn pages_carry_the_address_that_they_were_reached_at() {
    let log = TestLog::start().await;
    for (path, host, expected) in [
        (
            "/",
            "10.0.0.1:3000",
            "curl -s 'http://10.0.0.1:3000/api/v1/log/entries?logIndex=0'",
        ),
        (
            "/",
            crate::support::NAME,
            "curl -s 'https://rekor-lab/api/v1/log/entries?logIndex=0'",
        ),
        (
            "/docs",
            "10.0.0.1:3000",
            "curl -s http://10.0.0.1:3000/checkpoint",
        ),
    ] {
        let request = Request::get(path)
            .header("host", host)
            .body(Body::empty())
            .expect("a request");
        let page = log.send(request).await;
        assert!(page.body.contains(expected), "{}", page.body);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    }
    assert_eq!(
        log.get("/swagger.json").await.json()["info"]["version"],
        "0.0.0"
    );
}
