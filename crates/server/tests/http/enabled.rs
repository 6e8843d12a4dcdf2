//! Kinds and operations that an operator switched off, and servers that only read.

use axum::Router;
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use ledger::Ledger;
use server::{Operations, Settings};
use tower::ServiceExt as _;

use crate::grpc::{CREATE_ENTRY, frame};
use crate::proposal::Signer;
use crate::support::{TestLog, open_log};

const ENTRIES: &str = "/api/v1/log/entries";
const BATCH: &str = "/api/v1/log/entries/batch";
const ENTRIES_V2: &str = "/api/v2/log/entries";

/// What a route is asked.
#[derive(Clone, Debug)]
enum Asked {
    /// GET.
    Get,
    /// POST of JSON.
    Json(String),
    /// POST of a message of gRPC.
    Grpc(Vec<u8>),
}

/// A whole answer: its HTTP status, the status of gRPC in its headers, its body.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    status: u16,
    grpc: Option<String>,
    body: String,
}

/// Each route that can be switched off: the name of its operation, a path, what it is asked, and
/// what it says when it is off.
fn routes(signer: &Signer) -> Vec<(&'static str, String, Asked, Said)> {
    let v1 = |title: &str| Said {
        status: 501,
        grpc: None,
        body: format!(
            "{{\"code\":501,\"message\":\"{title} API not enabled in this Rekor instance\"}}\n"
        ),
    };
    let v2 = |method: &str| Said {
        status: 501,
        grpc: None,
        body: format!(
            "{{\"code\":12,\"message\":\"method {method} not implemented\",\"details\":[]}}"
        ),
    };
    let grpc = Said {
        status: 200,
        grpc: Some("12".to_owned()),
        body: String::new(),
    };
    let get = |id, path: &str, said| (id, path.to_owned(), Asked::Get, said);
    let post = |id, path: &str, body: String, said| (id, path.to_owned(), Asked::Json(body), said);
    let zeros = "0".repeat(64);
    let proposal = signer.proposal(b"v1");
    let by_uuid = || v1("Get Log Entry by UUID");
    vec![
        get("getLogInfo", "/api/v1/log", v1("Get Log Info")),
        get(
            "getPublicKey",
            "/api/v1/log/publicKey",
            v1("Get Public Key"),
        ),
        get(
            "getLogProof",
            "/api/v1/log/proof?lastSize=1",
            v1("Get Log Proof"),
        ),
        post(
            "createLogEntry",
            ENTRIES,
            proposal.clone(),
            v1("Create Entry"),
        ),
        get(
            "getLogEntryByIndex",
            "/api/v1/log/entries?logIndex=0",
            v1("Get Log Entry by Index"),
        ),
        get(
            "getLogEntryByUUID",
            &format!("{ENTRIES}/{zeros}"),
            by_uuid(),
        ),
        get(
            "getLogEntryByUUID",
            "/api/v1/log/entries/retrieve",
            by_uuid(),
        ),
        get("getLogEntryByUUID", BATCH, by_uuid()),
        post(
            "searchLogQuery",
            "/api/v1/log/entries/retrieve",
            "{}".into(),
            v1("Search Log Query"),
        ),
        post(
            "searchIndex",
            "/api/v1/index/retrieve",
            "{}".into(),
            v1("Search Index"),
        ),
        get(
            "searchEntries",
            "/api/v1/index/search",
            v1("Search Entries"),
        ),
        get(
            "getLogEvents",
            "/api/v1/log/events?limit=0",
            v1("Get Log Events"),
        ),
        post(
            "lookUpKeys",
            "/api/v1/index/lookup",
            r#"{"keys":["x"]}"#.to_owned(),
            v1("Look Up Keys"),
        ),
        post(
            "createLogEntries",
            BATCH,
            format!("{{\"entries\":[{proposal}]}}"),
            v1("Create Entries"),
        ),
        post(
            "createEntry",
            ENTRIES_V2,
            signer.proposal_v2(b"v2"),
            v2("CreateEntry"),
        ),
        (
            "createEntry",
            CREATE_ENTRY.to_owned(),
            Asked::Grpc(frame(&signer.proposal_v2(b"grpc"))),
            grpc,
        ),
        get(
            "getEntryByLeafHash",
            &format!("{ENTRIES_V2}?leafHash={zeros}"),
            v2("GetEntryByLeafHash"),
        ),
        get(
            "getEntryByIndex",
            "/api/v2/log/entries/0",
            v2("GetEntryByIndex"),
        ),
        get(
            "getConsistencyProof",
            "/api/v2/log/proof/consistency?first=1&last=1",
            v2("GetConsistencyProof"),
        ),
        get("getCheckpoint", "/checkpoint", v2("GetCheckpoint")),
        get("getCheckpoint", "/api/v2/checkpoint", v2("GetCheckpoint")),
        get("getTile", "/tile/0/000.p/1", v2("GetTile")),
        get("getTile", "/api/v2/tile/0/000.p/1", v2("GetTile")),
        get(
            "getEntryBundle",
            "/tile/entries/000.p/1",
            v2("GetEntryBundle"),
        ),
        get(
            "getEntryBundle",
            "/api/v2/tile/entries/000.p/1",
            v2("GetEntryBundle"),
        ),
        get(
            "getTreeCheckpoint",
            "/trees/1/checkpoint",
            v1("Get Tree Checkpoint"),
        ),
        get(
            "getTreeFreezeNote",
            "/trees/1/freeze",
            v1("Get Tree Freeze Note"),
        ),
        get("getTreeTile", "/trees/1/tile/0/000", v1("Get Tree Tile")),
        get(
            "getTreeEntryBundle",
            "/trees/1/tile/entries/000",
            v1("Get Tree Entry Bundle"),
        ),
        get("getTreeEntry", "/trees/1/entries/0", v1("Get Tree Entry")),
        get("getTrees", "/trees", v1("Get Trees")),
        get("getGuard", "/guard", v1("Get Guard")),
        get(
            "getTreeEntryTlogProof",
            "/trees/1/entries/0/tlog-proof",
            v1("Get Tree Entry Tlog Proof"),
        ),
        get("getTreeRows", "/trees/1/rows/0", v1("Get Tree Rows")),
        get(
            "getTrustedRoot",
            "/trust/trusted_root.json",
            v1("Get Trusted Root"),
        ),
        get(
            "getSigningConfig",
            "/trust/signing_config.v0.2.json",
            v1("Get Signing Config"),
        ),
        get(
            "getTrustConfig",
            "/trust/trust_config.json",
            v1("Get Trust Config"),
        ),
        get(
            "getCheckpointVkey",
            "/trust/checkpoint.vkey",
            v1("Get Checkpoint Vkey"),
        ),
        get(
            "getLogPublicKeys",
            "/trust/log.pub",
            v1("Get Log Public Keys"),
        ),
        get(
            "getMonitorConfig",
            "/trust/monitor_config.json",
            v1("Get Monitor Config"),
        ),
    ]
}

