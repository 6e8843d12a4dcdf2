//! Checks before every request of a listener, whatever it serves: a strict head, and a place.

use std::sync::Arc;
use std::time::Duration;

use http::header::{EXPECT, HOST};
use http::uri::Authority;
use http::{HeaderValue, Request, StatusCode, Version};
use prometheus::IntCounterVec;
use tokio::time::timeout;

use crate::fair::{Pool, Rule, Taken};
use crate::limits::{ADMISSION_WAIT, CONNECTIONS_PER_PROBE, CONNECTIONS_PER_SPARE};
use crate::peer::Address;
use crate::refusal::{Reason, Refusal};

/// The places for requests. A request of HTTP/1.1 and a stream of HTTP/2 are the same work.
pub(crate) struct Requests {
    places: Arc<Pool>,
    /// Places in the line: streams that wait hold their headers.
    line: Arc<Pool>,
    /// Places for probes, which no other request takes.
    probes: Arc<Pool>,
    probe_paths: &'static [&'static str],
    refused: IntCounterVec,
}

impl Requests {
    /// Makes the places for a listener of so many connections. `refused` counts by the labels of
    /// [`Reason`].
    pub(crate) fn new(
        connections: usize,
        probe_paths: &'static [&'static str],
        refused: IntCounterVec,
    ) -> Self {
        let connections = connections as u64;
        // Fewer than connections, so that one of them is always idle and can make room.
        let spare = (connections / CONNECTIONS_PER_SPARE).max(1);
        let places = connections.saturating_sub(spare).max(1);
        let probes = (connections / CONNECTIONS_PER_PROBE).max(1);
        Self {
            places: Pool::new(places, Rule::LeaveRoom),
            line: Pool::new(connections, Rule::LeaveRoom),
            probes: Pool::new(probes, Rule::LeaveRoom),
            probe_paths,
            refused,
        }
    }

    /// Checks the head of a request and waits for a place, which is held until the answer is sent.
    ///
    /// # Errors
    ///
    /// 400 or 417 for the head; 503 if no place came in time.
    pub(crate) async fn admit<B>(
        &self,
        request: &Request<B>,
        address: Address,
    ) -> Result<Taken, Refusal> {
        let admitted = match check_head(request) {
            Ok(()) => self.place(request.uri().path(), address).await,
            Err(error) => Err(error),
        };
        if let Some(reason) = admitted.as_ref().err().and_then(|refusal| refusal.reason) {
            self.refused.with_label_values(&[reason.label()]).inc();
        }
        admitted
    }

    async fn place(&self, path: &str, address: Address) -> Result<Taken, Refusal> {
        let places = if self.probe_paths.contains(&path) {
            &self.probes
        } else {
            &self.places
        };
        if let Some(place) = places.try_take(address, 1) {
            return Ok(place);
        }
        let full = |wait: Duration| {
            Refusal::unavailable(
                Reason::REQUESTS,
                "too many requests at once",
                wait.as_secs(),
            )
        };
        let in_line = self
            .line
            .try_take(address, 1)
            .ok_or_else(|| full(ADMISSION_WAIT))?;
        let place = timeout(ADMISSION_WAIT, places.take(address, 1)).await;
        drop(in_line);
        place.map_err(|_| full(ADMISSION_WAIT))
    }
}

/// Refuses heads that a proxy in front may read differently from this server, and expectations that
/// this server does not meet.
fn check_head<B>(request: &Request<B>) -> Result<(), Refusal> {
    check_host(request)?;
    // RFC 9110 section 10.1.1. There is one expectation, in any case.
    let is_known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !request.headers().get_all(EXPECT).iter().all(is_known) {
        let message = "the only expectation that can be met is 100-continue";
        return Err(Refusal::new(StatusCode::EXPECTATION_FAILED, message).because(Reason::EXPECT));
    }
    Ok(())
}

