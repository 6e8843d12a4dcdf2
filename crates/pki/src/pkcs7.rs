//! The PKI format `pkcs7`: CMS signed data (RFC 5652, earlier PKCS#7, RFC 2315), as JAR archives
//! are signed with.
//!
//! Read with the DER reader that reads certificates. The `cms` crate would not do: it refuses sets
//! that are not sorted, as signers write them, and what it writes again is not byte for byte what
//! was read, which canonical forms have to be. Beyond the one level of a time stamp nothing is
//! nested, and certificates need not be trusted, valid or of any use.

mod algorithm;
pub(crate) mod error;
mod revocation;
mod signer;

use std::collections::BTreeSet;

use crate::error::Error;
use crate::pem;
use crate::work::Work;
use crate::x509::certificate::Certificate;
use crate::x509::chain;
use crate::x509::der::{Element, Elements, OBJECT_IDENTIFIER, SEQUENCE, SET, constructed};
use crate::x509::error::ChainError;
use error::{MAX_BYTES, MAX_CERTIFICATES, MAX_SIGNERS};
use signer::Signer;

pub use error::{Pkcs7Error, SignerError};

const LABEL: &str = "PKCS7";
const CERTIFICATE: &str = "CERTIFICATE";
/// 1.2.840.113549.1.7.2.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];

/// Signed data whose structure is read; nothing is verified.
pub struct SignedData<'a> {
    version: &'a [u8],
    digest_algorithms: Vec<&'a [u8]>,
    content_type: &'a [u8],
    /// Absent from a detached signature.
    content: Option<&'a [u8]>,
    /// The contents of `certificates`; absent where that is.
    certificates: Option<&'a [u8]>,
    /// The whole of `crls`.
    revocation_lists: &'a [u8],
    signers: Vec<Signer<'a>>,
}

impl<'a> SignedData<'a> {
    /// Reads DER, after which zeros may follow.
    pub fn from_der(der: &'a [u8]) -> Result<Self, Error> {
        if der.len() > MAX_BYTES {
            return Err(Pkcs7Error::TooLarge(der.len()).into());
        }
        let mut outer = Elements(der);
        let content_info = outer
            .read(SEQUENCE)
            .ok_or(Pkcs7Error::Malformed("not DER"))?;
        if outer.0.iter().any(|byte| *byte != 0) {
            return Err(Pkcs7Error::Malformed("trailing garbage after PKCS#7 structure").into());
        }
        Self::from_content_info(content_info)
    }

    /// Reads the contents of a `ContentInfo`.
    pub fn from_content_info(contents: &'a [u8]) -> Result<Self, Error> {
        let mut fields = Elements(contents);
        if fields.object_identifier() != Some(SIGNED_DATA) {
            return Err(Pkcs7Error::Malformed("of another content type").into());
        }
        let data = fields
            .inside(constructed(0))
            .and_then(|mut fields| Some((fields.inside(SEQUENCE)?, fields)));
        let Some((mut data, Elements([]))) = data else {
            return Err(Pkcs7Error::Malformed("no content").into());
        };
        let signed = Self::read(&mut data).ok_or(Pkcs7Error::Malformed(
            "its fields are not those of RFC 5652",
        ))?;
        if signed.signers.len() > MAX_SIGNERS {
            return Err(Pkcs7Error::TooManySigners.into());
        }
        Ok(signed)
    }

    fn read(data: &mut Elements<'a>) -> Option<Self> {
        let version = data.small_integer()?.whole;
        let mut digest_algorithms = Vec::new();
        let mut algorithms = data.inside(SET)?;
        while !algorithms.is_empty() {
            let algorithm = algorithms.any()?;
            algorithm::Identifier::read(&algorithm)?;
            digest_algorithms.push(algorithm.whole);
        }
        let mut content_info = data.inside(SEQUENCE)?;
        let content_type = content_info.object_identifier()?;
        let content = match content_info.is_empty() {
            true => None,
            false => {
                let mut wrapped = content_info.inside(constructed(0))?;
                let content = wrapped.any()?.contents;
                (wrapped.is_empty() && content_info.is_empty()).then_some(Some(content))?
            }
        };
        let certificates = data.optional(constructed(0))?;
        let revocation_lists = match data.is_next(constructed(1)) {
            true => {
                data.any()
                    .filter(|lists| revocation::are_lists(lists.contents))?
                    .whole
            }
            false => &[],
        };
        let mut signers = Vec::new();
        let mut infos = data.inside(SET)?;
        while !infos.is_empty() {
            // Read no more of them than may be refused for their number.
            if signers.len() > MAX_SIGNERS {
                break;
            }
            signers.push(Signer::read(&infos.any()?)?);
        }
        data.is_empty().then_some(Self {
            version,
            digest_algorithms,
            content_type,
            content,
            certificates,
            revocation_lists,
            signers,
        })
    }

