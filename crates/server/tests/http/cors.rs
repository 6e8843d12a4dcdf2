//! Which web pages a browser lets read, by the headers of answers.

use axum::body::Body;
use http::Request;

use crate::support::{Answer, TestLog, open_log};

const PAGE: &str = "https://search.example";

/// The routes that show what is in the log.
const READS: [&str; 4] = [
    "/api/v1/log",
    "/tile/entries/000.p/1",
    "/trust/trusted_root.json",
    "/checkpoint",
];

async fn ask(log: &TestLog, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", crate::support::NAME);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    log.send(request.body(Body::empty()).expect("a request"))
        .await
}

async fn log_with(change: impl FnOnce(&mut server::Settings)) -> TestLog {
    let mut opened = open_log().await;
    change(&mut opened.1);
    let log = TestLog::of(opened);
    let signer = crate::proposal::Signer::new();
    for (target, proposal) in [
        ("/api/v1/log/entries", signer.proposal(b"x")),
        ("/api/v2/log/entries", signer.proposal_v2(b"x")),
    ] {
        assert_eq!(log.post(target, &proposal).await.status, 201);
    }
    log
}

#[tokio::test]
async fn by_default_no_page_reads_and_no_shared_cache_keeps() {
    let log = log_with(|_| {}).await;
    for path in READS {
        let answer = ask(&log, "GET", path, &[("origin", PAGE)]).await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (200, ""),
            "{path}"
        );
        assert!(!answer.header("cache-control").contains("public"), "{path}");
    }
    let tile = ask(&log, "GET", "/tile/0/000.p/1", &[]).await;
    assert_eq!(
        (tile.header("cache-control"), tile.header("vary")),
        ("private, max-age=3600, immutable", "")
    );
    let asked = [("origin", PAGE), ("access-control-request-method", "POST")];
    let preflight = ask(&log, "OPTIONS", "/api/v1/index/retrieve", &asked).await;
    assert_eq!(
        (
            preflight.status,
            preflight.header("access-control-allow-origin")
        ),
        (405, "")
    );
    assert_eq!(
        ask(&log, "OPTIONS", "/api/v2/log/entries", &asked)
            .await
            .status,
        501,
        "as Rekor v2"
    );
}

#[tokio::test]
async fn a_public_log_is_read_by_all_pages_and_kept_by_shared_caches() {
    let log = log_with(|settings| settings.public = true).await;
    for path in READS {
        let answer = ask(&log, "GET", path, &[("origin", PAGE)]).await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (200, "*"),
            "{path}"
        );
        assert_eq!(
            ask(&log, "GET", path, &[])
                .await
                .header("access-control-allow-origin"),
            "",
            "no page"
        );
    }
    let tile = ask(&log, "GET", "/tile/0/000.p/1", &[]).await;
    assert_eq!(
        tile.header("cache-control"),
        "public, max-age=3600, immutable"
    );
    let refused = ask(&log, "POST", "/api/v2/log/entries", &[("origin", PAGE)]).await;
    assert_eq!(
        (
            refused.status,
            refused.header("access-control-allow-origin")
        ),
        (403, "")
    );
}

#[tokio::test]
async fn pages_of_named_origins_read_what_others_do_not() {
    let log =
        log_with(|settings| settings.cors_origins = vec![PAGE.parse().expect("an origin")]).await;
    for path in READS {
        let answer = ask(&log, "GET", path, &[("origin", PAGE)]).await;
        assert_eq!(answer.header("access-control-allow-origin"), PAGE, "{path}");
        let vary: Vec<_> = answer
            .headers
            .get_all("vary")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        assert!(
            vary.contains(&"Origin"),
            "a cache must not show it to another page: {vary:?}"
        );
        let other = ask(&log, "GET", path, &[("origin", "https://evil.example")]).await;
        assert_eq!(other.header("access-control-allow-origin"), "", "{path}");
    }
}
