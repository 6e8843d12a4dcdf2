//! The requests in which logs take entries, of every kind and by both APIs.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use pki::digest::{Digest, HashAlgorithm};
use pki::dsse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::kind::{KeyFormat, Kind};
use super::proposal::Api;
use crate::sign::Signer;

/// The version of every kind of Rekor v1, but for `intoto`.
const VERSION: &str = "0.0.1";
/// Most signatures of an envelope, as logs take them.
const MAX_SIGNATURES: usize = 32;

/// Why there is no request. The texts say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A file is missing.
    #[error("{kind} needs {what}")]
    Missing {
        /// The kind.
        kind: Kind,
        /// The flag that names the file.
        what: &'static str,
    },
    /// Rekor v2 takes few kinds.
    #[error("Rekor v2 takes no {0}: send it by --api v1, or log a signature over the file")]
    NotInV2(Kind),
    /// Rekor v2 has no name for the algorithm.
    #[error("Rekor v2 has no name for this key with {0}")]
    Algorithm(&'static str),
    /// The envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}

/// The files that go into an entry.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts<'a> {
    /// The artifact, package, message or document.
    pub content: &'a [u8],
    /// The detached signature.
    pub signature: Option<&'a [u8]>,
    /// The public key, certificate or root, as it stands in its file.
    pub key: Option<&'a [u8]>,
}

/// A DSSE envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The JSON text.
    pub text: String,
    /// The type of the payload.
    pub payload_type: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// Signatures with their key IDs.
    pub signatures: Vec<(Vec<u8>, String)>,
}

/// Why a text is no envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the JSON of an envelope.
    #[error("no DSSE envelope: {0}")]
    Json(String),
    /// A field is not base64.
    #[error("no DSSE envelope: {0} is not base64")]
    Base64(&'static str),
    /// A number of signatures that no log takes.
    #[error("the DSSE envelope has {0} signatures, and should have 1 to 32")]
    Signatures(usize),
}

impl Envelope {
    /// Reads an envelope.
    ///
    /// # Errors
    ///
    /// The text is no envelope with signatures.
    pub fn read(text: &[u8]) -> Result<Self, EnvelopeError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            payload_type: String,
            payload: String,
            signatures: Vec<WireSignature>,
        }
        #[derive(Deserialize)]
        struct WireSignature {
            sig: String,
            #[serde(default)]
            keyid: Option<String>,
        }
        let json = |error: serde_json::Error| EnvelopeError::Json(error.to_string());
        let wire: Wire = serde_json::from_slice(text).map_err(json)?;
        if wire.signatures.is_empty() || wire.signatures.len() > MAX_SIGNATURES {
            return Err(EnvelopeError::Signatures(wire.signatures.len()));
        }
        let mut signatures = Vec::new();
        for signature in wire.signatures {
            let bytes = base64(&signature.sig).ok_or(EnvelopeError::Base64("a signature"))?;
            signatures.push((bytes, signature.keyid.unwrap_or_default()));
        }
        Ok(Self {
            text: String::from_utf8_lossy(text).into_owned(),
            payload_type: wire.payload_type,
            payload: base64(&wire.payload).ok_or(EnvelopeError::Base64("the payload"))?,
            signatures,
        })
    }

    /// Makes the envelope of a payload with one signature.
    pub fn new(payload_type: &str, payload: &[u8], signature: &[u8]) -> Self {
        let text = json!({
            "payload": STANDARD.encode(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": STANDARD.encode(signature)}],
        });
        Self {
            text: text.to_string(),
            payload_type: payload_type.to_owned(),
            payload: payload.to_vec(),
            signatures: vec![(signature.to_vec(), String::new())],
        }
    }

    /// Returns the bytes that are signed.
    pub fn signed(&self) -> Vec<u8> {
        dsse::pae(&self.payload_type, self.payload.clone())
    }

    /// Returns the envelope in the JSON of bundles and of Rekor v2.
    pub(crate) fn to_json(&self) -> Value {
        let signatures = self
            .signatures
            .iter()
            .map(|(signature, key_id)| json!({"sig": STANDARD.encode(signature), "keyid": key_id}));
        json!({
            "payload": STANDARD.encode(&self.payload),
            "payloadType": self.payload_type,
            "signatures": signatures.collect::<Vec<_>>(),
        })
    }
}

/// Decodes base64 of either alphabet.
fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE.decode(text))
        .ok()
}

/// Returns the request for a signature over a digest.
///
/// # Errors
///
/// Rekor v2 has no name for the algorithm.
pub(super) fn hashedrekord(
    api: Api,
    digest: &Digest,
    signature: &[u8],
    signer: &Signer,
) -> Result<Value, RequestError> {
    let content = STANDARD.encode(signature);
    Ok(match api {
        Api::V1 => entry(
            "hashedrekord",
            VERSION,
            json!({
                "data": {"hash": {
                    "algorithm": digest.algorithm().name(),
                    "value": hex::encode(digest.bytes()),
                }},
                "signature": {
                    "content": content,
                    "publicKey": {"content": STANDARD.encode(signer.pem())},
                },
            }),
        ),
        Api::V2 => json!({"hashedRekordRequestV002": {
            "digest": STANDARD.encode(digest.bytes()),
            "signature": {"content": content, "verifier": verifier(signer, digest.algorithm())?},
        }}),
    })
}

