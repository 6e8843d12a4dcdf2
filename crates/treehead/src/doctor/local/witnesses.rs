//! The witnesses of the policy: who answers, and whether a quorum does.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use client::explain::Report;
use http::Request;
use http::header::USER_AGENT;
use http_body_util::Full;

use crate::config::Config;
use crate::http_client::{Bounds, HttpClient};

const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(2),
    answer: Duration::from_secs(3),
    answer_bytes: 64 * 1024,
};

/// Asks each witness for anything: what it answers does not matter, and it learns nothing.
pub(super) async fn check(report: &mut Report, config: &Config) {
    let policy = match config.witness_policy() {
        Ok(Some(policy)) => policy,
        Ok(None) => return,
        Err(failure) => {
            report.error(
                "witness-policy",
                &[],
                "",
                failure,
                "correct the file; deploy/witness-policy is a sample",
            );
            return;
        }
    };
    let mut reached = HashSet::new();
    for (number, witness) in policy.witnesses().iter().enumerate() {
        let Some(url) = &witness.url else { continue };
        match reach(url).await {
            Ok(()) => {
                reached.insert(number);
                report.fact("witness", format_args!("{url} answers"));
            }
            Err(why) => {
                let what = format!("the witness {url} cannot be reached: {why}");
                report.warning(
                    "witness-unreachable",
                    url,
                    what,
                    "ask its operator; and check the way there, TLS certificate included",
                );
            }
        }
    }
    if !policy.is_quorum(&reached) {
        let what = "the witnesses that answer make no quorum: no head is published, and each \
            write gets 503 after 10 s";
        let remedy = "bring witnesses back. Until then --witness-fail-open-seconds publishes \
            without them; or change the policy, and restart";
        report.error("witness-quorum", &[], "", what, remedy);
    }
}

async fn reach(url: &str) -> Result<(), String> {
    let client = HttpClient::new(url, BOUNDS)?;
    let request = Request::get(url).header(USER_AGENT, "treehead");
    let request = request
        .body(Full::new(Bytes::new()))
        .map_err(|error| error.to_string())?;
    client.send(request).await.map(drop)
}
