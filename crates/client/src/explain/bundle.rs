//! Sigstore bundles of all versions.

use super::certificate::{self, Facts};
use super::checkpoint::Flavour;
use super::entry::{self, Opened};
use super::node::Node;
use super::report::{ALL, GO, GO_JS, GO_PYTHON, JS, PYTHON, Report};

mod content;
mod leaf;
mod times;
mod timestamp;

use content::Content;

/// Most entries and timestamps that sigstore-go reads.
const MAX_ENTRIES: usize = 32;

/// The version of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    V01,
    V02,
    V03,
}

/// What verifies the signature of a bundle.
enum Signer {
    Certificate(Box<Facts>),
    /// A key that the verifier has.
    Key,
    /// Absent or unreadable.
    Unknown,
}

/// Explains a bundle.
pub(super) fn explain(report: &mut Report, node: &Node<'_>, now: i64) {
    let version = version(report, node);
    report.readers = ALL.to_vec();
    let material = node.get("verificationMaterial");
    if material.is_none() {
        let what = "verificationMaterial is missing: the bundle says neither who signed nor where \
            that was logged";
        let remedy = "sign again; a signature without it is no bundle";
        report.error("verification-material-missing", ALL, "", what, remedy);
    }
    let signer = material.as_ref().map_or(Signer::Unknown, |material| {
        signer(report, material, version, now)
    });
    let by = match &signer {
        Signer::Certificate(_) => ", signed with a certificate",
        Signer::Key => ", signed with a key",
        Signer::Unknown => "",
    };
    let number = match version {
        Some(Version::V01) => " v0.1",
        Some(Version::V02) => " v0.2",
        Some(Version::V03) => " v0.3",
        None => "",
    };
    report.what = format!("Sigstore bundle{number}{by}");
    let certificate = match &signer {
        Signer::Certificate(facts) => Some(facts.as_ref()),
        Signer::Key | Signer::Unknown => None,
    };
    let content = Content::read(report, node);
    if let (Some(content), Some(certificate)) = (&content, certificate) {
        content.check_signature(report, certificate);
    }
    let Some(material) = material else { return };
    let entries = entries(report, &material, version, now);
    for entry in &entries {
        if let (Some(content), Some(body)) = (&content, &entry.body) {
            leaf::compare(report, &entry.place, body, content, certificate);
        }
    }
    let signature = content.as_ref().map(|content| content.signature.as_slice());
    let times = times::check(report, &material, &entries, certificate, signature);
    if certificate.is_some() && times.is_empty() {
        no_time(report, &material, &entries);
    }
}

fn version(report: &mut Report, node: &Node<'_>) -> Option<Version> {
    let media_type = node.text("mediaType").unwrap_or_default();
    let version = media_type
        .strip_prefix("application/vnd.dev.sigstore.bundle")
        .and_then(|rest| match rest {
            "+json;version=0.1" => Some(Version::V01),
            "+json;version=0.2" => Some(Version::V02),
            "+json;version=0.3" | ".v0.3+json" => Some(Version::V03),
            _ => None,
        });
    report.fact("media type", media_type);
    match version {
        None => report.error(
            "bundle-media-type",
            ALL,
            node.at("mediaType"),
            format_args!("no client reads bundles of the media type {media_type:?}"),
            "write application/vnd.dev.sigstore.bundle.v0.3+json, with a bundle of that form",
        ),
        Some(Version::V01 | Version::V02) => report.note(
            "bundle-old-version",
            &[],
            node.at("mediaType"),
            "an old version; clients write 0.3 now and still read this one",
        ),
        Some(Version::V03) => {}
    }
    version
}

fn signer(report: &mut Report, material: &Node<'_>, version: Option<Version>, now: i64) -> Signer {
    if let Some(key) = material.get("publicKey") {
        report.fact("key hint", key.text("hint").unwrap_or_default());
        let what = "signed with a key: verifiers need that key, and sigstore-python verifies only \
            certificates";
        report.note("bundle-by-key", PYTHON, &key.place, what);
        return Signer::Key;
    }
    let certificate = material.get("certificate");
    if let Some(certificate) = &certificate
        && version.is_some_and(|version| version < Version::V03)
    {
        let what = "sigstore-python looks for x509CertificateChain in bundles before 0.3";
        let remedy = "raise the media type to application/vnd.dev.sigstore.bundle.v0.3+json";
        report.error(
            "certificate-in-old-bundle",
            PYTHON,
            &certificate.place,
            what,
            remedy,
        );
    }
    let chain = material.get("x509CertificateChain");
    if let Some(chain) = &chain {
        check_chain(report, chain, version);
    }
    let leaf = certificate.or_else(|| chain?.items("certificates").into_iter().next());
    let Some(leaf) = leaf else {
        let what = "neither a certificate nor a hint for a public key: nothing says who signed";
        let remedy = "sign again, or put the certificate of the signer here";
        report.error("signer-missing", ALL, &material.place, what, remedy);
        return Signer::Unknown;
    };
    let read = leaf
        .bytes_at("rawBytes")
        .ok_or_else(|| "it is empty".to_owned());
    match read.and_then(|der| Facts::read(&der)) {
        Ok(facts) => {
            certificate::describe(report, "certificate", &facts);
            certificate::check_leaf(report, &leaf.place, &facts, now);
            Signer::Certificate(Box::new(facts))
        }
        Err(error) => {
            let what = format_args!("the certificate cannot be read: {error}");
            let remedy =
                "rawBytes is the certificate in DER, in base64: not PEM, and not base64 of PEM";
            report.error("certificate-unreadable", ALL, &leaf.place, what, remedy);
            Signer::Unknown
        }
    }
}

