//! The signed times of a bundle, and whether the certificate was valid then.

use super::timestamp::Stamp;
use super::{MAX_ENTRIES, Opened};
use crate::explain::certificate::Facts;
use crate::explain::node::Node;
use crate::explain::report::{ALL, GO_PYTHON, Report, time};

/// Checks the times that a log or a time-stamp authority signed. Returns the places of them all.
pub(super) fn check(
    report: &mut Report,
    material: &Node<'_>,
    entries: &[Opened],
    certificate: Option<&Facts>,
    signature: Option<&[u8]>,
) -> Vec<String> {
    let mut places = Vec::new();
    for entry in entries {
        let Some(seconds) = entry.promised_time else {
            continue;
        };
        let place = format!("{}/integratedTime", entry.place);
        let source = "the log dates the entry";
        if let Some(certificate) = certificate {
            check_window(
                report,
                "integrated-time-outside-certificate",
                &place,
                source,
                seconds,
                certificate,
            );
        }
        places.push(place);
    }
    let data = material.get("timestampVerificationData");
    let stamps = data
        .map(|data| data.items("rfc3161Timestamps"))
        .unwrap_or_default();
    if stamps.len() > MAX_ENTRIES {
        let what = format_args!(
            "{} timestamps; sigstore-go and sigstore-python read up to 32",
            stamps.len()
        );
        report.error(
            "too-many-timestamps",
            GO_PYTHON,
            material.at("timestampVerificationData"),
            what,
            "keep one",
        );
    }
    for node in &stamps {
        let stamp = node.bytes_at("signedTimestamp");
        let Some(stamp) = stamp.and_then(|bytes| Stamp::read(&bytes)) else {
            let what =
                "this is no response of a time-stamp authority (RFC 3161, DER) with a token in it";
            let remedy =
                "put the whole answer of the authority here, in base64, not the token alone";
            report.error("timestamp-unreadable", ALL, &node.place, what, remedy);
            continue;
        };
        report.fact("timestamp", time(stamp.time));
        check_stamp(report, node, &stamp, certificate, signature);
        places.push(node.place.clone());
    }
    places
}

fn check_stamp(
    report: &mut Report,
    node: &Node<'_>,
    stamp: &Stamp,
    certificate: Option<&Facts>,
    signature: Option<&[u8]>,
) {
    if let Some(signature) = signature
        && stamp.is_over(signature) == Some(false)
    {
        let what = "the timestamp is over other bytes than the signature";
        let remedy = "have the raw bytes of the signature timestamped: not its base64, not the \
            artifact, not the envelope";
        report.error(
            "timestamp-of-something-else",
            ALL,
            &node.place,
            what,
            remedy,
        );
    }
    if let Some(certificate) = certificate {
        let source = "the time-stamp authority dates the signature";
        check_window(
            report,
            "timestamp-outside-certificate",
            &node.place,
            source,
            stamp.time,
            certificate,
        );
    }
}

fn check_window(
    report: &mut Report,
    id: &'static str,
    place: &str,
    source: &str,
    seconds: i64,
    certificate: &Facts,
) {
    if certificate.contains(seconds) {
        return;
    }
    let what = format_args!(
        "{source} {}, and the certificate is valid from {}",
        time(seconds),
        certificate.window()
    );
    let remedy = "sign again. If it happens each time, the clock of the log, of the time-stamp \
        authority or of the certificate \
                  authority is off: compare them with NTP";
    report.error(id, ALL, place, what, remedy);
}
