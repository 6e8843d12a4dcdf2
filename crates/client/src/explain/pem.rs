//! Keys and certificates in PEM.

use pki::{pem, public_key::KeyKind};
use tlog::{VerifyingKey, sha256};

use super::certificate::{self, Facts};
use super::report::{ALL, GO, JS, Report};
use super::trusted_root::spki_kind;

/// Most blocks that are looked at.
const MAX_BLOCKS: usize = 64;

/// Explains a PEM file.
pub(super) fn explain(report: &mut Report, text: &[u8], now: i64) {
    report.what = "PEM file".to_owned();
    check_text(report, text);
    let (mut rest, mut chain, mut keys) = (text, Vec::new(), 0);
    let mut blocks = 0;
    while let Some((block, after)) = pem::decode(rest) {
        blocks += 1;
        let label = String::from_utf8_lossy(block.label).into_owned();
        let place = format!("block {blocks}");
        match label.as_str() {
            "CERTIFICATE" => chain.extend(certificate(report, &place, &block.bytes)),
            "PUBLIC KEY" => {
                keys += 1;
                public_key(report, &place, &block.bytes);
            }
            _ if label.ends_with("PRIVATE KEY") => private_key(report, &place, &label),
            _ => {
                let what = format_args!("a block {label:?}, which verifiers do not read");
                let remedy = "openssl pkey -pubin -outform PEM writes a public key in the form \
                    that they read (PUBLIC KEY)";
                report.error("pem-label", ALL, place, what, remedy);
            }
        }
        rest = after;
        if blocks == MAX_BLOCKS {
            break;
        }
    }
    report.what = match (chain.len(), keys) {
        (0, 1) => "public key (PEM)".to_owned(),
        (0, 0) => "PEM file without a key".to_owned(),
        (0, keys) => format!("{keys} public keys (PEM)"),
        (1, 0) => "certificate (PEM)".to_owned(),
        (certificates, 0) => format!("chain of {certificates} certificates (PEM)"),
        (certificates, keys) => format!("{certificates} certificates and {keys} public keys (PEM)"),
    };
    if blocks == 0 {
        let what = "no block is whole: the lines with -----BEGIN … and -----END … do not match, \
            or what is between them is no base64";
        report.error(
            "pem-broken",
            ALL,
            "",
            what,
            "copy the file again, with both lines",
        );
    }
    check_chain(report, &chain, now);
}

fn certificate(report: &mut Report, place: &str, der: &[u8]) -> Option<Facts> {
    match Facts::read(der) {
        Ok(facts) => {
            certificate::describe(report, place, &facts);
            Some(facts)
        }
        Err(error) => {
            let what = format_args!("the certificate cannot be read: {error}");
            report.error(
                "certificate-unreadable",
                ALL,
                place,
                what,
                "export it again",
            );
            None
        }
    }
}

fn public_key(report: &mut Report, place: &str, spki: &[u8]) {
    let kind = match spki_kind(spki) {
        Ok(kind) => kind,
        Err(error) => {
            let what = format_args!("the public key cannot be read: {error}");
            report.error(
                "key-unreadable",
                ALL,
                place,
                what,
                "export it again: openssl pkey -in KEY -pubout",
            );
            return;
        }
    };
    report.fact(place, certificate::kind(kind));
    report.fact(format_args!("{place} SHA-256"), sha256(spki));
    let is_known = VerifyingKey::from_spki(spki).is_ok();
    if is_known {
        report.fact(format_args!("{place} as v1 log ID"), sha256(spki));
    }
    if kind == KeyKind::Ed25519 {
        let what = "as the key of a v1 log, Ed25519 is refused by sigstore-go and cosign: they \
            verify signed entry timestamps with ECDSA";
        report.note("key-ed25519", &[], place, what);
    } else if !is_known {
        let what = "as the key of a log, use ECDSA P-256 or Ed25519: clients disagree about the \
            hash of larger curves, and this program \
                    verifies no other log keys";
        report.note("key-not-for-logs", &[], place, what);
    }
}

fn private_key(report: &mut Report, place: &str, label: &str) {
    let what = format_args!("a {label} is in this file: whoever has the file can sign with it");
    let remedy = "hand out the public half alone (openssl pkey -in FILE -pubout). If the file was \
        handed out already, replace the key";
    report.error("private-key", ALL, place, what, remedy);
}

fn check_text(report: &mut Report, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    if text.contains('\r') {
        let what = "the lines end with CR LF. Sigstore's clients pass over that; a program that \
            hashes the file gets another digest";
        report.warning("pem-crlf", "line 1", what, "sed -i 's/\\r$//' FILE");
    }
    let mut is_outside = true;
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("-----BEGIN ") {
            is_outside = false;
        } else if line.starts_with("-----END ") {
            is_outside = true;
        } else if is_outside && !line.trim().is_empty() {
            let what = "text outside the blocks, such as the bag attributes of PKCS#12: Go passes \
                over it, sigstore-js takes it for a \
                        part of the certificate";
            let remedy =
                "openssl x509 -in FILE (or openssl pkey -pubin -in FILE) writes the block alone";
            report.error(
                "pem-text-outside",
                JS,
                format_args!("line {number}"),
                what,
                remedy,
            );
            return;
        }
    }
}

/// Checks certificates as cosign takes them for `--certificate-chain`: intermediates, then the
/// root.
fn check_chain(report: &mut Report, chain: &[Facts], now: i64) {
    if let [leaf, rest @ ..] = chain
        && !leaf.is_authority()
        && !leaf.stamps_time()
        && rest.is_empty()
    {
        certificate::check_leaf(report, "block 1", leaf, now);
    }
    if chain.len() > 1 {
        certificate::check_order(report, "", chain);
        if let Some(last) = chain.last().filter(|last| !last.is_self_issued()) {
            let what = format_args!(
                "the root is missing: the last certificate, {}, was issued by another one",
                last.subject()
            );
            report.error(
                "root-missing",
                GO,
                "",
                what,
                "add the root at the end of the file",
            );
        }
    }
    for (number, certificate) in (1..).zip(chain) {
        if certificate.is_authority() && certificate.not_after < now {
            let what = format_args!(
                "the authority {} expired: its window is {}",
                certificate.subject(),
                certificate.window()
            );
            let remedy = "keep it for old signatures, and add the new certificate of the authority";
            report.warning(
                "authority-expired",
                format_args!("block {number}"),
                what,
                remedy,
            );
        }
    }
}
