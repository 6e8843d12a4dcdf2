//! What is at a URL: a log with its APIs, keys and trust material, or a document.

use std::time::Duration;

use bytes::Bytes;
use client::explain::{Address, Client, MAX_DOCUMENT_BYTES, Report, explain};
use http::header::{DATE, LOCATION, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;

use super::{DoctorFlags, document, now};
use crate::failure::{Failure, FailureKind, Outcome};
use crate::http_client::{Answer, Bounds, HttpClient};

mod apis;
mod date;

const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(20),
    answer_bytes: MAX_DOCUMENT_BYTES,
};
/// A clock that is so far off makes certificates of ten minutes useless.
const MUCH_SECONDS: i64 = 60;
/// Answers carry whole seconds, and take time.
const SOME_SECONDS: i64 = 5;
/// cosign and sigstore-go.
const GO: &[Client] = &[Client::Cosign, Client::SigstoreGo];

/// A server that answers.
struct Site {
    base: String,
    client: HttpClient,
}

impl Site {
    /// Returns the answer at a path below the URL.
    async fn get(&self, path: &str) -> Result<Answer, String> {
        let request = Request::get(format!("{}{path}", self.base))
            .header(USER_AGENT, "treehead")
            .body(Full::new(Bytes::new()));
        self.client
            .send(request.map_err(|error| error.to_string())?)
            .await
    }

    /// Returns the body at a path, if there is one.
    async fn found(&self, path: &str) -> Option<Bytes> {
        let answer = self.get(path).await.ok()?;
        (answer.status == StatusCode::OK).then_some(answer.body)
    }
}

/// Looks at a URL.
pub(super) async fn examine(url: &str, flags: &DoctorFlags) -> Outcome<Report> {
    let address = Address::of(url);
    if !["http", "https"].contains(&address.scheme.as_str()) || address.host.is_empty() {
        let what = format_args!("{url:?} is no http or https URL");
        return Err(Failure::new(FailureKind::Usage, what));
    }
    let client = HttpClient::new(url, BOUNDS);
    let client = client.map_err(|why| Failure::new(FailureKind::Other, why))?;
    let site = Site {
        base: url.trim_end_matches('/').to_owned(),
        client,
    };
    let mut report = Report {
        what: "URL of a log".to_owned(),
        ..Report::default()
    };
    let answer = match site.get("").await {
        Ok(answer) => answer,
        Err(why) => {
            unreachable(&mut report, &address, &why);
            return Ok(report);
        }
    };
    check_clock(&mut report, &answer);
    if let Some(explained) = as_document(&answer, flags)? {
        report.absorb(
            "",
            Report {
                findings: explained.findings.clone(),
                ..Report::default()
            },
        );
        return Ok(Report {
            findings: report.findings,
            facts: [report.facts, explained.facts].concat(),
            ..explained
        });
    }
    check_redirect(&mut report, &answer);
    check_address(&mut report, &address, url);
    apis::check(&mut report, &site, &address).await;
    report.sort();
    Ok(report)
}

/// Explains the body of a URL that leads to a document.
fn as_document(answer: &Answer, flags: &DoctorFlags) -> Outcome<Option<Report>> {
    if answer.status != StatusCode::OK {
        return Ok(None);
    }
    let known = explain(&answer.body, now());
    let is_known = known
        .findings
        .iter()
        .all(|finding| finding.id != "unknown-document");
    match is_known && !answer.body.is_empty() {
        true => document(&answer.body, flags).map(Some),
        false => Ok(None),
    }
}

fn unreachable(report: &mut Report, address: &Address, why: &str) {
    let is_tls = ["certificate", "tls", "TLS", "UnknownIssuer", "handshake"]
        .iter()
        .any(|word| why.contains(word));
    let (id, remedy) = if why.contains("expired") || why.contains("not valid yet") {
        (
            "tls-certificate-time",
            "renew the certificate of the server; and check the clock of this machine",
        )
    } else if is_tls {
        (
            "tls",
            "give the server a certificate for this name from an authority that clients trust, \
                with its intermediate; a private \
             authority goes into SSL_CERT_FILE, for cosign likewise",
        )
    } else {
        (
            "unreachable",
            "is the name right (getent hosts NAME), does the server run, is the port open on the \
                way to it?",
        )
    };
    let what = format!("{} cannot be reached: {why}", address.host);
    report.error(id, GO, "", what, remedy);
}

fn check_clock(report: &mut Report, answer: &Answer) {
    let date = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
    let Some(theirs) = date.and_then(date::unix_seconds) else {
        return;
    };
    let ahead = theirs - now();
    report.fact(
        "clock of the server",
        format_args!("{ahead:+} s against this machine"),
    );
    let what = format!(
        "the clocks of the server and of this machine differ by {} s",
        ahead.abs()
    );
    let remedy = "find out which one is off (chronyc tracking, timedatectl) and have it \
        synchronised. Certificates of Fulcio are \
                  valid for ten minutes, and a log with a wrong clock dates entries outside them";
    if ahead.abs() > MUCH_SECONDS {
        report.error("clock-differs", GO, "", what, remedy);
    } else if ahead.abs() > SOME_SECONDS {
        report.warning("clock-differs", "", what, remedy);
    }
}

fn check_redirect(report: &mut Report, answer: &Answer) {
    if !answer.status.is_redirection() {
        return;
    }
    let to = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok());
    let what = format!(
        "the URL redirects to {}: clients send entries by POST, which most of them turn into a \
            GET on the way",
        to.unwrap_or("nowhere")
    );
    report.warning(
        "redirect",
        "",
        what,
        "give clients the URL that it leads to",
    );
}

fn check_address(report: &mut Report, address: &Address, url: &str) {
    let is_local =
        address.host == "localhost" || address.host.starts_with("127.") || address.host == "::1";
    if address.scheme == "http" && !is_local {
        let what = "plain http: anybody on the way can read and drop requests. What a log answers \
            is signed all the same";
        report.warning(
            "plain-http",
            "",
            what,
            "put a proxy with TLS in front of the server, and use https",
        );
    }
    if url.ends_with('/') {
        let what = "the URL ends with a slash: sigstore-python then asks for //api/…, and \
            rekor-monitor takes it for a part of the origin";
        report.warning(
            "url-slash",
            "",
            what,
            "write it without the slash wherever clients are configured",
        );
    }
}
