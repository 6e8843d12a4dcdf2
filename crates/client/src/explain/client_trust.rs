//! Client trust configurations: a trusted root and a signing configuration in one file.

use std::collections::BTreeSet;

use super::address::Address;
use super::node::Node;
use super::report::{ALL, PYTHON, Report};
use super::{signing_config, trusted_root};

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";

/// Explains a client trust configuration.
pub(super) fn explain(report: &mut Report, node: &Node<'_>, now: i64) {
    report.what = "Sigstore client trust configuration".to_owned();
    // The others read its two parts from files of their own.
    report.readers = PYTHON.to_vec();
    let media_type = node.text("mediaType").unwrap_or_default();
    if media_type != MEDIA_TYPE {
        let what = format_args!("the media type is {media_type:?}");
        let remedy = format!("set mediaType to {MEDIA_TYPE}");
        report.error(
            "client-trust-config-media-type",
            PYTHON,
            node.at("mediaType"),
            what,
            remedy,
        );
    }
    match node.get("trustedRoot") {
        Some(root) => trusted_root::check(report, &root, now),
        None => absent(report, node, "trustedRoot"),
    }
    match node.get("signingConfig") {
        Some(config) => signing_config::check(report, &config, now),
        None => absent(report, node, "signingConfig"),
    }
    check_pair(report, node);
}

fn absent(report: &mut Report, node: &Node<'_>, member: &'static str) {
    let what = format_args!("{member} is missing");
    let remedy = "take /trust/trust_config.json of a treehead, or put both documents into one";
    report.error(
        "client-trust-config-part",
        ALL,
        node.at(member),
        what,
        remedy,
    );
}

/// Checks that what is signed by the one part is trusted by the other.
fn check_pair(report: &mut Report, node: &Node<'_>) {
    let hosts = |list: &str, member: &str| -> BTreeSet<String> {
        let items = node
            .walk(list)
            .map(|list| list.elements())
            .unwrap_or_default();
        let urls = items.iter().filter_map(|item| item.text(member));
        urls.map(|url| Address::of(url).host).collect()
    };
    let trusted = hosts("trustedRoot/tlogs", "baseUrl");
    for host in hosts("signingConfig/rekorTlogUrls", "url").difference(&trusted) {
        let what = format_args!(
            "signers are sent to the log at {host}, and the trusted root has no log there: what \
                they sign does not verify"
        );
        let remedy = "add the log to the trusted root, or send signers to a log that is in it";
        report.warning(
            "signing-log-not-trusted",
            node.at("signingConfig"),
            what,
            remedy,
        );
    }
}