/// Returns the request for an envelope. Rekor v2 no longer keeps envelopes: there the digest of
/// what is signed is logged, as cosign does it, if there is one signature. `hash` is the function
/// that was signed over.
///
/// # Errors
///
/// Rekor v2 has no name for the algorithm.
pub(super) fn envelope(
    api: Api,
    envelope: &Envelope,
    signer: &Signer,
    hash: HashAlgorithm,
) -> Result<Value, RequestError> {
    let signature = envelope
        .signatures
        .first()
        .filter(|_| envelope.signatures.len() == 1);
    match (api, signature) {
        (Api::V1, _) => Ok(entry(
            "dsse",
            VERSION,
            json!({"proposedContent": {
                "envelope": envelope.text,
                "verifiers": [STANDARD.encode(signer.pem())],
            }}),
        )),
        (Api::V2, Some((signature, _))) => {
            let digest = Digest::of(hash, &envelope.signed());
            hashedrekord(api, &digest, signature, signer)
        }
        (Api::V2, None) => whole_envelope(envelope, signer, hash),
    }
}

/// Returns the request that Rekor v2 took up to 2.2.1, which has the envelope in it.
pub(super) fn whole_envelope(
    envelope: &Envelope,
    signer: &Signer,
    hash: HashAlgorithm,
) -> Result<Value, RequestError> {
    let verifier = match signer.key_details(hash) {
        // An envelope is signed as a message.
        Some("PKIX_ED25519_PH") => named(signer, "PKIX_ED25519"),
        _ => verifier(signer, hash)?,
    };
    Ok(json!({"dsseRequestV002": {"envelope": envelope.to_json(), "verifiers": [verifier]}}))
}

/// Returns the request of Rekor v1 for an envelope whose payload is kept.
pub(super) fn intoto(envelope: &Envelope, signer: &Signer) -> Value {
    let payload = STANDARD.encode(&envelope.payload);
    let pem = String::from_utf8_lossy(signer.pem()).into_owned();
    let signature = |twice: bool, (signature, key_id): &(Vec<u8>, String)| {
        let once = STANDARD.encode(signature);
        let (sig, public_key) = match twice {
            true => (STANDARD.encode(once), STANDARD.encode(&pem)),
            false => (once, pem.clone()),
        };
        match key_id.is_empty() {
            true => json!({"sig": sig, "publicKey": public_key}),
            false => json!({"sig": sig, "publicKey": public_key, "keyid": key_id}),
        }
    };
    let signatures = |twice| -> Vec<Value> {
        let signatures = envelope.signatures.iter();
        signatures.map(|one| signature(twice, one)).collect()
    };
    // The hash that clients of Sigstore send is over the parts with one layer of base64.
    let hashed = json!({
        "payload": payload, "payloadType": envelope.payload_type, "signatures": signatures(false),
    });
    let hash = tlog::sha256(hashed.to_string().as_bytes()).to_string();
    entry(
        "intoto",
        "0.0.2",
        json!({"content": {
            "envelope": {
                "payload": STANDARD.encode(&payload),
                "payloadType": envelope.payload_type,
                "signatures": signatures(true),
            },
            "hash": {"algorithm": "sha256", "value": hash},
        }}),
    )
}

/// Returns the request of Rekor v1 for a kind whose files are sent as they are.
///
/// # Errors
///
/// A file is missing.
pub(super) fn whole(
    kind: Kind,
    format: Option<KeyFormat>,
    parts: Parts<'_>,
) -> Result<Value, RequestError> {
    let missing = |what| RequestError::Missing { kind, what };
    let key = || {
        let key = parts.key.ok_or_else(|| missing("--public-key"))?;
        Ok::<_, RequestError>(STANDARD.encode(key))
    };
    let content = STANDARD.encode(parts.content);
    let spec = match kind {
        Kind::Rpm | Kind::Alpine => {
            json!({"package": {"content": content}, "publicKey": {"content": key()?}})
        }
        Kind::Jar => json!({"archive": {"content": content}}),
        Kind::Helm => {
            json!({"chart": {"provenance": {"content": content}}, "publicKey": {"content": key()?}})
        }
        Kind::Cose => json!({"data": {}, "message": content, "publicKey": key()?}),
        Kind::Rfc3161 => json!({"tsr": {"content": content}}),
        Kind::Tuf => json!({"metadata": {"content": content}, "root": {"content": key()?}}),
        Kind::Rekord => {
            let signature = parts.signature.ok_or_else(|| missing("--signature"))?;
            let format = format.unwrap_or(KeyFormat::X509).name();
            json!({
                "data": {"content": content},
                "signature": {
                    "content": STANDARD.encode(signature),
                    "format": format,
                    "publicKey": {"content": key()?},
                },
            })
        }
        Kind::Hashedrekord | Kind::Dsse | Kind::Intoto | Kind::Entry => {
            return Err(missing("another request"));
        }
    };
    Ok(entry(kind.name(), VERSION, spec))
}

fn entry(kind: &str, version: &str, spec: Value) -> Value {
    json!({"apiVersion": version, "kind": kind, "spec": spec})
}

fn verifier(signer: &Signer, hash: HashAlgorithm) -> Result<Value, RequestError> {
    let details = signer.key_details(hash);
    let details = details.ok_or(RequestError::Algorithm(hash.title()))?;
    Ok(named(signer, details))
}

fn named(signer: &Signer, details: &str) -> Value {
    let member = match signer.is_certificate() {
        true => "x509Certificate",
        false => "publicKey",
    };
    json!({member: {"rawBytes": STANDARD.encode(signer.der())}, "keyDetails": details})
}
