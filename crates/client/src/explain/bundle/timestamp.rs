//! RFC 3161 timestamps, as far as a report needs them.

use pki::digest::{Digest, HashAlgorithm};
use time::{Date, Month, PrimitiveDateTime, Time};
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Reader, SliceReader, Tag, Tagged};

/// The OID of a TSTInfo (1.2.840.113549.1.9.16.1.4) as DER.
const TST_INFO: [u8; 13] = [
    0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04,
];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];

/// What a timestamp states. Its signature is not verified.
pub(super) struct Stamp {
    /// Unix seconds.
    pub time: i64,
    hash: Option<HashAlgorithm>,
    imprint: Vec<u8>,
}

impl Stamp {
    /// Reads a response of a time-stamp authority. Returns `None` if it is none, or has no token.
    pub(super) fn read(response: &[u8]) -> Option<Self> {
        let (_, token) = pki::time_stamp::response(response)?;
        let token = token?;
        let at = token
            .windows(TST_INFO.len())
            .position(|bytes| bytes == TST_INFO)?;
        let mut after = SliceReader::new(token.get(at + TST_INFO.len()..)?).ok()?;
        // [0] EXPLICIT OCTET STRING, which holds the TSTInfo.
        let explicit: AnyRef<'_> = after.decode().ok()?;
        let mut inside = SliceReader::new(explicit.value()).ok()?;
        let octets: AnyRef<'_> = inside.decode().ok()?;
        if octets.tag() != Tag::OctetString {
            return None;
        }
        let mut outer = SliceReader::new(octets.value()).ok()?;
        let info: AnyRef<'_> = outer.decode().ok()?;
        Self::of_info(info.value())
    }

    /// Reads the fields: version, policy, imprint, serial number, time.
    fn of_info(contents: &[u8]) -> Option<Self> {
        let mut fields = SliceReader::new(contents).ok()?;
        let _version: AnyRef<'_> = fields.decode().ok()?;
        let _policy: AnyRef<'_> = fields.decode().ok()?;
        let imprint: AnyRef<'_> = fields.decode().ok()?;
        let _serial: AnyRef<'_> = fields.decode().ok()?;
        let time: AnyRef<'_> = fields.decode().ok()?;
        let mut parts = SliceReader::new(imprint.value()).ok()?;
        let algorithm: AnyRef<'_> = parts.decode().ok()?;
        let imprint: AnyRef<'_> = parts.decode().ok()?;
        let mut algorithm = SliceReader::new(algorithm.value()).ok()?;
        let id: AnyRef<'_> = algorithm.decode().ok()?;
        let hash = match id.value() {
            SHA256 => Some(HashAlgorithm::Sha256),
            SHA384 => Some(HashAlgorithm::Sha384),
            SHA512 => Some(HashAlgorithm::Sha512),
            _ => None,
        };
        Some(Self {
            time: generalized_time(time.value())?,
            hash,
            imprint: imprint.value().to_vec(),
        })
    }

    /// Returns whether the timestamp is over these bytes, or `None` if its hash is not known.
    pub(super) fn is_over(&self, signature: &[u8]) -> Option<bool> {
        Some(Digest::of(self.hash?, signature).bytes() == self.imprint)
    }
}

/// Reads `YYYYMMDDHHMMSS[.fraction]Z`.
fn generalized_time(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let digits = text.split('.').next()?;
    if digits.len() != 14 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize| digits.get(from..from + 2)?.parse::<u8>().ok();
    let year = digits.get(..4)?.parse().ok()?;
    let month = Month::try_from(number(4)?).ok()?;
    let date = Date::from_calendar_date(year, month, number(6)?).ok()?;
    let time = Time::from_hms(number(8)?, number(10)?, number(12)?).ok()?;
    Some(
        PrimitiveDateTime::new(date, time)
            .assume_utc()
            .unix_timestamp(),
    )
}
