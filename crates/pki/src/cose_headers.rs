//! Header parameters of COSE (RFC 9052 sections 3.1 and 3.2, RFC 9338), as far as the crate `coset`
//! leaves them open. Rekor's library refuses a message for any of these, and so does everyone who
//! reads an attestation with it.

use coset::cbor::Value;
use coset::iana::{EnumI64, HeaderParameter};
use coset::{AsCborValue, CoseSignature, Header, Label, RegisteredLabelWithPrivate};

use crate::error::Error;

const COUNTERSIGNATURE_0: i64 = 9;
const COUNTERSIGNATURE_V2: i64 = 11;
const COUNTERSIGNATURE_0_V2: i64 = 12;
const TYPE: i64 = 16;

/// Checks the two headers of one layer, and those of the countersignatures in them.
pub(crate) fn check(protected: &Header, unprotected: &Header) -> Result<(), Error> {
    if !unprotected.crit.is_empty() {
        return Err(refused("crit is not protected"));
    }
    if !protected
        .crit
        .iter()
        .all(|label| is_there(label, protected))
    {
        return Err(refused(
            "crit names a parameter that is not in the protected header",
        ));
    }
    let has_both =
        |one: &Header, other: &Header| !one.iv.is_empty() && !other.partial_iv.is_empty();
    if has_both(protected, unprotected) || has_both(unprotected, protected) {
        return Err(refused("IV and Partial IV"));
    }
    let is_countersignature = |label: i64| {
        matches!(
            label,
            COUNTERSIGNATURE_0 | COUNTERSIGNATURE_V2 | COUNTERSIGNATURE_0_V2
        )
    };
    let is_countersigned = numbered(protected).any(|(label, _)| is_countersignature(label));
    if is_countersigned || !protected.counter_signatures.is_empty() {
        return Err(refused("a countersignature in the protected header"));
    }
    let mut countersignatures = unprotected.counter_signatures.clone();
    for (label, value) in numbered(protected).chain(numbered(unprotected)) {
        match (label, value) {
            (COUNTERSIGNATURE_0 | COUNTERSIGNATURE_0_V2, Value::Bytes(_)) => {}
            (COUNTERSIGNATURE_0 | COUNTERSIGNATURE_0_V2, _) => {
                return Err(refused(
                    "an abbreviated countersignature that is no byte string",
                ));
            }
            (COUNTERSIGNATURE_V2, value) => {
                countersignatures.extend(read_countersignatures(value)?)
            }
            (TYPE, value) if !is_type(value) => {
                return Err(refused("a type that is neither a number nor type/subtype"));
            }
            _ => {}
        }
    }
    countersignatures
        .iter()
        .try_for_each(|signature| check(&signature.protected.header, &signature.unprotected))
}

fn refused(what: &str) -> Error {
    Error::Invalid(format!("cbor: invalid header: {what}"))
}

/// The parameters with numbers that `coset` does not know.
fn numbered(header: &Header) -> impl Iterator<Item = (i64, &Value)> {
    header.rest.iter().filter_map(|(label, value)| match label {
        Label::Int(label) => Some((*label, value)),
        Label::Text(_) => None,
    })
}

/// Section 3.1: whether a parameter that crit names is in the header.
fn is_there(label: &RegisteredLabelWithPrivate<HeaderParameter>, header: &Header) -> bool {
    let label = match label {
        RegisteredLabelWithPrivate::Text(label) => Label::Text(label.clone()),
        RegisteredLabelWithPrivate::PrivateUse(label) => Label::Int(*label),
        RegisteredLabelWithPrivate::Assigned(parameter) => match parameter {
            HeaderParameter::Alg => return header.alg.is_some(),
            HeaderParameter::Crit => return true,
            HeaderParameter::ContentType => return header.content_type.is_some(),
            HeaderParameter::Kid => return !header.key_id.is_empty(),
            HeaderParameter::Iv => return !header.iv.is_empty(),
            HeaderParameter::PartialIv => return !header.partial_iv.is_empty(),
            parameter => Label::Int(parameter.to_i64()),
        },
    };
    header.rest.iter().any(|(found, _)| *found == label)
}

