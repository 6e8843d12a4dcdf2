//! The keys of logs in the files in which they are handed out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tlog::{Hash, KeyError, NoteKey, VerifyingKey};

use crate::key::{LogKey, Window};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// The keys that a file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The keys of logs, in the order of the file.
    pub keys: Vec<LogKey>,
    /// The logs of a trusted root whose keys have another type than this crate verifies: neither
    /// ECDSA P-256 nor Ed25519.
    pub unsupported: Vec<String>,
}

/// Why a file names no keys that can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file has none of the known forms.
    #[error(
        "neither a trusted root (JSON), nor public keys (PEM), nor vkeys (name+ID+key, one a line)"
    )]
    Form,
    /// The JSON is not a trusted root.
    #[error("not a trusted root: {0}")]
    Json(#[from] serde_json::Error),
    /// A log of a trusted root.
    #[error("tlogs[{number}] ({url}): {fault}")]
    Log {
        /// Its position, from 0.
        number: usize,
        /// The URL that the trusted root gives it.
        url: String,
        /// The fault.
        fault: String,
    },
    /// A PEM block.
    #[error("public key {number}: {fault}")]
    Pem {
        /// Its position, from 1.
        number: usize,
        /// The fault.
        fault: String,
    },
    /// A vkey.
    #[error("line {line}: {fault}")]
    Vkey {
        /// Its line, from 1.
        line: usize,
        /// The fault.
        fault: tlog::NoteError,
    },
    /// No key.
    #[error("it names no log")]
    Empty,
}

impl Trust {
    /// Reads the keys of logs from a Sigstore `TrustedRoot` or `ClientTrustConfig` (JSON), from
    /// public keys in PEM, or from C2SP vkeys, one a line; blank lines and lines that begin with
    /// `#` are passed over.
    ///
    /// # Errors
    ///
    /// The text has another form, or a part of it cannot be read. No part is passed over silently.
    pub fn read(text: &str) -> Result<Self, TrustError> {
        let text = text.trim();
        let trust = if text.starts_with('{') {
            trusted_root(text)?
        } else if text.contains(BEGIN) {
            Self {
                keys: pems(text)?,
                unsupported: Vec::new(),
            }
        } else if text.contains('+') {
            Self {
                keys: vkeys(text)?,
                unsupported: Vec::new(),
            }
        } else {
            return Err(TrustError::Form);
        };
        match trust.keys.is_empty() && trust.unsupported.is_empty() {
            true => Err(TrustError::Empty),
            false => Ok(trust),
        }
    }
}

fn vkeys(text: &str) -> Result<Vec<LogKey>, TrustError> {
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key: Result<NoteKey, _> = line.parse();
        let key = key.map_err(|fault| TrustError::Vkey {
            line: number,
            fault,
        })?;
        keys.push(LogKey::named(&key));
    }
    Ok(keys)
}

fn pems(text: &str) -> Result<Vec<LogKey>, TrustError> {
    let mut keys = Vec::new();
    for (number, block) in (1..).zip(text.split(BEGIN).skip(1)) {
        let fault = |fault: String| TrustError::Pem { number, fault };
        let base64 = block.split_once(END).map(|(base64, _)| base64);
        let base64 = base64.ok_or_else(|| fault("it has no end".to_owned()))?;
        let base64: String = base64.split_whitespace().collect();
        let der = STANDARD.decode(base64);
        let der = der.map_err(|error| fault(error.to_string()))?;
        let key = VerifyingKey::from_spki(&der).map_err(|error| fault(error.to_string()))?;
        keys.push(LogKey::new(key));
    }
    Ok(keys)
}

/// A `ClientTrustConfig`, or the `TrustedRoot` itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    trusted_root: Option<TrustedRoot>,
    #[serde(flatten)]
    root: TrustedRoot,
}