/// Another server of the same log.
fn server(ledger: &Ledger, settings: &Settings, change: impl FnOnce(&mut Settings)) -> Router {
    let mut settings = Settings {
        metrics: prometheus::Registry::new(),
        ..settings.clone()
    };
    change(&mut settings);
    server::router(ledger.clone(), &settings).expect("fresh metrics")
}

/// The number of entries in all logs.
fn entries(ledger: &Ledger) -> u64 {
    ledger.logs().iter().map(|log| log.head().size.0).sum()
}

async fn ask(server: &Router, path: &str, asked: &Asked) -> Said {
    ask_from(server, path, asked, None).await
}

/// Asks as the browser of somebody who looks at a page of this origin.
async fn ask_from(server: &Router, path: &str, asked: &Asked, page: Option<&str>) -> Said {
    let (method, content_type, body) = match asked {
        Asked::Get => (Method::GET, None, Vec::new()),
        Asked::Json(body) => (
            Method::POST,
            Some("application/json"),
            body.clone().into_bytes(),
        ),
        Asked::Grpc(frame) => (Method::POST, Some("application/grpc"), frame.clone()),
    };
    let mut request = Request::builder().method(method).uri(path);
    if let Some(content_type) = content_type {
        request = request
            .header("content-type", content_type)
            .header("content-length", body.len());
    }
    if let Some(page) = page {
        request = request.header("origin", page);
    }
    let request = request.body(Body::from(body)).expect("a request");
    let (head, body) = server
        .clone()
        .oneshot(request)
        .await
        .expect("infallible")
        .into_parts();
    let body = body.collect().await.expect("in memory").to_bytes();
    let grpc = head
        .headers
        .get("grpc-status")
        .map(|status| status.to_str().expect("digits").to_owned());
    Said {
        status: head.status.as_u16(),
        grpc,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

#[tokio::test]
async fn a_kind_that_is_not_enabled_is_read_and_not_written() {
    let mut opened = open_log().await;
    opened.1.policy = opened.1.policy.with_kinds([""; 0]).expect("no names");
    let log = TestLog::of(opened);
    let proposal = Signer::new().proposal(b"x");
    let answer = log.post(ENTRIES, &proposal).await;
    let expected = "{\"code\":400,\"message\":\"error processing entry: entry kind 'hashedrekord' is not enabled for submission on this server\"}\n";
    assert_eq!((answer.status, answer.body.as_str()), (400, expected));
    let query = format!("{{\"entries\":[{proposal}]}}");
    assert_eq!(
        log.post("/api/v1/log/entries/retrieve", &query).await.body,
        "[]\n"
    );
    assert_eq!(log.get("/api/v1/log").await.json()["treeSize"], 0);
}

/// Whether a path with its query is one of a template of the table: `{name}` is a segment,
/// `{*name}` all that is left.
fn is_of(template: &str, target: &str) -> bool {
    let mut segments = target.split('?').next().unwrap_or_default().split('/');
    for expected in template.split('/') {
        let segment = segments.next();
        if expected.starts_with("{*") {
            return segment.is_some();
        }
        if !expected.starts_with('{') && segment != Some(expected) {
            return false;
        }
    }
    segments.next().is_none()
}

#[test]
fn every_route_of_the_table_is_asked_here() {
    let routes = routes(&Signer::new());
    for (id, method, template) in Operations::routes() {
        let is_asked = routes.iter().any(|(asked_id, path, asked, _)| {
            let asked_method = if matches!(asked, Asked::Get) {
                Method::GET
            } else {
                Method::POST
            };
            *asked_id == id && asked_method == *method && is_of(template, path)
        });
        assert!(is_asked, "{id}: {method} {template}");
    }
}

#[test]
fn the_writes_of_the_table_are_the_ones_that_are_asked_here() {
    let writes = writes(&Signer::new());
    for (id, method, template) in Operations::routes() {
        let is_asked = writes
            .iter()
            .any(|(path, ..)| *method == Method::POST && is_of(template, path));
        assert_eq!(
            is_asked,
            id.starts_with("create"),
            "{id}: {method} {template}"
        );
    }
}

#[tokio::test]
async fn each_operation_can_be_switched_off_on_all_of_its_routes_and_no_other() {
    let (ledger, settings, _folder) = open_log().await;
    let routes = routes(&Signer::new());
    for off in Operations::names() {
        assert!(
            routes.iter().any(|(id, ..)| *id == off),
            "{off} is asked nowhere here"
        );
        let names = Operations::names().into_iter().filter(|name| *name != off);
        let server = server(&ledger, &settings, |settings| {
            settings.operations = Operations::from_names(names).expect("names");
        });
        for (id, path, asked, said) in &routes {
            let answer = ask(&server, path, asked).await;
            assert_eq!(
                *id == off,
                answer == *said,
                "without {off}, {id} at {path}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn without_any_operation_nothing_is_read_or_stored_and_probes_answer() {
    let (ledger, settings, _folder) = open_log().await;
    let server = server(&ledger, &settings, |settings| {
        settings.operations = Operations::from_names([""; 0]).expect("no names");
    });
    for (_, path, asked, said) in routes(&Signer::new()) {
        assert_eq!(ask(&server, &path, &asked).await, said, "{path}");
    }
    assert_eq!(entries(&ledger), 0);
    for path in [
        "/",
        "/docs",
        "/swagger.json",
        "/ping",
        "/healthz",
        "/readyz",
    ] {
        assert_eq!(ask(&server, path, &Asked::Get).await.status, 200, "{path}");
    }
}

/// The ways to write, in the spellings that reach them, and what a server says that only reads: as
/// Rekor v1 whose writing operation is switched off, and as Rekor v2 with `--read-only`.
fn writes(signer: &Signer) -> Vec<(String, Asked, Said)> {
    let v1 = |title: &str| Said {
        status: 501,
        grpc: None,
        body: format!(
            "{{\"code\":501,\"message\":\"{title} API not enabled in this Rekor instance\"}}\n"
        ),
    };
    let frozen = "This log has been frozen, please switch to the latest log.\n";
    let proposal = signer.proposal(b"v1");
    let batch = format!("{{\"entries\":[{proposal}]}}");
    let mut writes = Vec::new();
    for path in [
        ENTRIES,
        "/api/v1/log/entries/",
        "//api//v1/log/entries",
        "/x/../api/v1/log/entries",
        "/api/v1/./log/entries",
        "/api/v1/log/entries/retrieve/..",
        "/api/v1/log/entries/retrieve/x%2Fy/../..",
    ] {
        writes.push((
            path.to_owned(),
            Asked::Json(proposal.clone()),
            v1("Create Entry"),
        ));
    }
    for path in [
        BATCH,
        "/api/v1/log/entries/batch/",
        "//api/v1/log/entries/./batch",
        "/api/v1/log/entries/x/../batch",
    ] {
        writes.push((
            path.to_owned(),
            Asked::Json(batch.clone()),
            v1("Create Entries"),
        ));
    }
    let v2 = Said {
        status: 405,
        grpc: None,
        body: frozen.to_owned(),
    };
    writes.push((
        ENTRIES_V2.to_owned(),
        Asked::Json(signer.proposal_v2(b"v2")),
        v2,
    ));
    let grpc = Said {
        status: 200,
        grpc: Some("12".to_owned()),
        body: String::new(),
    };
    writes.push((
        CREATE_ENTRY.to_owned(),
        Asked::Grpc(frame(&signer.proposal_v2(b"grpc"))),
        grpc,
    ));
    writes
}

#[tokio::test]
async fn a_read_only_server_refuses_every_write_in_every_spelling_and_reads() {
    let (ledger, settings, _folder) = open_log().await;
    let signer = Signer::new();
    let writer = server(&ledger, &settings, |_| {});
    assert_eq!(
        ask(&writer, ENTRIES, &Asked::Json(signer.proposal(b"one")))
            .await
            .status,
        201
    );
    let reader = server(&ledger, &settings, |settings| settings.read_only = true);
    for (path, asked, said) in writes(&signer) {
        assert_eq!(ask(&reader, &path, &asked).await, said, "{path}");
    }
    assert_eq!(entries(&ledger), 1);
    for (_, path, asked, off) in routes(&signer)
        .into_iter()
        .filter(|(id, ..)| !id.starts_with("create"))
    {
        let answer = ask(&reader, &path, &asked).await;
        assert!(answer != off && answer.status < 500, "{path}: {answer:?}");
    }
    let ready = ask(&reader, "/readyz", &Asked::Get).await;
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (200, "{\"status\":\"SERVING\",\"readOnly\":true}\n")
    );
    // The same spellings reach a server that writes: none of them was refused for what it is.
    for (path, asked, _) in writes(&signer) {
        let answer = ask(&writer, &path, &asked).await;
        assert!(
            matches!(answer.status, 200 | 201 | 409) && answer.grpc.is_none(),
            "{path}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_web_page_writes_only_from_an_origin_that_is_named() {
    let (ledger, settings, _folder) = open_log().await;
    let signer = Signer::new();
    let page = "https://search.example";
    let named =
        |settings: &mut Settings| settings.cors_origins = vec![page.parse().expect("an origin")];
    let private = server(&ledger, &settings, |_| {});
    let public = server(&ledger, &settings, |settings| settings.public = true);
    let named = server(&ledger, &settings, named);
    for (path, asked, _) in writes(&signer) {
        for (server, page) in [
            (&private, page),
            (&public, page),
            (&private, "null"),
            (&named, "https://evil.example"),
        ] {
            let answer = ask_from(server, &path, &asked, Some(page)).await;
            let is_grpc = matches!(asked, Asked::Grpc(_));
            let expected = if is_grpc {
                (200, Some("7"))
            } else {
                (403, None)
            };
            assert_eq!(
                (answer.status, answer.grpc.as_deref()),
                expected,
                "{path} from {page}: {answer:?}"
            );
        }
    }
    assert_eq!(entries(&ledger), 0);
    for (path, asked, _) in writes(&signer) {
        let answer = ask_from(&named, &path, &asked, Some(page)).await;
        assert!(
            matches!(answer.status, 200 | 201 | 409) && answer.grpc.is_none(),
            "{path}: {answer:?}"
        );
    }
}
