//! Public keys of SSH, and the signatures that they verify.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
    EcdsaVerificationAlgorithm, ParsedPublicKey, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RsaPublicKeyComponents,
};

use super::wire::Reader;
use crate::error::{Error, quoted};
use crate::public_key::{Curve as NistCurve, KeyKind, verify_ed25519};
use crate::signature::asn1_of_raw_pair;

/// Longest RSA modulus in bytes, as for x509 keys: the longest that aws-lc verifies with.
const MAX_MODULUS: usize = 1024;
/// The flag of a security key that was touched.
const USER_PRESENT: u8 = 1;

/// A parsed key.
pub(super) struct PublicKey {
    /// As the key names it.
    type_name: String,
    /// The type of the key, also where `type_name` is the type of a certificate.
    key_type: String,
    numbers: Numbers,
}

enum Numbers {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Ecdsa(Point),
    Ed25519([u8; 32]),
    /// Of a FIDO security key, with the name of its application.
    SecurityEcdsa(Point, Vec<u8>),
    SecurityEd25519([u8; 32], Vec<u8>),
}

impl Numbers {
    fn parse(key_type: &str, fields: &mut Reader<'_>) -> Result<Self, Error> {
        match key_type {
            "ssh-rsa" => {
                let (exponent, modulus) =
                    (fields.positive()?.to_vec(), fields.positive()?.to_vec());
                match modulus.len() {
                    ..=MAX_MODULUS => Ok(Self::Rsa { modulus, exponent }),
                    _ => Err(Error::Invalid("ssh: rsa modulus too large".to_owned())),
                }
            }
            "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => {
                let [name, point] = fields.strings()?;
                let curve = curve(name, key_type)?;
                Ok(Self::Ecdsa(curve.point(point)?))
            }
            "ssh-ed25519" => Ok(Self::Ed25519(ed25519(fields.string()?)?)),
            "sk-ecdsa-sha2-nistp256@openssh.com" => {
                let [name, point, application] = fields.strings()?;
                let curve = curve(name, "ecdsa-sha2-nistp256")?;
                Ok(Self::SecurityEcdsa(
                    curve.point(point)?,
                    application.to_vec(),
                ))
            }
            "sk-ssh-ed25519@openssh.com" => {
                let [key, application] = fields.strings()?;
                Ok(Self::SecurityEd25519(ed25519(key)?, application.to_vec()))
            }
            other => Err(Error::Invalid(format!(
                "ssh: unknown key algorithm: {}",
                quoted(other)
            ))),
        }
    }
}

/// PROTOCOL.certkeys of OpenSSH: what follows the key. Whether it is true is nothing to a log, as
/// in Rekor.
fn check_certificate(fields: &mut Reader<'_>) -> Result<(), Error> {
    // Serial number and kind; ID and principals; beginning and end of its validity.
    fields.bytes(8 + 4)?;
    let [_id, principals] = fields.strings()?;
    fields.bytes(8 + 8)?;
    let [options, extensions, _reserved, authority, signature] = fields.strings()?;
    let mut principals = Reader(principals);
    while !principals.0.is_empty() {
        principals.string()?;
    }
    check_options(options)?;
    check_options(extensions)?;
    // The authority is a key and no certificate.
    let mut authority = Reader(authority);
    let key_type = String::from_utf8_lossy(authority.string()?).into_owned();
    Numbers::parse(&key_type, &mut authority)?;
    authority.finish()?;
    // Not verified, but of the form of one.
    let mut signature = Reader(signature);
    let [algorithm, _] = signature.strings()?;
    if algorithm.starts_with(b"sk-") {
        // Flags and counter.
        signature.bytes(1 + 4)?;
    }
    signature.finish()
}

/// Names in their order, each with a string that may hold one string.
fn check_options(options: &[u8]) -> Result<(), Error> {
    let mut fields = Reader(options);
    let mut last: Option<&[u8]> = None;
    while !fields.0.is_empty() {
        let [name, value] = fields.strings()?;
        if last.is_some_and(|last| name <= last) {
            return Err(Error::Invalid(
                "ssh: certificate options are not in lexical order".to_owned(),
            ));
        }
        last = Some(name);
        if !value.is_empty() {
            let mut value = Reader(value);
            value.string()?;
            value.finish()?;
        }
    }
    Ok(())
}

/// A curve, and how its signatures are verified.
struct Curve {
    curve: NistCurve,
    /// Bytes of a coordinate.
    size: usize,
    algorithm: &'static EcdsaVerificationAlgorithm,
}

/// A point that is on its curve.
struct Point {
    curve: NistCurve,
    size: usize,
    key: ParsedPublicKey,
}

impl Curve {
    fn point(&self, point: &[u8]) -> Result<Point, Error> {
        let is_uncompressed = point.len() == 1 + 2 * self.size && point[0] == 4;
        ParsedPublicKey::new(self.algorithm, point)
            .ok()
            .filter(|_| is_uncompressed)
            .map(|key| Point {
                curve: self.curve,
                size: self.size,
                key,
            })
            .ok_or_else(|| Error::Invalid("ssh: invalid curve point".to_owned()))
    }
}

impl Point {
    /// RFC 5656 section 3.1.2: two numbers.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<bool, Error> {
        let mut fields = Reader(signature);
        let pair = [
            padded(fields.positive()?, self.size),
            padded(fields.positive()?, self.size),
        ]
        .concat();
        fields.finish()?;
        let signature = asn1_of_raw_pair(&pair).filter(|_| pair.len() == 2 * self.size);
        Ok(signature.is_some_and(|signature| self.key.verify_sig(message, &signature).is_ok()))
    }
}

