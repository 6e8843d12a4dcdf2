//! Makes signed archives, well-formed or not.

use std::io::Write;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::{Decode, Encode};
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use rcgen::{CertificateParams, KeyPair};

/// A signed archive and what it is made of.
pub(super) struct Jar {
    pub(super) signer: Signer,
    pub(super) manifest: Vec<u8>,
    pub(super) signature_file: Vec<u8>,
    /// Files beside those of the signature.
    pub(super) beside: Vec<(String, Vec<u8>)>,
}

impl Jar {
    pub(super) fn of(files: &[(&str, &[u8])]) -> Self {
        Self::with_digests(files, &["SHA-256"])
    }

    /// With digests by these hash functions in the manifest.
    pub(super) fn with_digests(files: &[(&str, &[u8])], hashes: &[&str]) -> Self {
        let mut manifest = b"Manifest-Version: 1.0\r\n\r\n".to_vec();
        for (name, contents) in files {
            manifest.extend(attribute("Name", name));
            for hash in hashes {
                let algorithm = match *hash {
                    "SHA1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
                    "SHA-256" => &digest::SHA256,
                    "SHA-384" => &digest::SHA384,
                    _ => &digest::SHA512,
                };
                let value = STANDARD.encode(digest::digest(algorithm, contents));
                manifest.extend(attribute(&format!("{hash}-Digest"), &value));
            }
            manifest.extend(b"\r\n");
        }
        let whole = STANDARD.encode(digest::digest(&digest::SHA256, &manifest));
        let signature_file = [
            attribute("Signature-Version", "1.0"),
            attribute("SHA-256-Digest-Manifest", &whole),
            b"\r\n".to_vec(),
        ];
        Self {
            signer: Signer::new("signer"),
            manifest,
            signature_file: signature_file.concat(),
            beside: files
                .iter()
                .map(|(name, contents)| ((*name).to_owned(), contents.to_vec()))
                .collect(),
        }
    }

    /// All files, the signature block last.
    pub(super) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![
            ("META-INF/MANIFEST.MF".to_owned(), self.manifest.clone()),
            ("META-INF/S.SF".to_owned(), self.signature_file.clone()),
        ];
        files.extend(self.beside.iter().cloned());
        files.push((
            "META-INF/S.EC".to_owned(),
            self.block(std::slice::from_ref(&self.signer.certificate)),
        ));
        files
    }

    /// The signature block with these certificates.
    pub(super) fn block(&self, certificates: &[Vec<u8>]) -> Vec<u8> {
        let certificates: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
        signed_data(&certificates, &[self.signer.info(&self.signature_file)])
    }

    pub(super) fn build(&self) -> Vec<u8> {
        zip(&self.files())
    }
}

/// A line, folded as the specification of JAR files says.
fn attribute(name: &str, value: &str) -> Vec<u8> {
    let line = format!("{name}: {value}");
    let mut lines = line.as_bytes().chunks(70);
    let first = lines.next().unwrap_or_default().to_vec();
    lines
        .fold(first, |folded, line| [&folded[..], b"\r\n ", line].concat())
        .into_iter()
        .chain(*b"\r\n")
        .collect()
}

/// Somebody with a key and a certificate for it.
pub(super) struct Signer {
    key: KeyPair,
    pub(super) certificate: Vec<u8>,
    pem: String,
}

impl Signer {
    /// The same key for everybody: P-256 with a number that any test may know.
    pub(super) fn new(name: &str) -> Self {
        const PKCS8: &[u8] = include_bytes!("p256.pkcs8");
        let key = KeyPair::try_from(PKCS8).unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.serial_number = Some(7_u64.into());
        let certificate = params.self_signed(&key).unwrap();
        // Its signature is another one each time.
        Self {
            certificate: certificate.der().to_vec(),
            pem: certificate.pem(),
            key,
        }
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// `SignerInfo` without attributes.
    pub(super) fn info(&self, content: &[u8]) -> Vec<u8> {
        let certificate = x509_cert::Certificate::from_der(&self.certificate).unwrap();
        let issuer = certificate.tbs_certificate().issuer().to_der().unwrap();
        let serial = certificate
            .tbs_certificate()
            .serial_number()
            .to_der()
            .unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, self.key.serialized_der())
                .unwrap();
        let signature = key.sign(&SystemRandom::new(), content).unwrap();
        der(
            0x30,
            &[
                &[2, 1, 1],
                &der(0x30, &[&issuer, &serial]),
                SHA256,
                &[0x30, 9, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1],
                &der(4, &[signature.as_ref()]),
            ],
        )
    }
}

const SHA256: &[u8] = &[0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];

pub(super) fn signed_data(certificates: &[&[u8]], infos: &[Vec<u8>]) -> Vec<u8> {
    let infos: Vec<&[u8]> = infos.iter().map(Vec::as_slice).collect();
    let data = der(
        0x30,
        &[
            &[2, 1, 1],
            &der(0x31, &[SHA256]),
            &[0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 7, 1],
            &der(0xa0, certificates),
            &der(0x31, &infos),
        ],
    );
    der(
        0x30,
        &[
            &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 7, 2],
            &der(0xa0, &[&data]),
        ],
    )
}

/// An element with these contents, one after the other.
pub(super) fn der(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let length = contents.len();
    let header = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        0x100..=0xffff => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        _ => vec![
            tag,
            0x83,
            (length >> 16) as u8,
            (length >> 8) as u8,
            length as u8,
        ],
    };
    [header, contents].concat()
}

/// An archive of these files.
pub(super) fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (name, contents) in files {
        directory.push((name.as_str(), &contents[..], bytes.len()));
        bytes.extend(local_file(name, contents));
    }
    archive(&bytes, &directory)
}

/// Files and a directory that says which are where.
pub(super) fn archive(files: &[u8], directory: &[(&str, &[u8], usize)]) -> Vec<u8> {
    let mut bytes = files.to_vec();
    for (name, contents, offset) in directory {
        bytes.extend(b"PK\x01\x02\x14\0");
        bytes.extend(header(name, contents));
        bytes.extend([0; 10]);
        bytes.extend((*offset as u32).to_le_bytes());
        bytes.extend(name.as_bytes());
    }
    let size = (bytes.len() - files.len()) as u32;
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    let count = (directory.len() as u16).to_le_bytes();
    bytes.extend([count, count].concat());
    bytes.extend([size.to_le_bytes(), (files.len() as u32).to_le_bytes()].concat());
    bytes.extend([0; 2]);
    bytes
}

pub(super) fn local_file(name: &str, contents: &[u8]) -> Vec<u8> {
    [
        b"PK\x03\x04",
        &header(name, contents)[..],
        name.as_bytes(),
        &deflate(contents),
    ]
    .concat()
}

/// The fields that directory and local header have in common, from the version to the length of the
/// extra field.
fn header(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(contents);
    let mut bytes = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
    for number in [
        crc.sum(),
        deflate(contents).len() as u32,
        contents.len() as u32,
    ] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

fn deflate(contents: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}
