//! Events: pages and streams.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use ledger::{EntryClaims, Ledger, NewEntry, V1};
use serde_json::Value;
use tlog::sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::life::only_key;
use crate::listening::serve;
use crate::proposal::Signer;
use crate::support::{Answer, TestLog, open_log};

const EVENTS: &str = "/api/v1/log/events";

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(60);

async fn page(log: &TestLog, query: &str) -> Answer {
    let request = Request::get(format!("{EVENTS}?{query}")).header("accept", "application/json");
    log.send(request.body(Body::empty()).expect("a request"))
        .await
}

/// All events of a query from page to page, and the position after them.
async fn all(log: &TestLog, query: &str) -> (Vec<Value>, String) {
    let (mut events, mut after) = (Vec::new(), "start".to_owned());
    loop {
        let answer = page(log, &format!("after={after}&{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page = answer.json();
        events.extend(page["events"].as_array().expect("a list").clone());
        after = page["after"].as_str().expect("a text").to_owned();
        if page["more"] == false {
            return (events, after);
        }
    }
}

/// A member of each event of a log.
fn members(events: &[Value], log: &str, name: &str) -> Vec<Value> {
    let of_log = events.iter().filter(|event| event["log"] == log);
    of_log.map(|event| event[name].clone()).collect()
}

#[tokio::test]
async fn pages_lead_through_all_logs_and_trees() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let mut ids = Vec::new();
    for artifact in 0..3_u8 {
        let answer = log
            .post("/api/v1/log/entries", &signer.proposal(&[artifact]))
            .await;
        ids.push(only_key(&answer.json()));
        if artifact == 1 {
            log.rotate_v1().await;
        }
    }
    for artifact in 0..2_u8 {
        let proposal = signer.proposal_v2(&[artifact]);
        let answer = log.post("/api/v2/log/entries", &proposal).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    for limit in [1, 2, 100] {
        let (events, _) = all(&log, &format!("limit={limit}")).await;
        assert_eq!(members(&events, "v1", "uuid"), ids);
        assert_eq!(
            members(&events, "v1", "index"),
            [0, 1, 2],
            "through all trees"
        );
        assert_eq!(members(&events, "v2", "index"), [0, 1]);
        for event in &events {
            assert!(event.to_string().len() <= 200, "{event}");
            let uuid = event["uuid"].as_str().expect("a text");
            let target = match event["log"] == "v1" {
                true => format!("/api/v1/log/entries?logIndex={}", event["index"]),
                false => format!(
                    "/trees/{}/entries/{}",
                    event["tree"].as_str().expect("a text"),
                    event["index"]
                ),
            };
            let entry = log.get(&target).await;
            assert_eq!(entry.status, 200, "{target}: {}", entry.body);
            assert!(
                event["log"] == "v2" || entry.body.contains(uuid),
                "{target}"
            );
        }
    }
    let digest = sha256(&[1]);
    let (found, after) = all(&log, &format!("sha256={digest}&kind=hashedrekord&limit=1")).await;
    let logs: Vec<&Value> = found.iter().map(|event| &event["log"]).collect();
    assert_eq!(logs, ["v1", "v2"]);
    let rest = page(&log, &format!("after={after}")).await.json();
    assert_eq!(
        (&rest["events"], &rest["more"]),
        (&Value::Array(vec![]), &Value::Bool(false))
    );
    let now = page(&log, "").await.json();
    assert_eq!(now, rest, "without a position it is now");
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused() {
    let (log, other) = (TestLog::start().await, TestLog::start().await);
    let elsewhere = page(&other, "").await.json()["after"].clone();
    let elsewhere = elsewhere.as_str().expect("a text");
    for query in [
        "after=x",
        "subjct=x",
        "since=0",
        "limit=1001",
        &format!("after={elsewhere}"),
    ] {
        let answer = page(&log, query).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.body);
    }
    let request = Request::get(EVENTS).header("accept", "text/html");
    let answer = log
        .send(request.body(Body::empty()).expect("a request"))
        .await;
    assert_eq!(answer.status, 406);
}

/// A reader of a stream over HTTP/1.1.
struct Stream {
    stream: TcpStream,
    text: String,
}

impl Stream {
    async fn open(address: SocketAddr, query: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n"));
        let last = last.unwrap_or_default();
        let request = format!(
            "GET {EVENTS}{query} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{last}\r\n"
        );
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it reads");
        Self {
            stream,
            text: String::new(),
        }
    }

    /// Reads until the text has this, and returns all of it.
    async fn read_until(&mut self, wanted: &str) -> &str {
        let mut buffer = vec![0; 4_096];
        while !self.text.contains(wanted) {
            let read = timeout(SOON, self.stream.read(&mut buffer)).await;
            let read = read.expect("in time").expect("open");
            assert_ne!(read, 0, "it ended: {}", self.text);
            self.text
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        &self.text
    }

    fn last_id(&self) -> &str {
        let mut ids = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("id: "));
        ids.next_back().expect("a position")
    }
}

/// An entry of the v1 log, of any form.
async fn append(ledger: &Ledger, number: u32) {
    let entry = NewEntry {
        leaf_bytes: number.to_be_bytes().to_vec(),
        kind: "hashedrekord:0.0.1".to_owned(),
        index_keys: vec![format!("of {number}")],
        attestation: None,
        claims: EntryClaims::default(),
    };
    let log = ledger.log(&V1).expect("a v1 log");
    log.append(entry).await.expect("it is appended");
}

#[tokio::test]
async fn a_stream_goes_on_where_the_last_one_ended() {
    let served = serve(|_| {}).await;
    append(&served.ledger, 0).await;
    let mut first = Stream::open(served.address, "", None).await;
    let head = first.read_until("\nid: ").await;
    for header in [
        "HTTP/1.1 200 ",
        "content-type: text/event-stream\r\n",
        "cache-control: no-cache, no-store, no-transform",
        "x-accel-buffering: no\r\n",
    ] {
        assert!(head.contains(header), "{header}: {head}");
    }
    append(&served.ledger, 1).await;
    let text = first.read_until("\"index\":1,").await;
    assert!(!text.contains("\"index\":0,"), "from now on: {text}");
    let last = first.last_id().to_owned();
    drop(first);
    append(&served.ledger, 2).await;
    // A browser sends the query with which it began.
    let mut second = Stream::open(served.address, "?after=start", Some(&last)).await;
    let text = second.read_until("\"index\":2,").await;
    assert!(!text.contains("\"index\":1,"), "{text}");
    let mut whole = Stream::open(served.address, "?after=start", None).await;
    let text = whole.read_until("\"index\":2,").await.to_owned();
    let data = text.lines().filter(|line| line.starts_with("data: "));
    assert_eq!(data.count(), 3, "{text}");
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let served = serve(|_| {}).await;
    let mut stream = Stream::open(served.address, "", None).await;
    stream.read_until("\nid: ").await;
    served.stop.send(()).expect("it runs");
    stream.read_until(": the server stops\n").await;
    timeout(SOON, served.done)
        .await
        .expect("it stops")
        .expect("no panic")
        .expect("no stream is cut off");
}

#[tokio::test]
async fn streams_are_bounded_for_each_address() {
    // Four streams, of which one address has two.
    let served = serve(|settings| settings.limits.connections = 16).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = Stream::open(served.address, "", None).await;
        stream.read_until("\nid: ").await;
        open.push(stream);
    }
    let mut refused = Stream::open(served.address, "", None).await;
    let text = refused.read_until("at once").await;
    let answer = "{\"code\":503,\"message\":\"too many streams of events at once";
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
    assert!(
        text.contains(answer) && text.contains("retry-after: 30\r\n"),
        "{text}"
    );
    open.pop();
    let again = async {
        loop {
            let mut stream = Stream::open(served.address, "", None).await;
            if stream.read_until("\r\n").await.starts_with("HTTP/1.1 200 ") {
                return;
            }
        }
    };
    timeout(SOON, again).await.expect("the place is free again");
}

/// What a server has of a stream whose reader does not read is one piece, made when there is room.
#[tokio::test]
async fn nothing_is_made_for_a_reader_that_stalls() {
    let (ledger, settings, _folder) = open_log().await;
    let router = server::router(ledger.clone(), &settings).expect("fresh metrics");
    let request = Request::get(format!("{EVENTS}?after=start"));
    let request = request.body(Body::empty()).expect("a request");
    let response = router.oneshot(request).await.expect("infallible");
    let mut body = response.into_body();
    let appends = (0..600).map(|number| append(&ledger, number));
    futures_util::future::join_all(appends).await;
    let sent = || {
        let families = settings.metrics.gather();
        let mut families = families.iter();
        let sent = families.find(|family| family.name() == "treehead_events_sent_total");
        sent.expect("it is registered").get_metric()[0]
            .get_counter()
            .get_value()
    };
    assert_eq!(sent(), 0.0);
    let mut data = 0;
    for pieces in 1.. {
        let frame = body.frame().await.expect("it goes on").expect("no error");
        let piece = frame.into_data().expect("data");
        assert!(piece.len() <= 80 * 1024, "{} bytes", piece.len());
        data += String::from_utf8_lossy(&piece).matches("data: ").count();
        assert_eq!(sent(), data as f64);
        if data == 600 {
            assert_eq!(pieces, 4, "the beginning, and 256 entries each");
            break;
        }
    }
    tokio::time::pause();
    let beat = body.frame().await.expect("it goes on").expect("no error");
    let beat = beat.into_data().expect("data");
    let beat = String::from_utf8_lossy(&beat);
    assert!(beat.starts_with(": heartbeat\nid: "), "{beat}");
}