    /// Checks every signature over `content`, and every time stamp of one. The first certificate,
    /// which stands for all of them in an entry, has to be a signer's or one that leads to a
    /// signer's: a stranger's would make the entry say that the stranger signed.
    pub fn verify(&self, content: &[u8], work: &mut Work) -> Result<(), Error> {
        if self.content.is_some_and(|within| within != content) {
            return Err(Pkcs7Error::OtherContent.into());
        }
        if self.signers.is_empty() {
            return Err(Pkcs7Error::NotSigned.into());
        }
        let encoded = self.certificates()?;
        let certificates = encoded
            .iter()
            .map(|der| Certificate::from_der(der))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Pkcs7Error::Certificate(error.to_string()))?;
        let mut signed_by = BTreeSet::new();
        for signer in &self.signers {
            let at = signer
                .verify(content, &certificates, work)
                .map_err(Pkcs7Error::from)?;
            signed_by.insert(at);
            signer
                .verify_time(&certificates, work)
                .map_err(Pkcs7Error::from)?;
        }
        // Once for each certificate, however many signers name it.
        let mut strange = None;
        for at in signed_by {
            strange = strange.or(leads_to_first(at, &encoded, work).err());
        }
        strange.map_or(Ok(()), |error| {
            Err(Pkcs7Error::StrangeCertificate(error).into())
        })
    }

    /// Checks every signature over the content that is there, each by the certificate that its
    /// signer names.
    pub fn verify_attached(&self, work: &mut Work) -> Result<(), Error> {
        let content = self.content.ok_or(Pkcs7Error::NoContent)?;
        if self.signers.is_empty() {
            return Err(Pkcs7Error::NotSigned.into());
        }
        let encoded = self.certificates()?;
        // An element that cannot be read matters only if it is the signer's certificate.
        let certificates: Vec<Certificate<'_>> = encoded
            .iter()
            .filter_map(|der| Certificate::from_der(der).ok())
            .collect();
        for signer in &self.signers {
            signer
                .verify(content, &certificates, work)
                .map_err(Pkcs7Error::from)?;
        }
        Ok(())
    }

    /// Returns PEM of the first certificate, the canonical form of the key.
    pub fn key(&self) -> Result<Vec<u8>, Error> {
        let certificates = self.certificates()?;
        let first = certificates.first().ok_or(Pkcs7Error::NoCertificate)?;
        let mut text = Vec::new();
        pem::encode(CERTIFICATE, first, &mut text);
        Ok(text)
    }

    /// Returns PEM of the structure without its content, the canonical form of the signature.
    pub fn detached(&self) -> Vec<u8> {
        let certificates = self
            .certificates
            .map(|certificates| element(constructed(0), &[certificates]));
        let data = element(
            SEQUENCE,
            &[
                self.version,
                &set(self.digest_algorithms.clone()),
                &element(
                    SEQUENCE,
                    &[&element(OBJECT_IDENTIFIER, &[self.content_type])],
                ),
                &certificates.unwrap_or_default(),
                self.revocation_lists,
                &set(self.signers.iter().map(|signer| signer.whole).collect()),
            ],
        );
        let signed_data = element(OBJECT_IDENTIFIER, &[SIGNED_DATA]);
        let der = element(
            SEQUENCE,
            &[&signed_data, &element(constructed(0), &[&data])],
        );
        let mut text = Vec::new();
        pem::encode(LABEL, &der, &mut text);
        text
    }

    /// Returns the certificates in DER, in their order.
    pub fn certificates(&self) -> Result<Vec<&'a [u8]>, Pkcs7Error> {
        let mut certificates = Vec::new();
        let mut elements = Elements(self.certificates.unwrap_or_default());
        while !elements.is_empty() {
            if certificates.len() == MAX_CERTIFICATES {
                return Err(Pkcs7Error::TooManyCertificates);
            }
            certificates.push(
                elements
                    .any()
                    .ok_or(Pkcs7Error::Malformed("certificates are not DER"))?
                    .whole,
            );
        }
        Ok(certificates)
    }
}

/// Whether certificate number `signer` is issued by the first one, over any of the others, or is
/// the first one itself. As nothing is trusted, SHA-1 will do, with which certificates of the
/// signers of old archives are signed.
fn leads_to_first(
    signer: usize,
    certificates: &[&[u8]],
    work: &mut Work,
) -> Result<(), ChainError> {
    if signer == 0 {
        return Ok(());
    }
    let others = certificates
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != signer && *at != 0)
        .map(|(_, der)| *der);
    let path: Vec<Vec<u8>> = [certificates[signer]]
        .into_iter()
        .chain(others)
        .chain([certificates[0]])
        .map(<[u8]>::to_vec)
        .collect();
    chain::verify(&path, chain::Hashes::Sha1Too, work)
}

/// An element of these contents, one after the other.
fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length: usize = contents.iter().map(|part| part.len()).sum();
    let mut der = vec![tag];
    match length.to_be_bytes() {
        [.., last @ 0..=0x7f] if length <= 0x7f => der.push(last),
        bytes => {
            let bytes = &bytes[length.leading_zeros() as usize / 8..];
            der.push(0x80 | bytes.len() as u8);
            der.extend_from_slice(bytes);
        }
    }
    contents.iter().for_each(|part| der.extend_from_slice(part));
    der
}

/// A set, sorted as X.690 section 11.6 says.
fn set(mut elements: Vec<&[u8]>) -> Vec<u8> {
    elements.sort_unstable();
    element(SET, &elements)
}

/// The contents of an element with this tag, and nothing after it.
fn only(contents: &[u8], tag: u8) -> Option<&[u8]> {
    let mut elements = Elements(contents);
    let Element {
        tag: found,
        contents,
        ..
    } = elements.any()?;
    (found == tag && elements.is_empty()).then_some(contents)
}
