//! Which fields the messages of a request and of a leaf have. The types are generated; only their
//! names in JSON are here.

use serde::de::MapAccess;
use sigstore_protobuf_specs::dev::sigstore::common::v1::{
    HashAlgorithm, HashOutput, PublicKeyDetails, X509Certificate,
};
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::{
    CreateEntryRequest, DsseLogEntryV002, DsseRequestV002, HashedRekordLogEntryV002,
    HashedRekordRequestV002, PublicKey, Signature, Spec, Verifier, create_entry_request, spec,
    verifier,
};
use sigstore_protobuf_specs::io::intoto;

use super::json::{Message, Value};

/// Implements [`Message`] for a type: each field with its names, and how it is read.
macro_rules! message {
    ($message:ty, |$this:ident, $value:ident| { $([$json:literal, $proto:literal] => $read:expr,)+ }) => {
        impl Message for $message {
            const FIELDS: &'static [[&'static str; 2]] = &[$([$json, $proto]),+];

            fn read<'de, A: MapAccess<'de>>(&mut self, field: &str, $value: Value<'_, A>) -> Result<(), A::Error> {
                let $this = self;
                match field {
                    $($json => $read,)+
                    _ => Ok(()),
                }
            }
        }
    };
}

fn key_details(name: &str) -> Option<i32> {
    PublicKeyDetails::from_str_name(name).map(i32::from)
}

fn hash_algorithm(name: &str) -> Option<i32> {
    HashAlgorithm::from_str_name(name).map(i32::from)
}

message!(CreateEntryRequest, |this, value| {
    ["hashedRekordRequestV002", "hashed_rekord_request_v002"] =>
        value.one_of(&mut this.spec, create_entry_request::Spec::HashedRekordRequestV002),
    ["dsseRequestV002", "dsse_request_v002"] =>
        value.one_of(&mut this.spec, create_entry_request::Spec::DsseRequestV002),
});

message!(HashedRekordRequestV002, |this, value| {
    ["digest", "digest"] => value.bytes().map(|digest| this.digest = digest),
    ["signature", "signature"] => value.message().map(|signature| this.signature = signature),
});

message!(Signature, |this, value| {
    ["content", "content"] => value.bytes().map(|content| this.content = content),
    ["verifier", "verifier"] => value.message().map(|verifier| this.verifier = verifier),
});

message!(Verifier, |this, value| {
    ["publicKey", "public_key"] => value.one_of(&mut this.verifier, verifier::Verifier::PublicKey),
    ["x509Certificate", "x509_certificate"] => value.one_of(&mut this.verifier, verifier::Verifier::X509Certificate),
    ["keyDetails", "key_details"] => value.number(key_details).map(|details| this.key_details = details),
});

message!(PublicKey, |this, value| {
    ["rawBytes", "raw_bytes"] => value.bytes().map(|bytes| this.raw_bytes = bytes),
});

message!(X509Certificate, |this, value| {
    ["rawBytes", "raw_bytes"] => value.bytes().map(|bytes| this.raw_bytes = bytes),
});

message!(DsseRequestV002, |this, value| {
    ["envelope", "envelope"] => value.message().map(|envelope| this.envelope = envelope),
    ["verifiers", "verifiers"] => value.list().map(|verifiers| this.verifiers = verifiers),
});

message!(intoto::Envelope, |this, value| {
    ["payload", "payload"] => value.bytes().map(|payload| this.payload = payload),
    ["payloadType", "payloadType"] => value.text().map(|payload_type| this.payload_type = payload_type),
    ["signatures", "signatures"] => value.list().map(|signatures| this.signatures = signatures),
});

message!(intoto::Signature, |this, value| {
    ["sig", "sig"] => value.bytes().map(|signature| this.sig = signature),
    ["keyid", "keyid"] => value.text().map(|key_id| this.keyid = key_id),
});

message!(Spec, |this, value| {
    ["hashedRekordV002", "hashed_rekord_v002"] => value.one_of(&mut this.spec, spec::Spec::HashedRekordV002),
    ["dsseV002", "dsse_v002"] => value.one_of(&mut this.spec, spec::Spec::DsseV002),
});

message!(HashedRekordLogEntryV002, |this, value| {
    ["data", "data"] => value.message().map(|data| this.data = data),
    ["signature", "signature"] => value.message().map(|signature| this.signature = signature),
});

message!(DsseLogEntryV002, |this, value| {
    ["payloadHash", "payloadHash"] => value.message().map(|hash| this.payload_hash = hash),
    ["signatures", "signatures"] => value.list().map(|signatures| this.signatures = signatures),
});

message!(HashOutput, |this, value| {
    ["algorithm", "algorithm"] => value.number(hash_algorithm).map(|algorithm| this.algorithm = algorithm),
    ["digest", "digest"] => value.bytes().map(|digest| this.digest = digest),
});