/// RFC 9338 section 3.1: a COSE_Countersignature, or a list of them.
fn read_countersignatures(value: &Value) -> Result<Vec<CoseSignature>, Error> {
    let list = match value {
        Value::Array(list) if list.iter().all(Value::is_array) => list.clone(),
        value => vec![value.clone()],
    };
    list.into_iter()
        .map(|value| {
            CoseSignature::from_cbor_value(value)
                .map_err(|_| refused("a malformed countersignature"))
        })
        .collect()
}

/// RFC 9596 section 2.
fn is_type(value: &Value) -> bool {
    match value {
        Value::Integer(number) => i128::from(*number) >= 0,
        Value::Text(text) => {
            text.matches('/').count() == 1 && !text.starts_with(' ') && !text.ends_with(' ')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use coset::{CborSerializable, HeaderBuilder, ProtectedHeader};

    use super::*;

    fn read(cbor: &[u8]) -> Header {
        Header::from_slice(cbor).unwrap()
    }

    #[test]
    fn headers() {
        let countersignature = CoseSignature {
            protected: ProtectedHeader::default(),
            unprotected: Header::default(),
            signature: vec![1],
        };
        let malformed = CoseSignature {
            unprotected: read(&[0xa1, 9, 0]),
            ..countersignature.clone()
        };
        let countersigned = |signature: &CoseSignature| {
            HeaderBuilder::new()
                .add_counter_signature(signature.clone())
                .build()
        };
        let empty = Header::default;
        for (protected, unprotected, is_taken) in [
            (empty(), empty(), true),
            // crit.
            (read(&[0xa2, 1, 0x26, 2, 0x81, 1]), empty(), true),
            (read(&[0xa1, 2, 0x81, 2]), empty(), true),
            (read(&[0xa1, 2, 0x81, 1]), empty(), false),
            (read(&[0xa1, 2, 0x81, 0x61, b'a']), empty(), false),
            (
                read(&[0xa2, 0x61, b'a', 0, 2, 0x81, 0x61, b'a']),
                empty(),
                true,
            ),
            (empty(), read(&[0xa2, 1, 0x26, 2, 0x81, 1]), false),
            // Initialization vectors.
            (read(&[0xa1, 5, 0x41, 1]), read(&[0xa1, 6, 0x41, 1]), false),
            (read(&[0xa1, 6, 0x41, 1]), read(&[0xa1, 5, 0x41, 1]), false),
            (read(&[0xa1, 5, 0x41, 1]), empty(), true),
            // Countersignatures.
            (empty(), read(&[0xa1, 9, 0x41, 1]), true),
            (read(&[0xa1, 9, 0x41, 1]), empty(), false),
            (empty(), read(&[0xa1, 12, 0]), false),
            (empty(), read(&[0xa1, 11, 0x83, 0x40, 0xa0, 0x41, 1]), true),
            (
                empty(),
                read(&[0xa1, 11, 0x81, 0x83, 0x40, 0xa0, 0x41, 1]),
                true,
            ),
            (empty(), read(&[0xa1, 11, 0x41, 1]), false),
            (empty(), countersigned(&countersignature), true),
            (countersigned(&countersignature), empty(), false),
            (empty(), countersigned(&malformed), false),
            // Type.
            (read(&[0xa1, 16, 0x63, b'a', b'/', b'b']), empty(), true),
            (read(&[0xa1, 16, 0x61, b'a']), empty(), false),
            (empty(), read(&[0xa1, 16, 7]), true),
            (empty(), read(&[0xa1, 16, 0x20]), false),
            (empty(), read(&[0xa1, 16, 0xf6]), false),
        ] {
            assert_eq!(
                check(&protected, &unprotected).is_ok(),
                is_taken,
                "{protected:?} {unprotected:?}"
            );
        }
    }
}