impl PublicKey {
    /// Parses a key of RFC 4253 section 6.6 and its like, or a certificate of OpenSSH, which counts
    /// as its key. DSA keys, which OpenSSH has given up, are refused.
    pub(super) fn parse(blob: &[u8]) -> Result<Self, Error> {
        let mut fields = Reader(blob);
        let type_name = String::from_utf8_lossy(fields.string()?).into_owned();
        let key_type = match type_name.strip_suffix("-cert-v01@openssh.com") {
            None => type_name.clone(),
            Some(of_key) => {
                // A nonce, by which no two certificates are alike.
                fields.string()?;
                match of_key.starts_with("sk-") {
                    true => format!("{of_key}@openssh.com"),
                    false => of_key.to_owned(),
                }
            }
        };
        let numbers = Numbers::parse(&key_type, &mut fields)?;
        if key_type != type_name {
            check_certificate(&mut fields)?;
        }
        fields
            .finish()
            .map_err(|_| Error::Invalid("ssh: trailing junk in public key".to_owned()))?;
        Ok(Self {
            type_name,
            key_type,
            numbers,
        })
    }

    pub(super) fn kind(&self) -> KeyKind {
        match &self.numbers {
            Numbers::Rsa { modulus, .. } => KeyKind::Rsa {
                bytes: modulus.len(),
            },
            Numbers::Ecdsa(point) | Numbers::SecurityEcdsa(point, _) => KeyKind::Ecdsa(point.curve),
            Numbers::Ed25519(_) | Numbers::SecurityEd25519(..) => KeyKind::Ed25519,
        }
    }

    pub(super) fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Checks a signature, algorithm and all, over `message`.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let mut fields = Reader(signature);
        let [algorithm, blob] = fields.strings()?;
        let is_verified = match (&self.numbers, algorithm) {
            (Numbers::Rsa { modulus, exponent }, b"rsa-sha2-512") => {
                let algorithm = &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY;
                RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                }
                .verify(algorithm, message, &padded(blob, modulus.len()))
                .is_ok()
            }
            (Numbers::Rsa { modulus, exponent }, b"rsa-sha2-256") => {
                let algorithm = &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
                RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                }
                .verify(algorithm, message, &padded(blob, modulus.len()))
                .is_ok()
            }
            // "ssh-rsa" is SHA-1, which PROTOCOL.sshsig forbids.
            (Numbers::Rsa { .. }, _) => return Err(self.wrong_type(algorithm)),
            (_, algorithm) if algorithm != self.key_type.as_bytes() => {
                return Err(self.wrong_type(algorithm));
            }
            (Numbers::Ecdsa(point), _) => point.verify(message, blob)?,
            (Numbers::Ed25519(key), _) => verify_ed25519(key, message, blob).is_some(),
            (Numbers::SecurityEcdsa(point, application), _) => {
                let signed = signed_by_security_key(application, &mut fields, message)?;
                point.verify(&signed, blob)?
            }
            (Numbers::SecurityEd25519(key, application), _) => {
                let signed = signed_by_security_key(application, &mut fields, message)?;
                verify_ed25519(key, &signed, blob).is_some()
            }
        };
        match is_verified {
            // Whatever follows would be signed by nobody.
            true => fields.finish(),
            false => Err(Error::Invalid("ssh: signature did not verify".to_owned())),
        }
    }

    fn wrong_type(&self, algorithm: &[u8]) -> Error {
        let algorithm = String::from_utf8_lossy(algorithm);
        Error::Invalid(format!(
            "ssh: signature type {} for key type {}",
            quoted(&algorithm),
            self.key_type
        ))
    }
}

/// RFC 5656: a curve, which has to be the one that the type of the key names.
fn curve(name: &[u8], type_name: &str) -> Result<Curve, Error> {
    let curve = match name {
        b"nistp256" => Curve {
            curve: NistCurve::P256,
            size: 32,
            algorithm: &ECDSA_P256_SHA256_ASN1,
        },
        b"nistp384" => Curve {
            curve: NistCurve::P384,
            size: 48,
            algorithm: &ECDSA_P384_SHA384_ASN1,
        },
        b"nistp521" => Curve {
            curve: NistCurve::P521,
            size: 66,
            algorithm: &ECDSA_P521_SHA512_ASN1,
        },
        _ => return Err(Error::Invalid("ssh: unsupported curve".to_owned())),
    };
    match type_name.as_bytes().ends_with(name) {
        true => Ok(curve),
        false => Err(Error::Invalid("ssh: algorithm type mismatch".to_owned())),
    }
}

fn ed25519(key: &[u8]) -> Result<[u8; 32], Error> {
    key.try_into()
        .map_err(|_| Error::Invalid(format!("invalid size {} for Ed25519 public key", key.len())))
}

/// PROTOCOL.u2f of OpenSSH: hashes of application and message, with what the security key says
/// between them.
fn signed_by_security_key(
    application: &[u8],
    fields: &mut Reader<'_>,
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    let (flags, counter) = (fields.bytes(1)?, fields.bytes(4)?);
    if flags[0] & USER_PRESENT == 0 {
        return Err(Error::Invalid(
            "ssh: signature missing required user presence flag".to_owned(),
        ));
    }
    let sha256 = |bytes| digest::digest(&digest::SHA256, bytes);
    Ok([
        sha256(application).as_ref(),
        flags,
        counter,
        sha256(message).as_ref(),
    ]
    .concat())
}

/// With zeros before it, so that it has this length.
fn padded(number: &[u8], length: usize) -> Vec<u8> {
    let mut padded = vec![0; length.saturating_sub(number.len())];
    padded.extend_from_slice(number);
    padded
}