fn check_chain(report: &mut Report, chain: &Node<'_>, version: Option<Version>) {
    let certificates = chain.items("certificates");
    if version == Some(Version::V03) {
        let what = "bundles of version 0.3 hold the certificate of the signer alone, not a chain";
        let remedy = "put the first certificate into verificationMaterial/certificate/rawBytes \
            and remove x509CertificateChain";
        report.error("chain-in-bundle", ALL, &chain.place, what, remedy);
    }
    if certificates.is_empty() {
        let what = "the chain has no certificate";
        report.error(
            "chain-empty",
            ALL,
            &chain.place,
            what,
            "put the certificate of the signer into it",
        );
    }
    let facts = certificates
        .iter()
        .filter_map(|item| Facts::read(&item.bytes_at("rawBytes")?).ok());
    let facts: Vec<Facts> = facts.collect();
    if facts.iter().skip(1).any(Facts::is_self_issued) {
        let what = "the chain holds a root: a signer must not bring the root along that he is to \
            be trusted by";
        let remedy = "remove the root; verifiers have theirs in the trusted root";
        report.warning("root-in-bundle", &chain.place, what, remedy);
    }
    let complete = facts.len() == certificates.len();
    if complete
        && facts
            .windows(2)
            .any(|pair| matches!(pair, [one, two] if !one.is_issued_by(two)))
    {
        let what = "the certificates are not in order: each is followed by the one that issued \
            it, the signer's first";
        report.error(
            "bundle-chain-order",
            ALL,
            &chain.place,
            what,
            "put them in order",
        );
    }
}

fn entries(
    report: &mut Report,
    material: &Node<'_>,
    version: Option<Version>,
    now: i64,
) -> Vec<Opened> {
    let place = material.at("tlogEntries");
    let nodes = material.items("tlogEntries");
    if nodes.is_empty() {
        let what = "no entry of a transparency log: verifiers ask for one";
        let remedy =
            "log the signature (treehead upload), or verify with cosign --insecure-ignore-tlog";
        report.error("no-log-entry", ALL, &place, what, remedy);
    }
    if nodes.len() > 1 {
        let refused_by: &[_] = if nodes.len() > MAX_ENTRIES {
            GO_PYTHON
        } else {
            PYTHON
        };
        let what = format_args!(
            "{} entries: sigstore-python reads bundles with exactly one, sigstore-go up to 32",
            nodes.len()
        );
        report.error(
            "several-log-entries",
            refused_by,
            &place,
            what,
            "keep one of them",
        );
    }
    let key = |node: &Node<'_>| (node.bytes_at("logId/keyId"), node.number_at("logIndex"));
    let has_duplicate = nodes.iter().enumerate().any(|(number, node)| {
        nodes
            .iter()
            .take(number)
            .any(|earlier| key(earlier) == key(node))
    });
    if has_duplicate {
        let what = "the same entry is there twice, which could make one log count as two";
        report.error("duplicate-log-entry", GO_JS, &place, what, "keep it once");
    }
    let check = |node: &Node<'_>| {
        let entry = entry::check(report, node, now);
        check_version_rules(report, &entry, version);
        entry
    };
    nodes.iter().map(check).collect()
}

/// Checks what each version of bundles asks of an entry.
fn check_version_rules(report: &mut Report, entry: &Opened, version: Option<Version>) {
    let place = &entry.place;
    let again = "take the entry from the log again: it sends both";
    if version == Some(Version::V01) && !entry.has_promise {
        let what =
            "bundles of version 0.1 need the signed entry timestamp of the log (inclusionPromise)";
        report.error("promise-missing", ALL, place, what, again);
    }
    if entry.has_proof {
        return;
    }
    if version == Some(Version::V01) {
        let what = "the inclusion proof is missing: Go and JavaScript do without it in version \
            0.1, sigstore-python never does";
        report.error("proof-missing-v01", PYTHON, place, what, again);
    } else if entry.flavour == Flavour::V1 {
        let what = "bundles from version 0.2 on need the inclusion proof with its checkpoint";
        report.error("proof-missing", ALL, place, what, again);
    }
}

/// Says that nothing proves when the certificate was used.
fn no_time(report: &mut Report, material: &Node<'_>, entries: &[Opened]) {
    let is_v2 = entries.iter().any(|entry| entry.flavour == Flavour::V2);
    let (id, what, remedy) = match is_v2 {
        true => (
            "v2-without-timestamp",
            "Rekor v2 dates no entry, and the bundle has no RFC 3161 timestamp: nothing proves \
                that the certificate was \
             valid when it signed",
            "sign with a time-stamp authority (tsaUrls in the signing configuration, or cosign \
                --timestamp-server-url)",
        ),
        false => (
            "no-signed-time",
            "neither a signed entry timestamp nor an RFC 3161 timestamp: nothing proves that the \
                certificate was valid when it signed",
            "take the entry from the log again with its signed entry timestamp, or sign with a \
                time-stamp authority",
        ),
    };
    report.error(
        id,
        &[GO, JS, PYTHON].concat(),
        material.at("timestampVerificationData"),
        what,
        remedy,
    );
}
