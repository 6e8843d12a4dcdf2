use std::sync::Mutex;
use std::thread;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::AUTHORIZATION;
use http::request::Parts;
use ledger::TreeId;
use ledger::guard::{GuardedHead, GuardedTexts};
use ring::rand::SystemRandom;
use tlog::{Checkpoint, Edge, SigningKey, leaf_hash, sha256};

use super::*;

const ORIGIN: &str = "log.example.org";
const SECRET: &str = "not-to-be-shown";

/// A store with one bucket, `guards`, that checks what a real one checks and can be compared by hand:
/// dates and hashes of signed requests, and conditions.
#[derive(Default)]
struct FakeStore {
    object: Option<(Bytes, u64)>,
    versions: u64,
    /// Sizes of the v1 log as they were written.
    sizes: Vec<u64>,
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    NoConditions,
    NoEtags,
    Refuses,
    Damaged,
    /// The write is done, and its answer is lost.
    LosesAnswer,
}

type Shared = Arc<Mutex<FakeStore>>;

/// Starts the store on a thread, and returns the URL of an object in it.
fn start() -> (Shared, String) {
    let store = Shared::default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::clone(&store);
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let router = Router::new().fallback(any(answer)).with_state(state);
            axum::serve(listener, router).await.unwrap();
        });
    });
    (
        store,
        format!("s3://guards/log/guard?endpoint=http://{address}&region=here"),
    )
}

async fn answer(State(store): State<Shared>, request: http::Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    assert_signed(&head, &body);
    let mut store = store.lock().unwrap();
    if head.uri.path() != "/guards/log/guard" {
        return error(StatusCode::NOT_FOUND, "NoSuchBucket");
    }
    match store.trouble {
        Some(Trouble::Refuses) => return error(StatusCode::FORBIDDEN, "AccessDenied"),
        Some(Trouble::Damaged) => store.object = Some((Bytes::from_static(b"guard"), 1)),
        _ => {}
    }
    if head.method == Method::GET {
        return match &store.object {
            Some((bytes, version)) => (version_of(*version), bytes.clone()).into_response(),
            None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
        };
    }
    assert_eq!(head.method, Method::PUT);
    store.put(&head, body)
}

