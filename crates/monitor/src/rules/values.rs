//! The forms in which values are compared.

use entry::Attribute;

use super::error::Fault;

/// Returns the form of a value in which it is compared, of a rule and of an entry alike.
pub(super) type Read = fn(&str) -> Result<String, Fault>;

pub(super) fn unchanged(text: &str) -> Result<String, Fault> {
    Ok(text.to_owned())
}

pub(super) fn lower_case(text: &str) -> Result<String, Fault> {
    Ok(text.to_lowercase())
}

/// A fingerprint: hexadecimal digits, which may stand in groups, or base64 of SSH.
pub(super) fn key(text: &str) -> Result<String, Fault> {
    let unprefixed = text.strip_prefix("SHA256:").unwrap_or(text);
    let digits: String = unprefixed
        .chars()
        .filter(|letter| !matches!(letter, ':' | ' '))
        .collect();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(digits.to_ascii_lowercase());
    }
    // 32 bytes of base64 without padding.
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match unprefixed.len() == 43 && unprefixed.bytes().all(is_base64) {
        true => Ok(format!("SHA256:{unprefixed}")),
        false => Err(Fault::Fingerprint(text.to_owned())),
    }
}

/// `<algorithm>:<digest>` in lower case. 64 hexadecimal digits alone are SHA-256.
pub(super) fn digest(text: &str) -> Result<String, Fault> {
    let lower = text.to_ascii_lowercase();
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match lower.split_once(':') {
        Some((algorithm, digest)) if !algorithm.is_empty() && !digest.is_empty() => Ok(lower),
        None if lower.len() == 64 && is_hex(&lower) => Ok(format!("sha256:{lower}")),
        _ => Err(Fault::Digest(text.to_owned())),
    }
}

/// A package URL in the form of search keys: decoded, without qualifiers and subpath.
pub(super) fn package(text: &str) -> Result<String, Fault> {
    let keys = Attribute::Purl.key_texts(text).unwrap_or_default();
    let key = keys.into_iter().next();
    let purl = key.and_then(|key| Some(key.strip_prefix("purl=")?.to_owned()));
    purl.ok_or_else(|| Fault::Package(text.to_owned()))
}
