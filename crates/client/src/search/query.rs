//! What is searched for, as each search wants it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::Attribute;
use serde_json::{Value, json};

use crate::upload::{KeyFormat, detect_key};

/// A condition. An entry must meet all of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A digest of an artifact, payload or envelope.
    Hash {
        /// `sha1`, `sha256`, `sha384` or `sha512`.
        algorithm: &'static str,
        /// In hexadecimal.
        digits: String,
    },
    /// An e-mail address in the key or certificate.
    Email(String),
    /// A public key or certificate.
    PublicKey {
        /// The format.
        format: KeyFormat,
        /// The file.
        bytes: Vec<u8>,
        /// The SHA-256 of its canonical form, in hexadecimal.
        hash: String,
    },
    /// The SHA-256 of the canonical form of a key.
    KeyHash(String),
    /// A name, issuer, repository, workflow, commit or package URL.
    Attribute(Attribute, String),
    /// A kind, with its version or without.
    Kind(String),
    /// Logged at this time or later.
    Since(String),
    /// Logged before this time.
    Until(String),
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// No digest.
    #[error(
        "a digest has 40 (SHA-1), 64 (SHA-256), 96 (SHA-384) or 128 (SHA-512) hexadecimal digits"
    )]
    Digest,
    /// No public key.
    #[error("{0}")]
    Key(String),
    /// Not a value of the attribute.
    #[error("{0}")]
    Attribute(&'static str),
}

/// Conditions that hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(pub Vec<Condition>);

impl Condition {
    /// Reads a digest in hexadecimal, with the name of its algorithm before it or not.
    ///
    /// # Errors
    ///
    /// The text is none.
    pub fn hash(text: &str) -> Result<Self, ConditionError> {
        let (named, digits) = match text.split_once(':') {
            Some((name, digits)) => (Some(name), digits),
            None => (None, text),
        };
        let algorithm = match digits.len() {
            40 => "sha1",
            64 => "sha256",
            96 => "sha384",
            128 => "sha512",
            _ => return Err(ConditionError::Digest),
        };
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match is_hex && named.is_none_or(|named| named.eq_ignore_ascii_case(algorithm)) {
            true => Ok(Self::Hash {
                algorithm,
                digits: digits.to_ascii_lowercase(),
            }),
            false => Err(ConditionError::Digest),
        }
    }

    /// Reads a public key or certificate of any format.
    ///
    /// # Errors
    ///
    /// The bytes are none.
    pub fn public_key(bytes: &[u8]) -> Result<Self, ConditionError> {
        let fault = |fault: String| ConditionError::Key(fault);
        let format = detect_key(bytes).map_err(|error| fault(error.to_string()))?;
        let hash = entry::key_search_key(format.name(), bytes);
        Ok(Self::PublicKey {
            format,
            bytes: bytes.to_vec(),
            hash: hash.map_err(|error| fault(error.to_string()))?,
        })
    }

    /// Reads a value of an attribute.
    ///
    /// # Errors
    ///
    /// The text cannot be one.
    pub fn attribute(attribute: Attribute, text: &str) -> Result<Self, ConditionError> {
        attribute
            .key_texts(text)
            .map_err(ConditionError::Attribute)?;
        Ok(Self::Attribute(attribute, text.to_owned()))
    }

    /// Returns the index keys of which an entry has one, or `None` if the condition is about none.
    fn key_texts(&self) -> Option<Vec<String>> {
        let key = |hash: &String| vec![hash.clone(), format!("sha256:{hash}")];
        let texts = match self {
            Self::Hash { algorithm, digits } => vec![format!("{algorithm}:{digits}")],
            Self::Email(email) => vec![email.clone()],
            Self::PublicKey { hash, .. } => key(hash),
            Self::KeyHash(hash) => key(hash),
            Self::Attribute(attribute, value) => attribute.key_texts(value).unwrap_or_default(),
            Self::Kind(_) | Self::Since(_) | Self::Until(_) => return None,
        };
        Some(texts.iter().map(|text| text.to_lowercase()).collect())
    }
}