impl FakeStore {
    fn put(&mut self, head: &Parts, body: Bytes) -> Response {
        if self.trouble == Some(Trouble::NoConditions) {
            return error(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
        }
        let wanted = head.headers.get(IF_MATCH);
        let is_met = match (&self.object, wanted) {
            (Some((_, version)), Some(wanted)) => wanted == format!("\"{version}\"").as_str(),
            (None, None) => head.headers[IF_NONE_MATCH] == "*",
            (None, Some(_)) => return error(StatusCode::NOT_FOUND, "NoSuchKey"),
            (Some(_), None) => false,
        };
        if !is_met {
            return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
        }
        let heads = GuardedHeads::decode(&body).unwrap();
        let v1 = heads.heads.iter().find(|head| head.api == "v1");
        self.sizes.extend(v1.map(|head| head.size().0));
        self.versions += 1;
        self.object = Some((body, self.versions));
        match self.trouble {
            Some(Trouble::NoEtags) => StatusCode::OK.into_response(),
            Some(Trouble::LosesAnswer) => error(StatusCode::INTERNAL_SERVER_ERROR, "Internal"),
            _ => version_of(self.versions).into_response(),
        }
    }
}

fn version_of(version: u64) -> [(HeaderName, String); 1] {
    [(ETAG, format!("\"{version}\""))]
}

fn error(status: StatusCode, code: &str) -> Response {
    (status, format!("<Error><Code>{code}</Code></Error>")).into_response()
}

fn assert_signed(head: &Parts, body: &[u8]) {
    let header = |name: &str| head.headers[name].to_str().unwrap();
    assert_eq!(header("x-amz-content-sha256"), sha256(body).to_string());
    assert_eq!(header("x-amz-date").len(), "20261130T170000Z".len());
    let authorization = head.headers[AUTHORIZATION].to_str().unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=ID/"));
    assert!(authorization.contains("/here/s3/aws4_request,SignedHeaders=host;"));
    assert!(!format!("{:?}", head.headers).contains(SECRET));
}

fn place(url: &str) -> S3Place {
    let credentials = || {
        Ok(Credentials {
            key_id: "ID".to_owned(),
            secret: SECRET.to_owned(),
            token: None,
        })
    };
    S3Place::with_credentials(url.parse().unwrap(), credentials).unwrap()
}

/// Returns the heads of a log of each of these APIs and sizes.
fn heads(logs: &[(&str, usize)]) -> GuardedHeads {
    let rng = SystemRandom::new();
    let pkcs8 = SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
    let key = SigningKey::from_pkcs8(&pkcs8, &rng).unwrap();
    let head = |(api, size): &(&str, usize)| {
        let mut edge = Edge::empty();
        edge.append(&vec![leaf_hash(b"leaf"); *size]);
        let checkpoint = Checkpoint::new(ORIGIN, edge.size(), edge.root());
        let checkpoint = checkpoint.sign(ORIGIN, &key, &rng).unwrap();
        GuardedHead {
            api: (*api).to_owned(),
            tree: TreeId(7),
            first_log_index: 0,
            time: 0,
            texts: Some(GuardedTexts {
                checkpoint,
                rekor_checkpoint: None,
            }),
            edge,
        }
    };
    GuardedHeads {
        ledger: ORIGIN.to_owned(),
        heads: logs.iter().map(head).collect(),
    }
}

fn sizes(found: &GuardedHeads) -> Vec<(&str, u64)> {
    let sizes = found.heads.iter();
    sizes
        .map(|head| (head.api.as_str(), head.size().0))
        .collect()
}

#[test]
fn heads_are_read_as_they_were_written() {
    let (store, url) = start();
    let mut place = place(&url);
    assert_eq!(place.read().unwrap(), None);
    for size in 1..4 {
        let heads = heads(&[("v1", size), ("v2", 300)]);
        place.write(&heads).unwrap();
        let found = self::place(&url).read().unwrap().unwrap();
        assert_eq!(sizes(&found), sizes(&heads));
    }
    assert_eq!(store.lock().unwrap().sizes, [1, 2, 3]);
    assert_eq!(place.label(), "s3://guards/log/guard");
}

#[test]
fn servers_on_one_object_never_lower_it() {
    let (store, url) = start();
    let (mut first, mut second) = (place(&url), place(&url));
    first.write(&heads(&[("v1", 5)])).unwrap();
    second.write(&heads(&[("v1", 3)])).unwrap();
    second.write(&heads(&[("v1", 4), ("v2", 2)])).unwrap();
    first.write(&heads(&[("v1", 6), ("v2", 1)])).unwrap();
    let found = place(&url).read().unwrap().unwrap();
    assert_eq!(sizes(&found), [("v1", 6), ("v2", 2)]);
    assert_eq!(store.lock().unwrap().sizes, [5, 5, 6]);
}

#[test]
fn servers_that_write_at_the_same_time_never_lower_it() {
    let (store, url) = start();
    thread::scope(|scope| {
        for server in 0..3 {
            let url = &url;
            scope.spawn(move || {
                let mut place = place(url);
                for size in (1 + server..30).step_by(3) {
                    // More conflicts than are met at once are an error, after which it goes on.
                    drop(place.write(&heads(&[("v1", size)])));
                }
            });
        }
    });
    let sizes = store.lock().unwrap().sizes.clone();
    assert!(sizes.is_sorted() && !sizes.is_empty(), "{sizes:?}");
}

#[test]
fn a_lost_answer_is_found_out() {
    let (store, url) = start();
    let mut place = place(&url);
    store.lock().unwrap().trouble = Some(Trouble::LosesAnswer);
    place.write(&heads(&[("v1", 1)])).unwrap_err();
    store.lock().unwrap().trouble = None;
    place.write(&heads(&[("v1", 1)])).unwrap();
    place.write(&heads(&[("v1", 2)])).unwrap();
    assert_eq!(store.lock().unwrap().sizes, [1, 2]);
}

#[test]
fn an_object_that_was_removed_is_written_anew() {
    let (store, url) = start();
    let mut place = place(&url);
    place.write(&heads(&[("v1", 1)])).unwrap();
    store.lock().unwrap().object = None;
    place.write(&heads(&[("v1", 2)])).unwrap();
    assert_eq!(store.lock().unwrap().sizes, [1, 2]);
}

#[test]
fn only_an_absent_object_has_no_heads() {
    let (store, url) = start();
    let error = place(&url.replace("guards", "other")).read().unwrap_err();
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
    let mut place = place(&url);
    place.write(&heads(&[("v1", 1)])).unwrap();
    for (trouble, words) in [
        (Trouble::Refuses, "AccessDenied"),
        (Trouble::Damaged, "checksum"),
    ] {
        store.lock().unwrap().trouble = Some(trouble);
        let error = place.read().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(!error.contains(SECRET));
    }
    let nowhere = "s3://guards/log/guard?endpoint=http://127.0.0.1:9";
    self::place(nowhere).read().unwrap_err();
}

#[test]
fn a_store_without_conditions_or_etags_is_refused() {
    for (trouble, words) in [
        (Trouble::NoConditions, "conditional writes"),
        (Trouble::NoEtags, "ETag"),
    ] {
        let (store, url) = start();
        store.lock().unwrap().trouble = Some(trouble);
        let error = place(&url).write(&heads(&[("v1", 1)])).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn the_guard_of_another_ledger_stays() {
    let (store, url) = start();
    let mut place = place(&url);
    place.write(&heads(&[("v1", 1)])).unwrap();
    let mut others = heads(&[("v1", 2)]);
    others.ledger = "another.example.org".into();
    place.write(&others).unwrap_err();
    assert_eq!(store.lock().unwrap().sizes, [1]);
}
