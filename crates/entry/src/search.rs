//! What `index/retrieve` looks up.

use crate::pki::Key;
use crate::refusal::Refusal;
use crate::x509;

/// Key formats that `index/retrieve` takes. Of these, [`key_search_key`] parses x509; the others come with their kinds.
pub const KEY_FORMATS: [&str; 5] = ["pgp", "x509", "minisign", "ssh", "tuf"];

/// `hex(sha256(canonical key))`, the search key of a public key. Errors for a key that does not parse, and for a format
/// of [`KEY_FORMATS`] whose kinds this log does not take yet.
pub fn key_search_key(format: &str, key: &[u8]) -> Result<String, Refusal> {
    match format {
        "x509" => search_key::<x509::Key>(key),
        _ => Err(Refusal::Invalid("the PKI format requested is not supported by this server".to_owned())),
    }
}

fn search_key<K: Key>(key: &[u8]) -> Result<String, Refusal> {
    K::parse(key)
        .map(|key| key.search_key())
        .map_err(|_| Refusal::Invalid("public key provided could not be parsed".to_owned()))
}
