//! RPM packages: a lead that nobody reads, a header with signatures and digests, a header with
//! everything about the package, the payload. Signatures are over the second header alone, or over
//! that and the payload.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{self, Algorithm};
use md5::{Digest as _, Md5};

use super::header::{Header, HeaderError, Padding};
use pki::jcs;
use pki::pgp;
use pki::{TooCostly, Work};

const LEAD_BYTES: usize = 96;
const LEAD_MAGIC: &[u8] = &[0xed, 0xab, 0xee, 0xdb];

// Tags of the signature header.
const DSA_OVER_HEADER: u32 = 267;
const RSA_OVER_HEADER: u32 = 268;
const SHA1_OF_HEADER: u32 = 269;
const SHA256_OF_HEADER: u32 = 273;
const RSA_OVER_ALL: u32 = 1002;
const MD5_OF_ALL: u32 = 1004;
const DSA_OVER_ALL: u32 = 1005;

// Tags of the other one.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const ARCHITECTURE: u32 = 1022;
const PAYLOAD_DIGEST: u32 = 5092;
const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;

/// A package whose parts are told apart.
pub(super) struct Package<'a> {
    signatures: Header<'a>,
    header: Header<'a>,
    payload: &'a [u8],
}

/// Why a package is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PackageError {
    #[error("error reading RPM lead: {0}")]
    Lead(&'static str),
    #[error("file is not an RPM")]
    Magic,
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("{0} mismatch in signature header")]
    HeaderDigest(&'static str),
    #[error("payload digest mismatch")]
    PayloadDigest,
    #[error("md5 digest mismatch")]
    Md5,
    #[error("no supported PGP signature found in RPM")]
    NotSigned,
    #[error("keyid {0:08x} not found")]
    UnknownKey(u64),
    #[error(transparent)]
    Signature(pki::Error),
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
    #[error(
        "the payload is covered by no signature, neither by one of its own nor by a digest in the signed header"
    )]
    PayloadNotSigned,
}

impl<'a> Package<'a> {
    /// Tells the parts apart and checks the digest of the header.
    pub(super) fn read(bytes: &'a [u8], work: &mut Work) -> Result<Self, PackageError> {
        let Some((lead, rest)) = bytes.split_at_checked(LEAD_BYTES) else {
            return Err(PackageError::Lead(if bytes.is_empty() {
                "EOF"
            } else {
                "unexpected EOF"
            }));
        };
        if !lead.starts_with(LEAD_MAGIC) {
            return Err(PackageError::Magic);
        }
        let (signatures, rest) = Header::read(rest, Padding::ToEight)?;
        let (header, payload) = Header::read(rest, Padding::None)?;
        work.take_hashing(header.whole.len())?;
        let claims = [
            (SHA256_OF_HEADER, "SHA-256", &digest::SHA256),
            (SHA1_OF_HEADER, "SHA-1", &digest::SHA1_FOR_LEGACY_USE_ONLY),
        ];
        for (tag, name, algorithm) in claims {
            // If the better digest is there, the other one is not looked at.
            if let Some(claimed) = signatures
                .string(tag)?
                .filter(|claimed| !claimed.is_empty())
            {
                return match is_digest(algorithm, header.whole, claimed) {
                    true => Ok(Self {
                        signatures,
                        header,
                        payload,
                    }),
                    false => Err(PackageError::HeaderDigest(name)),
                };
            }
        }
        Ok(Self {
            signatures,
            header,
            payload,
        })
    }

