//! Certificates as Fulcio gives them to a GitHub workflow: the same extensions, of the same
//! lengths.

use anyhow::{Context, Result};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use pem_rfc7468::LineEnding;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, SignatureAlgorithm,
    date_time_ymd,
};

const COMMIT: &str = "4ac5941ce272e4f72eda5412c9da0ba9a4a3a664";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// Bytes of a serial number: what Fulcio uses, and the most that RFC 5280 allows.
const SERIAL_BYTES: usize = 20;

/// One signer's certificate, of which each entry has another edition.
pub(crate) struct Certificate {
    der: Vec<u8>,
    /// The place at which the serial number begins.
    serial_at: usize,
}

impl Certificate {
    /// For a workflow of the project of this number.
    pub(crate) fn new(project: u64, key: &SigningKey) -> Result<Self> {
        let key = CertificateKey::new(key);
        // Found again below: it must be like nothing else.
        let serial = &tlog::sha256(&key.point).0[..SERIAL_BYTES];
        let issuer = Issuer::new(issuer(), &key);
        let der = params(project, serial)?
            .signed_by(&key, &issuer)?
            .der()
            .to_vec();
        let serial = positive(serial);
        let serial_at = der
            .windows(SERIAL_BYTES)
            .position(|window| window == serial)
            .context("no serial number")?;
        Ok(Self { der, serial_at })
    }

    /// With another serial number, in PEM. Its signature is not made anew: nobody who takes entries
    /// looks at it.
    pub(crate) fn pem(&self, serial: &[u8; 32]) -> String {
        let mut der = self.der.clone();
        der[self.serial_at..self.serial_at + SERIAL_BYTES].copy_from_slice(&positive(serial));
        pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, &der).unwrap_or_default()
    }
}

/// The first bytes of `random` as an integer of this length that DER writes without a sign byte and
/// cannot shorten.
fn positive(random: &[u8]) -> [u8; SERIAL_BYTES] {
    let mut serial = [0; SERIAL_BYTES];
    serial.copy_from_slice(&random[..SERIAL_BYTES]);
    serial[0] = serial[0] & 0x3f | 0x40;
    serial
}

fn issuer() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "sigstore.dev");
    params
        .distinguished_name
        .push(DnType::CommonName, "sigstore-intermediate");
    params
}

fn params(project: u64, serial: &[u8]) -> Result<CertificateParams> {
    let repository = format!("https://github.com/example/project-{project}");
    let workflow = format!("{repository}/.github/workflows/release.yml@refs/tags/v1.2.3");
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 1, 2);
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&positive(serial)));
    params.subject_alt_names = vec![SanType::URI(workflow.as_str().try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params.use_authority_key_identifier_extension = true;
    params.custom_extensions = claims(project, &repository, &workflow);
    params.custom_extensions.push(timestamps(serial));
    Ok(params)
}

/// The statements of Fulcio about a workflow (its oid-info.md): the first six as plain bytes, the
/// others as UTF8String.
fn claims(project: u64, repository: &str, workflow: &str) -> Vec<CustomExtension> {
    let name = format!("example/project-{project}");
    let plain = [
        (1, ISSUER),
        (2, "push"),
        (3, COMMIT),
        (4, "Release"),
        (5, &name),
        (6, "refs/tags/v1.2.3"),
    ];
    let run = format!("{repository}/actions/runs/12345678901/attempts/1");
    let (id, owner_id) = (format!("8{project:08}"), "71096353");
    let text = [
        (8, ISSUER),
        (9, workflow),
        (10, COMMIT),
        (11, "github-hosted"),
        (12, repository),
        (13, COMMIT),
        (14, "refs/tags/v1.2.3"),
        (15, &id),
        (16, "https://github.com/example"),
        (17, owner_id),
        (18, workflow),
        (19, COMMIT),
        (20, "push"),
        (21, &run),
        (22, "public"),
    ];
    let extension = |number, content| {
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, number], content)
    };
    let plain = plain
        .iter()
        .map(|(number, claim)| extension(*number, claim.as_bytes().to_vec()));
    // All of them are shorter than 128 bytes.
    let utf8 = |claim: &str| [&[0x0c, claim.len() as u8], claim.as_bytes()].concat();
    plain
        .chain(
            text.iter()
                .map(|(number, claim)| extension(*number, utf8(claim))),
        )
        .collect()
}

/// A list of one signed certificate timestamp (RFC 6962 section 3.3), its bytes made up.
fn timestamps(seed: &[u8]) -> CustomExtension {
    let made_up: Vec<u8> = (0_u8..4)
        .flat_map(|part| tlog::sha256(&[seed, &[part]].concat()).0)
        .collect();
    let content = [&[0x04, 0x7a, 0, 0x78, 0, 0x76], &made_up[..0x76]].concat();
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], content)
}

/// Signs the same way each time (RFC 6979), which rcgen's own keys do not.
struct CertificateKey<'k> {
    key: &'k SigningKey,
    point: Vec<u8>,
}

impl<'k> CertificateKey<'k> {
    fn new(key: &'k SigningKey) -> Self {
        Self {
            key,
            point: key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
        }
    }
}

impl rcgen::PublicKeyData for CertificateKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for CertificateKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: Signature = self.key.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
