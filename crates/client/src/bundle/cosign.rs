//! The bundle that `cosign sign-blob --bundle` wrote before Sigstore had one: a promise of a Rekor
//! v1 log, without an inclusion proof.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_verify::types::Bundle as SigstoreBundle;

use super::error::{BundleError, Result};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CosignBundle {
    base64_signature: String,
    /// The certificate in PEM, or base64 of it. Absent for a key.
    #[serde(default)]
    cert: String,
    rekor_bundle: RekorBundle,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RekorBundle {
    signed_entry_timestamp: String,
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    body: String,
    integrated_time: u64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

impl CosignBundle {
    /// Returns what a Sigstore bundle of version 0.1 says instead.
    pub(super) fn read(text: &str) -> Result<SigstoreBundle> {
        let bundle: Self = serde_json::from_str(text).map_err(BundleError::form)?;
        let (member, content) = bundle.material()?;
        let payload = &bundle.rekor_bundle.payload;
        let log_id = hex::decode(&payload.log_id).map_err(BundleError::form)?;
        let mut material = json!({
            "tlogEntries": [{
                "logIndex": payload.log_index.to_string(),
                "logId": {"keyId": STANDARD.encode(log_id)},
                "kindVersion": kind_version(&payload.body)?,
                "integratedTime": payload.integrated_time.to_string(),
                "inclusionPromise": {"signedEntryTimestamp": bundle.rekor_bundle.signed_entry_timestamp},
                "canonicalizedBody": payload.body,
            }],
        });
        material[member] = content;
        let sigstore = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
            "verificationMaterial": material,
            "messageSignature": {"signature": bundle.base64_signature},
        });
        serde_json::from_value(sigstore).map_err(BundleError::form)
    }

    fn material(&self) -> Result<(&'static str, Value)> {
        if self.cert.is_empty() {
            return Ok(("publicKey", json!({"hint": ""})));
        }
        let pem = match self.cert.starts_with("-----") {
            true => self.cert.clone().into_bytes(),
            false => STANDARD.decode(&self.cert).map_err(BundleError::form)?,
        };
        let (block, _rest) =
            pki::pem::decode(&pem).ok_or_else(|| BundleError::form("cert is not PEM"))?;
        match block.label {
            b"CERTIFICATE" => Ok((
                "x509CertificateChain",
                json!({"certificates": [{"rawBytes": STANDARD.encode(&block.bytes)}]}),
            )),
            _ => Ok(("publicKey", json!({"hint": ""}))),
        }
    }
}

fn kind_version(body: &str) -> Result<Value> {
    let body = STANDARD.decode(body).map_err(BundleError::form)?;
    let body: Value = serde_json::from_slice(&body).map_err(BundleError::form)?;
    Ok(json!({"kind": body["kind"], "version": body["apiVersion"]}))
}