    /// Checks every digest and every signature. At least one signature has to cover the payload, by
    /// itself or by a digest in the header that it covers: Rekor also takes packages whose payload
    /// anybody can exchange.
    pub(super) fn verify(&self, key: &pgp::Key, work: &mut Work) -> Result<(), PackageError> {
        work.take_hashing(self.payload.len() + self.header.whole.len() + self.payload.len())?;
        let has_digest = self.check_payload_digest()?;
        self.check_md5()?;
        let mut is_covered = None;
        let tags = [
            (RSA_OVER_HEADER, false),
            (DSA_OVER_HEADER, false),
            (RSA_OVER_ALL, true),
            (DSA_OVER_ALL, true),
        ];
        for (tag, covers_payload) in tags {
            let Some(signature) = self.signatures.binary(tag)? else {
                continue;
            };
            let signed = if covers_payload {
                &[self.header.whole, self.payload][..]
            } else {
                &[self.header.whole]
            };
            key.verify_packet(signature, signed, work)
                .map_err(|error| match error {
                    pki::Error::Pgp(pgp::Error::UnknownSigner(Some(id))) => {
                        PackageError::UnknownKey(id)
                    }
                    error => PackageError::Signature(error),
                })?;
            is_covered = Some(is_covered == Some(true) || covers_payload || has_digest);
        }
        match is_covered {
            None => Err(PackageError::NotSigned),
            Some(false) => Err(PackageError::PayloadNotSigned),
            Some(true) => Ok(()),
        }
    }

    /// Returns the facts about the package that an entry has, by the names that Rekor uses.
    pub(super) fn facts(&self) -> Result<BTreeMap<String, String>, PackageError> {
        let text = |tag| {
            Ok(jcs::lossy(
                self.header.string(tag)?.ok_or(HeaderError::Missing(tag))?,
            ))
        };
        let mut facts: BTreeMap<String, String> = [
            ("Name", text(NAME)),
            (
                "Epoch",
                self.header
                    .number(EPOCH)
                    .map(|epoch| epoch.unwrap_or(0).to_string()),
            ),
            ("Version", text(VERSION)),
            ("Release", text(RELEASE)),
            ("Architecture", text(ARCHITECTURE)),
        ]
        .into_iter()
        .map(|(name, value)| Ok((name.to_owned(), value?)))
        .collect::<Result<_, HeaderError>>()?;
        if let Ok(Some(md5)) = self.signatures.binary(MD5_OF_ALL)
            && !md5.is_empty()
        {
            facts.insert("RPMSIGTAG_MD5".to_owned(), hex::encode(md5));
        }
        Ok(facts)
    }

    /// Checks the payload against the digest in the header, if there is one.
    fn check_payload_digest(&self) -> Result<bool, PackageError> {
        let claimed = self.header.string(PAYLOAD_DIGEST).ok().flatten();
        let algorithm = self.header.number(PAYLOAD_DIGEST_ALGORITHM).ok().flatten();
        // Numbers of OpenPGP (RFC 9580 section 9.5). One by MD5 (1) would cover nothing.
        let algorithm = match algorithm {
            Some(2) => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Some(8) => &digest::SHA256,
            Some(9) => &digest::SHA384,
            Some(10) => &digest::SHA512,
            Some(11) => &digest::SHA224,
            _ => return Ok(false),
        };
        match claimed.map(|claimed| is_digest(algorithm, self.payload, claimed)) {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(PackageError::PayloadDigest),
        }
    }

    /// Checks the MD5 of header and payload, if there is one: entries repeat it.
    fn check_md5(&self) -> Result<(), PackageError> {
        let Some(claimed) = self
            .signatures
            .binary(MD5_OF_ALL)
            .ok()
            .flatten()
            .filter(|claimed| !claimed.is_empty())
        else {
            return Ok(());
        };
        let computed = Md5::new()
            .chain_update(self.header.whole)
            .chain_update(self.payload)
            .finalize();
        match computed[..] == *claimed {
            true => Ok(()),
            false => Err(PackageError::Md5),
        }
    }
}

/// Whether `claimed` are the hexadecimal digits of this digest.
fn is_digest(algorithm: &'static Algorithm, bytes: &[u8], claimed: &[u8]) -> bool {
    hex::encode(digest::digest(algorithm, bytes)).as_bytes() == claimed
}