#[derive(Deserialize)]
struct TrustedRoot {
    #[serde(default)]
    tlogs: Vec<Log>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    #[serde(default)]
    base_url: String,
    hash_algorithm: Option<String>,
    public_key: PublicKey,
    log_id: LogId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKey {
    raw_bytes: String,
    valid_for: Option<TimeRange>,
}

#[derive(Deserialize)]
struct TimeRange {
    start: Option<String>,
    end: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

fn trusted_root(text: &str) -> Result<Trust, TrustError> {
    let document: Document = serde_json::from_str(text)?;
    let root = document.trusted_root.unwrap_or(document.root);
    let mut trust = Trust::default();
    for (number, log) in root.tlogs.into_iter().enumerate() {
        match log.key() {
            Ok(Some(key)) => trust.keys.push(key),
            Ok(None) => trust.unsupported.push(log.base_url),
            Err(fault) => {
                return Err(TrustError::Log {
                    number,
                    url: log.base_url,
                    fault,
                });
            }
        }
    }
    Ok(trust)
}

impl Log {
    /// Returns the key, or `None` for a key of another type.
    fn key(&self) -> Result<Option<LogKey>, String> {
        if let Some(other) = self.hash_algorithm.as_deref()
            && other != "SHA2_256"
        {
            return Err(format!("hashAlgorithm is {other}"));
        }
        let der = STANDARD.decode(&self.public_key.raw_bytes);
        let der = der.map_err(|error| format!("publicKey.rawBytes: {error}"))?;
        let id = STANDARD.decode(&self.log_id.key_id);
        let id = id.map_err(|error| format!("logId.keyId: {error}"))?;
        let id = Hash::try_from(id.as_slice()).map_err(|error| format!("logId.keyId: {error}"))?;
        let window = self.public_key.valid_for.as_ref();
        let window = window.ok_or("publicKey.validFor is missing")?.window()?;
        match VerifyingKey::from_spki(&der) {
            Ok(key) => Ok(Some(LogKey::of_trusted_root(key, id, window))),
            Err(KeyError::Unsupported) => Ok(None),
        }
    }
}

impl TimeRange {
    fn window(&self) -> Result<Window, String> {
        let start = self.start.as_deref().ok_or("validFor.start is missing")?;
        Ok(Window {
            start: seconds(start)?,
            end: self.end.as_deref().map(seconds).transpose()?,
        })
    }
}

fn seconds(time: &str) -> Result<i64, String> {
    let time = OffsetDateTime::parse(time, &Rfc3339);
    time.map(OffsetDateTime::unix_timestamp)
        .map_err(|error| format!("a time that is not RFC 3339: {error}"))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use serde_json::{Value, json};
    use tlog::{Checkpoint, EMPTY_ROOT, SigningKey, TreeSize};

    use super::*;
    use crate::head::SignedHead;

    struct Keys {
        p256: SigningKey,
        ed25519: SigningKey,
    }

    fn keys(rng: &SystemRandom) -> Keys {
        let p256 = SigningKey::generate_p256_pkcs8(rng).unwrap();
        let ed25519 = SigningKey::generate_ed25519_pkcs8(rng).unwrap();
        Keys {
            p256: SigningKey::from_pkcs8(&p256, rng).unwrap(),
            ed25519: SigningKey::from_pkcs8(&ed25519, rng).unwrap(),
        }
    }

    fn note(origin: &str, name: &str, key: &SigningKey) -> String {
        let head = Checkpoint::new(origin, TreeSize(0), EMPTY_ROOT);
        head.sign(name, key, &SystemRandom::new()).unwrap()
    }

    fn opens(trust: &Trust, origin: &str, name: &str, key: &SigningKey) -> bool {
        SignedHead::open(&trust.keys, &note(origin, name, key)).is_ok()
    }

    fn log(key: &SigningKey, id: &Hash) -> Value {
        json!({
            "baseUrl": "https://log.example", "hashAlgorithm": "SHA2_256", "logId": {"keyId": STANDARD.encode(id)},
            "publicKey": {"rawBytes": STANDARD.encode(key.verifying_key().spki()), "keyDetails": "x", "validFor": {"start": "2026-01-01T00:00:00Z"}},
        })
    }

    #[test]
    fn pem_keys_open_the_heads_of_any_name() {
        let Keys { p256, ed25519 } = keys(&SystemRandom::new());
        let pems = p256.verifying_key().to_pem() + "\n" + &ed25519.verifying_key().to_pem();
        let trust = Trust::read(&pems).unwrap();
        assert!(opens(&trust, "log.example - 7", "log.example", &p256));
        assert!(opens(&trust, "log.example", "log.example", &ed25519));
        assert!(!opens(&trust, "a", "a", &keys(&SystemRandom::new()).p256));
        for bad in [
            pems.replace("KEY-----\nM", "KEY-----\nN"),
            pems.replace("-----END PUBLIC KEY-----", ""),
        ] {
            Trust::read(&bad).unwrap_err();
        }
    }

    #[test]
    fn vkeys_open_the_heads_of_their_name() {
        let Keys { ed25519, .. } = keys(&SystemRandom::new());
        let key = NoteKey::new("log.example", ed25519.verifying_key().clone()).unwrap();
        let trust = Trust::read(&format!("# our log\n\n{key}\n")).unwrap();
        assert!(opens(&trust, "log.example", "log.example", &ed25519));
        assert!(opens(&trust, "log.example - 7", "log.example", &ed25519));
        assert!(!opens(&trust, "other.example", "other.example", &ed25519));
        assert!(!opens(&trust, "other.example", "log.example", &ed25519));
        let error = Trust::read(&format!("{key}\n{key}A")).unwrap_err();
        assert!(error.to_string().starts_with("line 2: "), "{error}");
    }

    #[test]
    fn a_trusted_root_binds_a_name_to_a_key() {
        let Keys { p256, ed25519 } = keys(&SystemRandom::new());
        let key = NoteKey::new("v2.example", ed25519.verifying_key().clone()).unwrap();
        let v1 = log(&p256, &p256.verifying_key().log_id());
        let v2 = log(&ed25519, &key.key_hash());
        let root = json!({"mediaType": "m", "tlogs": [v1, v2]});
        let config = json!({"trustedRoot": root, "signingConfig": {}});
        for document in [root, config] {
            let trust = Trust::read(&document.to_string()).unwrap();
            assert!(opens(&trust, "log.example - 7", "log.example", &p256));
            assert!(opens(&trust, "v2.example", "v2.example", &ed25519));
            assert!(!opens(&trust, "v3.example", "v3.example", &ed25519));
            assert_eq!(trust.keys[0].window().end, None);
        }
    }

    #[test]
    fn a_trusted_root_with_a_fault_is_refused() {
        let Keys { p256, .. } = keys(&SystemRandom::new());
        let good = log(&p256, &p256.verifying_key().log_id());
        for (path, value) in [
            ("/hashAlgorithm", json!("SHA2_512")),
            ("/logId/keyId", json!("AAAA")),
            ("/publicKey/rawBytes", json!("?")),
            (
                "/publicKey/validFor",
                json!({"end": "2026-01-01T00:00:00Z"}),
            ),
            ("/publicKey/validFor", Value::Null),
            ("/publicKey/validFor/start", json!("yesterday")),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(path).unwrap() = value;
            let error = Trust::read(&json!({"tlogs": [good, bad]}).to_string()).unwrap_err();
            assert!(error.to_string().contains("tlogs[1]"), "{path}: {error}");
        }
        let mut other = good.clone();
        other["publicKey"]["rawBytes"] = json!("AAAA");
        let trust = Trust::read(&json!({"tlogs": [other]}).to_string()).unwrap();
        assert_eq!(trust.unsupported, ["https://log.example"]);
        for bad in ["", "log", "{}", "{", r#"{"tlogs":[]}"#, "[]"] {
            Trust::read(bad).unwrap_err();
        }
    }
}
