//! Readers of the stream of events that are sent from server to server, as a load balancer does it.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::http::{self, Answer};
use crate::writer::Servers;

/// Longest silence that a reader waits for before it goes to another server.
const SILENCE: Duration = Duration::from_millis(500);

/// One reader.
pub(crate) struct Follower {
    /// The position after the last event.
    last: String,
    random: u64,
    seen: Vec<Value>,
}

impl Follower {
    /// Begins with the first entry. `number` decides when it leaves.
    pub(crate) fn new(number: u64) -> Self {
        Self {
            last: "start".to_owned(),
            random: 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(2 * number + 1),
            seen: Vec::new(),
        }
    }

    /// Reads until `done` and everything was seen.
    pub(crate) fn follow_among(&mut self, servers: &Servers, done: &AtomicBool) {
        loop {
            let may_end = done.load(Ordering::Relaxed);
            let server = servers.next();
            // A server that stops or dies ends the connection.
            if self.connection(server).is_err() {
                thread::sleep(Duration::from_millis(20));
            }
            if may_end && page(server, &self.last).is_ok_and(|page| is_end(&page)) {
                return;
            }
        }
    }

    /// Reads some events, and leaves in the middle of whatever comes.
    fn connection(&mut self, server: SocketAddr) -> io::Result<()> {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let mut lines_left = self.random % 200;
        let mut stream = http::connect(server)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(request("text/event-stream", "", Some(&self.last)).as_bytes())?;
        let mut message: Option<(String, Option<Value>)> = None;
        for line in BufReader::new(stream).lines() {
            let line = line?;
            if let Some(id) = line.strip_prefix("id: ") {
                message = Some((id.to_owned(), None));
            } else if let Some(data) = line.strip_prefix("data: ") {
                let (_, event) = message.as_mut().unwrap();
                *event = Some(serde_json::from_str(data).unwrap());
            } else if line.is_empty()
                && let Some((id, event)) = message.take()
            {
                self.last = id;
                self.seen.extend(event);
            }
            if lines_left == 0 {
                return Ok(());
            }
            lines_left -= 1;
        }
        Ok(())
    }
}

fn request(accept: &str, query: &str, last: Option<&str>) -> String {
    let last = last.map(|last| format!("Last-Event-ID: {last}\r\n"));
    format!(
        "GET /api/v1/log/events{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Accept: {accept}\r\n{}\r\n",
        last.unwrap_or_default()
    )
}

fn page(server: SocketAddr, after: &str) -> io::Result<Answer> {
    let mut stream = http::connect(server)?;
    let query = format!("?after={after}");
    stream.write_all(request("application/json", &query, None).as_bytes())?;
    http::answer(stream)
}

fn is_end(page: &Answer) -> bool {
    let page = page.json();
    page["more"] == false && page["events"] == Value::Array(Vec::new())
}

/// Each saw each entry of both logs once, in order. Neither log was rotated.
pub(crate) fn assert_each_saw_all(followers: &[Follower], server: SocketAddr) {
    let v1 = http::get(server, "/api/v1/log").json()["treeSize"].clone();
    let v2 = http::get(server, "/checkpoint").body;
    let v2 = v2.lines().nth(1).unwrap().parse().unwrap();
    for follower in followers {
        let mut indexes: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for event in &follower.seen {
            let of_log = indexes.entry(event["log"].as_str().unwrap());
            of_log.or_default().push(event["index"].as_u64().unwrap());
        }
        for (log, size) in [("v1", v1.as_u64().unwrap()), ("v2", v2)] {
            let seen = indexes.remove(log).unwrap_or_default();
            assert_eq!(seen, (0..size).collect::<Vec<_>>(), "{log}");
        }
    }
}
