//! Trusted roots: the keys and authorities that a verifier trusts.

use super::node::Node;
use super::report::{ALL, Client, GO_PYTHON, Report};

mod authority;
mod key;
mod log;

pub(super) use key::spki_kind;
use log::Role;

/// The only media type that all clients read.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";

/// Explains a trusted root.
pub(super) fn explain(report: &mut Report, node: &Node<'_>, now: i64) {
    report.what = "Sigstore trusted root".to_owned();
    report.readers = ALL.to_vec();
    report.readers.push(Client::RekorMonitor);
    check(report, node, now);
}

/// Checks a trusted root, which may be a part of another document.
pub(super) fn check(report: &mut Report, node: &Node<'_>, now: i64) {
    let media_type = node.text("mediaType").unwrap_or_default();
    if media_type != MEDIA_TYPE {
        let what = format_args!(
            "the media type is {media_type:?}; sigstore-go and sigstore-python read only \
                {MEDIA_TYPE}, though the \
             specification has newer names"
        );
        let remedy = format!("set mediaType to {MEDIA_TYPE}");
        report.error(
            "trusted-root-media-type",
            GO_PYTHON,
            node.at("mediaType"),
            what,
            remedy,
        );
    }
    let logs = node.items("tlogs");
    if logs.is_empty() {
        let what = "no transparency log: no entry can be verified";
        let remedy = "add the log: cosign trusted-root create --rekor=…, or take \
            /trust/trusted_root.json of a treehead";
        report.error("no-log", ALL, node.at("tlogs"), what, remedy);
    }
    let forms = log::check_all(report, &logs, Role::Rekor, now);
    log::check_all(
        report,
        &node.items("ctlogs"),
        Role::CertificateTransparency,
        now,
    );
    let authorities = node.items("certificateAuthorities");
    for item in &authorities {
        authority::check_signers(report, item, now);
    }
    let stampers = node.items("timestampAuthorities");
    for item in &stampers {
        authority::check_stampers(report, item, now);
    }
    if authorities.is_empty() {
        let what = "no certificate authority: it verifies signatures by keys, and no keyless ones";
        report.note(
            "no-certificate-authority",
            &[],
            node.at("certificateAuthorities"),
            what,
        );
        return;
    }
    if node.items("ctlogs").is_empty() {
        let what = "a certificate authority, but no certificate transparency log: cosign, \
            sigstore-js and sigstore-python ask for \
                    a timestamp of one in each certificate";
        let remedy = "add it with --ctfe; or verify with cosign --insecure-ignore-sct";
        report.warning("no-ct-log", node.at("ctlogs"), what, remedy);
    }
    if forms.contains(&log::Form::V2) && stampers.is_empty() {
        let what = "a v2 log and a certificate authority, but no time-stamp authority: no keyless \
            signature in that log verifies, \
                    because Rekor v2 dates nothing";
        let remedy = "add it with --tsa, and give its URL to signers";
        report.warning(
            "no-time-stamp-authority",
            node.at("timestampAuthorities"),
            what,
            remedy,
        );
    }
}