/// RFC 9112 section 3.2: HTTP/1.1 has exactly one Host, and a valid one. RFC 9113 section 8.3.1: if
/// HTTP/2 has one beside `:authority`, they are equal.
fn check_host<B>(request: &Request<B>) -> Result<(), Refusal> {
    let refuse =
        |message: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, message).because(Reason::HOST));
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return refuse("more than one Host header");
    }
    let Some(host) = host else {
        return match request.version() {
            Version::HTTP_11 => refuse("missing required Host header"),
            _ => Ok(()),
        };
    };
    let host = host.as_bytes();
    // A target without an authority has an empty Host.
    if !host.is_empty() && !is_plain(host) && parse_host(host).is_none() {
        return refuse("malformed Host header");
    }
    match (request.version(), request.uri().authority()) {
        (Version::HTTP_2, Some(authority)) if parse_host(host).as_ref() != Some(authority) => {
            refuse("Host and :authority differ")
        }
        _ => Ok(()),
    }
}

fn parse_host(host: &[u8]) -> Option<Authority> {
    let has_user = host.contains(&b'@');
    Authority::try_from(host).ok().filter(|_| !has_user)
}

/// Recognizes a name or an IPv4 address, with or without a port. Nearly all requests have one, and
/// the parser would make a copy of it.
fn is_plain(host: &[u8]) -> bool {
    let is_name = |bytes: &[u8]| {
        let is_allowed = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        !bytes.is_empty() && bytes.iter().all(is_allowed)
    };
    match host.iter().position(|&byte| byte == b':') {
        None => is_name(host),
        Some(colon) => {
            let (name, port) = (&host[..colon], &host[colon + 1..]);
            is_name(name) && !port.is_empty() && port.iter().all(u8::is_ascii_digit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(version: Version, target: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::get(target).version(version);
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        let checked = check_head(&request.body(()).expect("a request"));
        checked.map_or_else(|error| error.status.as_u16(), |()| 200)
    }

    #[test]
    fn http1_has_one_valid_host() {
        for (headers, expected) in [
            (&[("host", "log.example")][..], 200),
            (&[("host", "log.example:3000")], 200),
            (&[("host", "[::1]:3000")], 200),
            (&[("host", "")], 200),
            (&[], 400),
            (&[("host", "a.example"), ("host", "b.example")], 400),
            (&[("host", "a.example"), ("host", "a.example")], 400),
            (&[("host", "a b")], 400),
            (&[("host", "user@a.example")], 400),
            (&[("host", "a.example/x")], 400),
        ] {
            assert_eq!(
                status(Version::HTTP_11, "/", headers),
                expected,
                "{headers:?}"
            );
        }
        assert_eq!(status(Version::HTTP_10, "/", &[]), 200);
        assert_eq!(
            status(Version::HTTP_10, "/", &[("host", "a"), ("host", "b")]),
            400
        );
    }

    #[test]
    fn http2_needs_no_host_beside_its_authority() {
        for (headers, expected) in [
            (&[][..], 200),
            (&[("host", "A.example:1")], 200),
            (&[("host", "b.example:1")], 400),
        ] {
            assert_eq!(
                status(Version::HTTP_2, "http://a.example:1/", headers),
                expected,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn the_parser_takes_whatever_is_plain() {
        let alphabet = *b"a0.-:@[";
        let count = alphabet.len();
        for number in 0..count.pow(5) {
            let digit = |place: u32| alphabet[number / count.pow(place) % count];
            let host: Vec<u8> = (0..5).map(digit).collect();
            assert!(!is_plain(&host) || parse_host(&host).is_some(), "{host:?}");
        }
    }

    #[test]
    fn one_expectation_is_met() {
        let host = ("host", "x");
        assert_eq!(
            status(Version::HTTP_11, "/", &[host, ("expect", "100-Continue")]),
            200
        );
        assert_eq!(
            status(Version::HTTP_11, "/", &[host, ("expect", "200-ok")]),
            417
        );
        let both = [host, ("expect", "100-continue"), ("expect", "x")];
        assert_eq!(status(Version::HTTP_11, "/", &both), 417);
    }
}
