//! Makes a bundle of a hashedrekord entry, which holds signature and key itself.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::error::{BundleError, Result};
use super::read::Bundle;

impl Bundle {
    /// Makes a bundle of the answer of a log with one hashedrekord entry: Rekor v1's, or a
    /// `TransparencyLogEntry`. Nothing is verified here.
    ///
    /// # Errors
    ///
    /// The answer has another form, or the entry has another kind. Those do not hold the signature
    /// of the artifact, or hold it in a form of their own.
    pub fn of_entry(answer: &[u8]) -> Result<Self> {
        let answer: Value = serde_json::from_slice(answer).map_err(BundleError::form)?;
        let entry = match answer.get("canonicalizedBody") {
            Some(_) => answer,
            None => log_entry(answer)?,
        };
        let body = text(&entry, "/canonicalizedBody")?;
        let body = STANDARD.decode(body).map_err(BundleError::form)?;
        let body: Value = serde_json::from_slice(&body).map_err(BundleError::form)?;
        let (material, signature) = match body.pointer("/spec/hashedRekordV002") {
            Some(record) => (material_v2(record), text(record, "/signature/content")?),
            None => (material_v1(&body)?, text(&body, "/spec/signature/content")?),
        };
        let mut verification = json!({"tlogEntries": [entry]});
        verification[material.0] = material.1;
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": verification,
            "messageSignature": {"signature": signature},
        });
        Self::read(bundle.to_string().as_bytes())
    }
}

/// Returns the answer of a Rekor v1 log as a `TransparencyLogEntry`.
fn log_entry(answer: Value) -> Result<Value> {
    let entries: HashMap<String, Value> =
        serde_json::from_value(answer).map_err(BundleError::form)?;
    let mut entries = entries.into_values();
    let (Some(entry), None) = (entries.next(), entries.next()) else {
        return Err(BundleError::form("the answer has not one entry"));
    };
    let proof = entry.pointer("/verification/inclusionProof");
    let proof = proof.ok_or_else(|| BundleError::form("the answer has no inclusion proof"))?;
    let body = text(&entry, "/body")?;
    let leaf = STANDARD.decode(&body).map_err(BundleError::form)?;
    let leaf: Value = serde_json::from_slice(&leaf).map_err(BundleError::form)?;
    let hashes = proof["hashes"].as_array().into_iter().flatten();
    let hashes = hashes.map(|hash| base64_of_hex(hash.as_str().unwrap_or_default()));
    let hashes: Vec<String> = hashes.collect::<Result<_>>()?;
    Ok(json!({
        "logIndex": entry["logIndex"].to_string(),
        "logId": {"keyId": base64_of_hex(&text(&entry, "/logID")?)?},
        "kindVersion": {"kind": leaf["kind"], "version": leaf["apiVersion"]},
        "integratedTime": entry["integratedTime"].to_string(),
        "inclusionPromise": {
            "signedEntryTimestamp": text(&entry, "/verification/signedEntryTimestamp")?,
        },
        "inclusionProof": {
            "logIndex": proof["logIndex"].to_string(),
            "rootHash": base64_of_hex(&text(proof, "/rootHash")?)?,
            "treeSize": proof["treeSize"].to_string(),
            "hashes": hashes,
            "checkpoint": {"envelope": text(proof, "/checkpoint")?},
        },
        "canonicalizedBody": body,
    }))
}

fn material_v1(body: &Value) -> Result<(&'static str, Value)> {
    if body["kind"] != "hashedrekord" {
        let kind = body["kind"].as_str().unwrap_or("without a kind");
        let why = format!("an entry that is {kind} and no hashedrekord has no bundle by itself");
        return Err(BundleError::Unsupported(why.into()));
    }
    let pem = text(body, "/spec/signature/publicKey/content")?;
    let pem = STANDARD.decode(pem).map_err(BundleError::form)?;
    let block = pki::pem::decode(&pem);
    let (block, _rest) = block.ok_or_else(|| BundleError::form("the key is not PEM"))?;
    Ok(match block.label {
        b"CERTIFICATE" => (
            "certificate",
            json!({"rawBytes": STANDARD.encode(&block.bytes)}),
        ),
        _ => ("publicKey", json!({"hint": ""})),
    })
}

fn material_v2(record: &Value) -> (&'static str, Value) {
    let certificate = record.pointer("/signature/verifier/x509Certificate/rawBytes");
    match certificate {
        Some(bytes) => ("certificate", json!({"rawBytes": bytes})),
        None => ("publicKey", json!({"hint": ""})),
    }
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    let text = value.pointer(pointer).and_then(Value::as_str);
    let text = text.ok_or_else(|| BundleError::form(format!("{pointer} is missing")))?;
    Ok(text.to_owned())
}

fn base64_of_hex(digits: &str) -> Result<String> {
    let bytes = hex::decode(digits).map_err(BundleError::form)?;
    Ok(STANDARD.encode(bytes))
}
