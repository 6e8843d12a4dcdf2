//! Certificate authorities and time-stamp authorities of a trusted root.

use crate::explain::certificate::{self, Facts};
use crate::explain::node::Node;
use crate::explain::report::{ALL, GO_PYTHON, PYTHON, Report, time};

/// Checks an authority that certifies signers.
pub(super) fn check_signers(report: &mut Report, authority: &Node<'_>, now: i64) {
    let Some(chain) = chain(report, authority, "certificate authority", now) else {
        return;
    };
    if let Some(leaf) = chain.iter().find(|certificate| !certificate.is_authority()) {
        let what = format_args!(
            "{} is in the chain, and is the certificate of no authority",
            leaf.subject()
        );
        let remedy = "keep the certificates of the authority alone: intermediates, then the root";
        report.error(
            "authority-not-ca",
            ALL,
            authority.at("certChain"),
            what,
            remedy,
        );
    }
}

/// Checks an authority that stamps times.
pub(super) fn check_stampers(report: &mut Report, authority: &Node<'_>, now: i64) {
    let Some(chain) = chain(report, authority, "time-stamp authority", now) else {
        return;
    };
    let place = authority.at("certChain");
    if chain.len() < 2 {
        let what = "the chain has one certificate; sigstore-python asks for the signing \
            certificate and the root";
        let remedy =
            "write the whole chain: GET /api/v1/timestamp/certchain of the authority has it";
        report.error("stamper-chain-short", PYTHON, &place, what, remedy);
    }
    let leaf = chain.first().filter(|leaf| !leaf.is_authority());
    if leaf.is_some_and(|leaf| !leaf.stamps_time()) {
        let what = "the first certificate is not for time stamping (extended key usage)";
        let remedy = "put the certificate first with which the authority signs timestamps";
        report.error("stamper-usage", ALL, place, what, remedy);
    }
}

/// Reads the certificates of an authority, and checks what holds for both kinds.
fn chain(report: &mut Report, authority: &Node<'_>, label: &str, now: i64) -> Option<Vec<Facts>> {
    let place = authority.at("certChain");
    let uri = authority.text("uri").unwrap_or("no URI");
    let nodes = authority
        .get("certChain")
        .map(|chain| chain.items("certificates"))
        .unwrap_or_default();
    if nodes.is_empty() {
        let what = format_args!(
            "the {label} {uri} has no certificates, and sigstore-go refuses the whole trusted root"
        );
        let remedy = "write its certificates, the root last, or remove the authority";
        report.error("authority-without-chain", GO_PYTHON, place, what, remedy);
        return None;
    }
    let mut chain = Vec::new();
    for node in &nodes {
        let read = node
            .bytes_at("rawBytes")
            .ok_or_else(|| "it is empty".to_owned());
        match read.and_then(|der| Facts::read(&der)) {
            Ok(facts) => chain.push(facts),
            Err(error) => {
                let what = format_args!("the certificate cannot be read: {error}");
                let remedy =
                    "rawBytes is the certificate in DER, in base64: not PEM, and not base64 of PEM";
                report.error("certificate-unreadable", ALL, &node.place, what, remedy);
                return None;
            }
        }
    }
    let subjects: Vec<String> = chain.iter().map(Facts::subject).collect();
    report.fact(
        label,
        format_args!("{uri}: {}", subjects.join(", issued by ")),
    );
    certificate::check_order(report, &place, &chain);
    check_times(report, authority, &chain, now);
    Some(chain)
}

/// Clients cache a trusted root for days, so its next authority has to be in it well before. Seconds.
const EXPIRES_SOON: i64 = 30 * 24 * 60 * 60;

fn check_times(report: &mut Report, authority: &Node<'_>, chain: &[Facts], now: i64) {
    let (start, end) = (
        authority.time_at("validFor/start"),
        authority.time_at("validFor/end"),
    );
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        let what = "the window of the authority ends before it begins";
        report.error(
            "authority-window-reversed",
            ALL,
            authority.at("validFor"),
            what,
            "swap start and end",
        );
    }
    let is_over = end.is_some_and(|end| end < now);
    let expired = chain.iter().find(|certificate| certificate.not_after < now);
    if let Some(expired) = expired.filter(|_| !is_over) {
        let what = format_args!(
            "{} expired at {}: signatures from before still verify, new ones do not",
            expired.subject(),
            time(expired.not_after)
        );
        let remedy = "renew the authority's certificate and add it as a further authority; keep \
            this one for old signatures";
        report.warning("authority-expired", authority.at("certChain"), what, remedy);
    }
    let soon = now..now.saturating_add(EXPIRES_SOON);
    let expiring = chain
        .iter()
        .find(|certificate| soon.contains(&certificate.not_after));
    if let Some(expiring) = expiring.filter(|_| !is_over) {
        let what = format_args!(
            "{} expires at {}: nothing that is signed later will verify",
            expiring.subject(),
            time(expiring.not_after)
        );
        let remedy = "renew it now, and add the new one as a further authority, so that clients \
            have it in time";
        report.warning("authority-expires", authority.at("certChain"), what, remedy);
    }
    if let Some(early) = chain
        .iter()
        .find(|certificate| certificate.not_before > now)
    {
        let what = format_args!(
            "{} is not valid before {}",
            early.subject(),
            time(early.not_before)
        );
        let remedy = "check the clock of this machine";
        report.warning(
            "authority-not-yet-valid",
            authority.at("certChain"),
            what,
            remedy,
        );
    }
}
