//! A timestamp authority (RFC 3161), written out in DER.

use time::OffsetDateTime;

use super::world::{Authority, Key, NOW};

/// `1.2.840.113549.1.7.2`, signed data.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
/// `1.2.840.113549.1.9.16.1.4`, the content of a timestamp.
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];
/// `1.2.840.113549.1.9.3`, the attribute with the type of the content.
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
/// `1.2.840.113549.1.9.4`, the attribute with its digest.
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
/// `2.16.840.1.101.3.4.2.1`.
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
/// `1.2.840.10045.4.3.2`.
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// `1.2.3.4`, a policy that says nothing.
const POLICY: &[u8] = &[0x2a, 3, 4];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTETS: u8 = 0x04;
const INTEGER: u8 = 0x02;
const CONTEXT_0: u8 = 0xa0;

pub(super) struct Stamper {
    key: Key,
    pub certificate: Vec<u8>,
    pub root: Vec<u8>,
}

impl Stamper {
    pub(super) fn new() -> Self {
        let (authority, key) = (Authority::new("stamper"), Key::new());
        let usage = rcgen::ExtendedKeyUsagePurpose::TimeStamping;
        let certificate = authority.certify(&key, usage, NOW - 1_000_000, NOW + 1_000_000);
        Self {
            key,
            certificate,
            root: authority.root,
        }
    }

    /// States that these bytes existed at this time.
    pub(super) fn stamp(&self, bytes: &[u8], time: i64) -> Vec<u8> {
        let sha256 = sequence(&[&oid(SHA256)]);
        let imprint = sequence(&[&sha256, &tlv(OCTETS, &tlog::sha256(bytes).0)]);
        let time = calendar(time, "", "", "");
        let one = tlv(INTEGER, &[1]);
        let info = sequence(&[
            &one,
            &oid(POLICY),
            &imprint,
            &one,
            &tlv(0x18, time.as_bytes()),
        ]);
        let content = sequence(&[&oid(TST_INFO), &tlv(CONTEXT_0, &tlv(OCTETS, &info))]);
        let signer = self.signer(&sha256, &info);
        let three = tlv(INTEGER, &[3]);
        let data = sequence(&[&three, &tlv(SET, &sha256), &content, &tlv(SET, &signer)]);
        sequence(&[&oid(SIGNED_DATA), &tlv(CONTEXT_0, &data)])
    }

    fn signer(&self, sha256: &[u8], info: &[u8]) -> Vec<u8> {
        let attribute = |id: &[u8], value: &[u8]| sequence(&[&oid(id), &tlv(SET, value)]);
        let digest = tlv(OCTETS, &tlog::sha256(info).0);
        let attributes = [
            attribute(CONTENT_TYPE, &oid(TST_INFO)),
            attribute(MESSAGE_DIGEST, &digest),
        ]
        .concat();
        let signature = self.key.sign(&tlv(SET, &attributes));
        let algorithm = sequence(&[&oid(ECDSA_SHA256)]);
        sequence(&[
            &tlv(INTEGER, &[1]),
            &self.issuer_and_serial(),
            sha256,
            &tlv(CONTEXT_0, &attributes),
            &algorithm,
            &tlv(OCTETS, &signature),
        ])
    }

    /// The certificate begins with version, serial number, algorithm and issuer.
    fn issuer_and_serial(&self) -> Vec<u8> {
        let (inner, _) = open(&self.certificate);
        let (mut rest, _) = open(inner);
        let mut parts = Vec::new();
        for _ in 0..4 {
            let (_, length) = open(rest);
            parts.push(&rest[..length]);
            rest = &rest[length..];
        }
        sequence(&[parts[3], parts[1]])
    }
}

/// Writes a time out, with these between days, before hours and between those.
pub(super) fn calendar(time: i64, days: &str, t: &str, hours: &str) -> String {
    let time = OffsetDateTime::from_unix_timestamp(time).unwrap();
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let month = u8::from(month);
    let date = format!("{year:04}{days}{month:02}{days}{day:02}");
    format!("{date}{t}{hour:02}{hours}{minute:02}{hours}{second:02}Z")
}

/// Returns the contents of the first element, and its whole length.
fn open(der: &[u8]) -> (&[u8], usize) {
    let (start, length) = match der[1] {
        length @ ..=0x7f => (2, usize::from(length)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
    };
    (&der[start..start + length], start + length)
}

pub(super) fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let length = match (high, low) {
        (0, ..=0x7f) => vec![low],
        (0, _) => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag], length.as_slice(), contents].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

fn oid(id: &[u8]) -> Vec<u8> {
    tlv(0x06, id)
}
