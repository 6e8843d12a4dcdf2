//! Subjects: the names by which an entry signed with a certificate is found.

use std::net::{IpAddr, Ipv6Addr};

use super::der::{Elements, OBJECT_IDENTIFIER, SEQUENCE, constructed, context};
use super::error::CertificateError;
use super::{name, uri};

/// `1.3.6.1.4.1.57264.1.7`, the one OtherName that names a subject: the user name of Fulcio's
/// username issuers.
const FULCIO_OTHER_NAME: [u8; 10] = [0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 7];

const GENERAL_STRING: u8 = 0x1b;

const EMAIL: u8 = context(1);
const DNS: u8 = context(2);
const URI: u8 = context(6);
const ADDRESS: u8 = context(7);

/// The names of a subject alternative name, each as often as it is there.
#[derive(Default)]
pub(super) struct Subjects {
    pub(super) dns: Vec<String>,
    pub(super) emails: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) uris: Vec<String>,
    /// The OtherName of Fulcio, if it is the only OtherName.
    other: Option<String>,
}

impl Subjects {
    /// Reads a subject alternative name (RFC 5280 section 4.2.1.6). Other forms of names are passed
    /// over.
    pub(super) fn read(value: &[u8]) -> Result<Self, CertificateError> {
        let mut outer = Elements(value);
        let mut names = outer
            .inside(SEQUENCE)
            .ok_or(CertificateError::Not("invalid subject alternative names"))?;
        let mut subjects = Self::default();
        let mut others = Vec::new();
        while !names.is_empty() {
            let name = names
                .any()
                .ok_or(CertificateError::Not("invalid subject alternative name"))?;
            match name.tag {
                EMAIL => subjects.emails.push(ascii(name.contents)?),
                DNS => subjects.dns.push(ascii(name.contents)?),
                URI => {
                    let uri = ascii(name.contents)?;
                    if !uri::is_written_back(&uri) {
                        return Err(CertificateError::Not(
                            "a URI is not in the form in which Go writes it",
                        ));
                    }
                    subjects.uris.push(uri);
                }
                ADDRESS => subjects.addresses.push(address(name.contents)?),
                // What has number 0, of whatever class.
                tag if tag & 0x1f == 0 => others.push(name),
                _ => {}
            }
        }
        // Nothing may follow the names, or Rekor finds no OtherName.
        if let [only] = &others[..]
            && only.tag == constructed(0)
            && outer.is_empty()
        {
            subjects.other = fulcio_user(only.contents);
        }
        Ok(subjects)
    }

    /// Reads those names that can be read. The same as [`Self::read`] where that is no error.
    pub(super) fn salvage(value: &[u8]) -> Self {
        Self::read(value).unwrap_or_else(|_| Self::read_well_formed(value))
    }

    /// Skips names that [`Self::read`] refuses, but for texts beyond ASCII.
    fn read_well_formed(value: &[u8]) -> Self {
        let mut subjects = Self::default();
        let mut names = Elements(value).inside(SEQUENCE).unwrap_or(Elements(&[]));
        while let Some(name) = names.any() {
            const OTHER: u8 = constructed(0);
            let text = || String::from_utf8(name.contents.to_vec()).ok();
            match name.tag {
                EMAIL => subjects.emails.extend(text()),
                DNS => subjects.dns.extend(text()),
                URI => subjects.uris.extend(text()),
                ADDRESS => subjects.addresses.extend(address(name.contents).ok()),
                OTHER => subjects.other = subjects.other.or_else(|| fulcio_user(name.contents)),
                _ => {}
            }
        }
        subjects
    }

    /// Whether there is a name that Go reads.
    pub(super) fn has_ordinary(&self) -> bool {
        !(self.dns.is_empty()
            && self.emails.is_empty()
            && self.addresses.is_empty()
            && self.uris.is_empty())
    }

    /// All of them in the order DNS, e-mail, IP, URI, OtherName, as Rekor has them.
    pub(super) fn into_list(self) -> Vec<String> {
        let addresses = self
            .addresses
            .into_iter()
            .map(|address| address.to_string());
        self.dns
            .into_iter()
            .chain(self.emails)
            .chain(addresses)
            .chain(self.uris)
            .chain(self.other)
            .collect()
    }
}

fn ascii(contents: &[u8]) -> Result<String, CertificateError> {
    match String::from_utf8(contents.to_vec()) {
        Ok(text) if text.is_ascii() => Ok(text),
        _ => Err(CertificateError::Not(
            "subject alternative name is not ASCII",
        )),
    }
}

fn address(contents: &[u8]) -> Result<IpAddr, CertificateError> {
    let v4 = <[u8; 4]>::try_from(contents).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(contents).map(IpAddr::from);
    match v4
        .or(v6)
        .map_err(|_| CertificateError::Not("IP address is not of 4 or 16 bytes"))?
    {
        IpAddr::V6(address) if is_mapped(address) => Err(CertificateError::Not(
            "SAN iPAddress contains IPv4-mapped IPv6 address",
        )),
        address => Ok(address),
    }
}

/// Whether an address is an IPv4 address written as IPv6. Two readers take it for different
/// addresses, and Go refuses it since version 1.27.
pub(super) fn is_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

/// `OtherName ::= SEQUENCE { type-id, value [0] EXPLICIT ANY }` of Fulcio; none if it is another.
fn fulcio_user(contents: &[u8]) -> Option<String> {
    let mut fields = Elements(contents);
    if fields.read(OBJECT_IDENTIFIER)? != FULCIO_OTHER_NAME {
        return None;
    }
    let value = fields.inside(constructed(0))?.any()?;
    let user = match value.tag {
        // Go takes its bytes as they are.
        GENERAL_STRING => String::from_utf8(value.contents.to_vec()).ok(),
        tag => name::text(tag, value.contents),
    };
    user.filter(|user| !user.is_empty())
}