impl Query {
    /// Returns the parameters of treehead's search, each with `&` after it. `None` if it lacks one.
    pub(super) fn search_parameters(&self) -> Option<String> {
        let mut parameters = String::new();
        for condition in &self.0 {
            let (name, value) = match condition {
                Condition::Hash {
                    algorithm: "sha1", ..
                } => return None,
                Condition::Hash { algorithm, digits } => (*algorithm, digits),
                Condition::Email(email) => ("subject", email),
                Condition::PublicKey { hash, .. } | Condition::KeyHash(hash) => ("key", hash),
                Condition::Attribute(attribute, value) => (attribute.name(), value),
                Condition::Kind(kind) => ("kind", kind),
                Condition::Since(time) => ("since", time),
                Condition::Until(time) => ("until", time),
            };
            parameters.push_str(&format!("{name}={}&", encoded(value)));
        }
        Some(parameters)
    }

    /// Returns the request of Rekor's search, or `None` if it does not know a condition or knows it
    /// once only.
    pub(super) fn retrieve_request(&self) -> Option<Value> {
        let mut request = json!({"operator": "and"});
        for condition in &self.0 {
            let (name, value) = match condition {
                Condition::Hash { algorithm, digits } => {
                    ("hash", json!(format!("{algorithm}:{digits}")))
                }
                Condition::Email(email) => ("email", json!(email)),
                Condition::PublicKey { format, bytes, .. } => (
                    "publicKey",
                    json!({"format": format.name(), "content": STANDARD.encode(bytes)}),
                ),
                _ => return None,
            };
            if request.get(name).is_some() {
                return None;
            }
            request[name] = value;
        }
        Some(request)
    }

    /// Returns whether leaf bytes state all conditions, or `None` if they cannot tell.
    pub(super) fn is_stated_by(&self, leaf: &[u8]) -> Option<bool> {
        let keys = entry::index_keys_of_leaf(leaf).ok().flatten()?;
        let wanted = self.0.iter().filter_map(Condition::key_texts);
        let mut is_stated = wanted.map(|texts| texts.iter().any(|text| keys.contains(text)));
        Some(is_stated.all(|is_stated| is_stated))
    }
}

/// Returns a text as it stands in a query.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_what_each_search_takes() {
        let hash = Condition::hash(&format!("SHA256:{}", "AB".repeat(32))).unwrap();
        let issuer = Condition::attribute(Attribute::Issuer, "https://a/b c").unwrap();
        let query = Query(vec![hash.clone(), Condition::Email("a@b".to_owned())]);
        let digits = "ab".repeat(32);
        assert_eq!(
            query.search_parameters().unwrap(),
            format!("sha256={digits}&subject=a%40b&")
        );
        assert_eq!(
            query.retrieve_request().unwrap(),
            json!({"operator": "and", "hash": format!("sha256:{digits}"), "email": "a@b"})
        );
        let query = Query(vec![issuer]);
        assert_eq!(
            query.search_parameters().unwrap(),
            "issuer=https%3A%2F%2Fa%2Fb%20c&"
        );
        assert_eq!(query.retrieve_request(), None);
        assert_eq!(Query(vec![hash.clone(), hash]).retrieve_request(), None);
        let sha1 = Condition::hash(&"0".repeat(40)).unwrap();
        assert_eq!(Query(vec![sha1]).search_parameters(), None);
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in ["", "sha256:", "sha1:0", "md5:00", "zz"] {
            assert_eq!(Condition::hash(text), Err(ConditionError::Digest), "{text}");
        }
        let mixed = format!("sha512:{}", "0".repeat(64));
        assert_eq!(Condition::hash(&mixed), Err(ConditionError::Digest));
        assert!(Condition::public_key(b"no key").is_err());
        assert!(Condition::attribute(Attribute::Purl, "npm/x").is_err());
    }
}
