//! Subjects: the names by which an entry signed with a certificate is found.

use std::net::{Ipv4Addr, Ipv6Addr};

use der::asn1::{ObjectIdentifier, Utf8StringRef};
use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber};

use super::certificate::{CertificateError, contents};

/// The one OtherName that names a subject: the user name of Fulcio's username issuers.
const FULCIO_OTHER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// The names of a subject alternative name.
#[derive(Default)]
pub(super) struct Subjects {
    /// DNS names, e-mail addresses, IP addresses, URIs: in this order, each as often as it is there.
    pub(super) ordinary: Vec<String>,
    /// The OtherName of Fulcio, if it is the only OtherName.
    pub(super) other: Option<String>,
}

/// Reads a subject alternative name (RFC 5280 section 4.2.1.6). Other forms of names are passed over. A URI is taken as
/// it is written, where Rekor takes what Go's parser makes of it.
pub(super) fn read(extension: &[u8]) -> Result<Subjects, CertificateError> {
    let mut reader = SliceReader::new(extension)?;
    let mut names = contents(&mut reader, Tag::Sequence)?;
    reader.finish()?;
    let (mut dns, mut emails, mut addresses, mut uris, mut others) = (vec![], vec![], vec![], vec![], vec![]);
    while !names.is_finished() {
        let element = names.tlv_bytes()?;
        let mut name = SliceReader::new(element)?;
        let header = Header::decode(&mut name)?;
        let value = name.read_slice(header.length())?;
        match header.tag() {
            Tag::ContextSpecific { number: TagNumber(0), .. } => others.push(element),
            Tag::ContextSpecific { number: TagNumber(1), constructed: false } => emails.push(ia5(value)?),
            Tag::ContextSpecific { number: TagNumber(2), constructed: false } => dns.push(ia5(value)?),
            Tag::ContextSpecific { number: TagNumber(6), constructed: false } => uris.push(ia5(value)?),
            Tag::ContextSpecific { number: TagNumber(7), constructed: false } => addresses.push(address(value)?),
            _ => {}
        }
    }
    let other = match others[..] {
        [only] => fulcio_user(only),
        _ => None,
    };
    Ok(Subjects { ordinary: dns.into_iter().chain(emails).chain(addresses).chain(uris).collect(), other })
}

fn ia5(value: &[u8]) -> Result<String, CertificateError> {
    match std::str::from_utf8(value) {
        Ok(text) if text.is_ascii() => Ok(text.to_owned()),
        _ => Err(CertificateError::Not("SAN is malformed")),
    }
}

fn address(value: &[u8]) -> Result<String, CertificateError> {
    if let Ok(v4) = <[u8; 4]>::try_from(value) {
        return Ok(Ipv4Addr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(value).map_err(|_| CertificateError::Not("IP address is not of 4 or 16 bytes"))?;
    // Go writes an IPv4 address in IPv6 as IPv4.
    Ok(Ipv6Addr::from(v6).to_canonical().to_string())
}

/// `OtherName ::= [0] IMPLICIT SEQUENCE { type-id, value [0] EXPLICIT UTF8String }` of Fulcio; none if it is another.
fn fulcio_user(element: &[u8]) -> Option<String> {
    let mut reader = SliceReader::new(element).ok()?;
    let mut fields = contents(&mut reader, Tag::ContextSpecific { constructed: true, number: TagNumber(0) }).ok()?;
    if ObjectIdentifier::decode(&mut fields).ok()? != FULCIO_OTHER_NAME {
        return None;
    }
    let mut value = contents(&mut fields, Tag::ContextSpecific { constructed: true, number: TagNumber(0) }).ok()?;
    let user = Utf8StringRef::decode(&mut value).ok()?.as_str();
    (!user.is_empty()).then(|| user.to_owned())
}
