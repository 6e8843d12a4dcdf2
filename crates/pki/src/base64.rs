//! Base64 in the standard alphabet as Go's `encoding/base64` reads it.

use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine};

/// Padding required; stray bits under the padding pass, as they do in Go.
pub const BASE64_CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
    .with_decode_allow_trailing_bits(true);
/// Standard alphabet.
pub const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, BASE64_CONFIG);

/// The bytes of base64 in the standard alphabet, or where Go says that it goes wrong. CR and LF are
/// skipped.
pub fn decode_standard_base64(text: &str) -> Result<Vec<u8>, usize> {
    BASE64
        .decode(text)
        .or_else(|error| match text.contains(['\r', '\n']) {
            true => decode_digits(text.bytes(), text.len()).ok_or(error),
            false => Err(error),
        })
        .map_err(|_| first_illegal_byte(text))
}

/// Base64 in lines, at most `length` bytes of it: decoded a few KiB at a time, so that it is not
/// copied whole.
pub fn decode_digits(text: impl Iterator<Item = u8>, length: usize) -> Option<Vec<u8>> {
    /// Whole quanta of four digits.
    const DIGITS: usize = 4 * 1024;
    let mut bytes = Vec::with_capacity(length / 4 * 3);
    let mut digits = text.filter(|byte| !matches!(byte, b'\r' | b'\n'));
    let mut chunk = Vec::with_capacity(DIGITS);
    loop {
        let is_padded = chunk.ends_with(b"=");
        chunk.clear();
        chunk.extend(digits.by_ref().take(DIGITS));
        match chunk.is_empty() {
            true => return Some(bytes),
            // Padding ends a text.
            false if is_padded => return None,
            false => BASE64.decode_vec(&chunk, &mut bytes).ok()?,
        }
    }
}

/// Where Go says that `text`, which is not base64, goes wrong.
fn first_illegal_byte(text: &str) -> usize {
    // Digits of the quantum of four that is being read.
    let mut digits = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\r' | b'\n' => {}
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => digits = (digits + 1) % 4,
            b'=' if digits >= 2 => return padding_error(text, at, digits),
            _ => return at,
        }
    }
    text.len() - digits
}

/// Where Go says that the padding that begins at `at` goes wrong.
fn padding_error(text: &str, at: usize, digits: usize) -> usize {
    let skip = |from: usize| {
        from + text[from..]
            .bytes()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count()
    };
    let mut next = skip(at + 1);
    if digits == 2 {
        match text.as_bytes().get(next) {
            None => return text.len(),
            Some(b'=') => next = skip(next + 1),
            Some(_) => return next - 1,
        }
    }
    next
}
