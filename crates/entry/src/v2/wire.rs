//! Requests in protobuf's binary form.

use prost::Message;
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::CreateEntryRequest;

use super::MAX_LIST;
use crate::refusal::Refusal;

/// Where the lists of a request are: field numbers from the request down. An empty element takes
/// two bytes on the wire and some fifty in memory, so elements are counted before anything is
/// decoded.
const LISTS: [&[u32]; 2] = [VERIFIERS, SIGNATURES];
/// `dsse_request_v002.verifiers`.
const VERIFIERS: &[u32] = &[2, 2];
/// `dsse_request_v002.envelope.signatures`.
const SIGNATURES: &[u32] = &[2, 1, 3];

/// Parses a request. Unknown fields are ignored, as protobuf has it.
pub(crate) fn from_protobuf(bytes: &[u8]) -> Result<CreateEntryRequest, Refusal> {
    let malformed = || Refusal::Invalid("malformed protobuf".to_owned());
    for path in LISTS {
        if count(bytes, path).ok_or_else(malformed)? > MAX_LIST {
            return Err(Refusal::Invalid(format!(
                "invalid dsse request: more than {MAX_LIST} verifiers or signatures"
            )));
        }
    }
    CreateEntryRequest::decode(bytes).map_err(|_| malformed())
}

/// Counts the fields of a message at `path`, over all messages on the way. None if it is not a
/// message.
fn count(mut message: &[u8], path: &[u32]) -> Option<usize> {
    const LENGTH_DELIMITED: u64 = 2;
    let (&wanted, rest) = path.split_first()?;
    let mut found = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let length = match key & 7 {
            0 => {
                varint(&mut message)?;
                0
            }
            1 => 8,
            LENGTH_DELIMITED => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            // Groups, which no message here has.
            _ => return None,
        };
        let (inner, after) = message.split_at_checked(length)?;
        message = after;
        if key == u64::from(wanted) << 3 | LENGTH_DELIMITED {
            found += if rest.is_empty() {
                1
            } else {
                count(inner, rest)?
            };
        }
    }
    Some(found)
}

/// Takes a base 128 number off the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that holds `inner`.
    fn field(number: u8, inner: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, u8::try_from(inner.len()).unwrap()];
        bytes.extend_from_slice(inner);
        bytes
    }

    #[test]
    fn lists_are_counted_before_they_are_decoded() {
        for list in [
            |items: &[u8]| items.to_vec(),
            |items: &[u8]| field(1, items),
        ] {
            let number = if list(&[]).is_empty() { 2 } else { 3 };
            for (items, is_refused) in [(0, false), (MAX_LIST, false), (MAX_LIST + 1, true)] {
                let request = field(2, &list(&field(number, &[]).repeat(items)));
                assert_eq!(from_protobuf(&request).is_err(), is_refused, "{items}");
                // Messages that come in pieces are merged.
                let pieces = field(2, &list(&field(number, &[]))).repeat(items);
                assert_eq!(
                    from_protobuf(&pieces).is_err(),
                    is_refused,
                    "{items} in pieces"
                );
            }
        }
        for malformed in [&[0x12, 5][..], &[0x12], &[0xff; 12], &[0x17]] {
            assert!(from_protobuf(malformed).is_err(), "{malformed:x?}");
        }
    }
}
