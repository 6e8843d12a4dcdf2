//! The messages of Sigstore and their members.

use super::Kind::{Bytes, Choice, Many, ManyBytes, Number, One, Text, Time};
use super::Message;

pub(crate) static BUNDLE: Message = Message {
    name: "a Bundle",
    members: &[
        ("mediaType", Text),
        ("verificationMaterial", One(&MATERIAL)),
        ("messageSignature", One(&MESSAGE_SIGNATURE)),
        ("dsseEnvelope", One(&ENVELOPE)),
    ],
};

static MATERIAL: Message = Message {
    name: "VerificationMaterial",
    members: &[
        ("publicKey", One(&KEY_HINT)),
        ("x509CertificateChain", One(&CHAIN)),
        ("certificate", One(&CERTIFICATE)),
        ("tlogEntries", Many(&ENTRY)),
        ("timestampVerificationData", One(&TIMESTAMPS)),
    ],
};

static KEY_HINT: Message = Message {
    name: "PublicKeyIdentifier",
    members: &[("hint", Text)],
};

static CHAIN: Message = Message {
    name: "X509CertificateChain",
    members: &[("certificates", Many(&CERTIFICATE))],
};

static CERTIFICATE: Message = Message {
    name: "X509Certificate",
    members: &[("rawBytes", Bytes)],
};

static TIMESTAMPS: Message = Message {
    name: "TimestampVerificationData",
    members: &[("rfc3161Timestamps", Many(&TIMESTAMP))],
};

static TIMESTAMP: Message = Message {
    name: "RFC3161SignedTimestamp",
    members: &[("signedTimestamp", Bytes)],
};

static MESSAGE_SIGNATURE: Message = Message {
    name: "MessageSignature",
    members: &[("messageDigest", One(&DIGEST)), ("signature", Bytes)],
};

static DIGEST: Message = Message {
    name: "HashOutput",
    members: &[("algorithm", Choice), ("digest", Bytes)],
};

static ENVELOPE: Message = Message {
    name: "Envelope",
    members: &[
        ("payload", Bytes),
        ("payloadType", Text),
        ("signatures", Many(&ENVELOPE_SIGNATURE)),
    ],
};

static ENVELOPE_SIGNATURE: Message = Message {
    name: "Signature",
    members: &[("sig", Bytes), ("keyid", Text)],
};

pub(crate) static ENTRY: Message = Message {
    name: "a TransparencyLogEntry",
    members: &[
        ("logIndex", Number),
        ("logId", One(&LOG_ID)),
        ("kindVersion", One(&KIND_VERSION)),
        ("integratedTime", Number),
        ("inclusionPromise", One(&PROMISE)),
        ("inclusionProof", One(&PROOF)),
        ("canonicalizedBody", Bytes),
    ],
};

static LOG_ID: Message = Message {
    name: "LogId",
    members: &[("keyId", Bytes)],
};

static KIND_VERSION: Message = Message {
    name: "KindVersion",
    members: &[("kind", Text), ("version", Text)],
};

static PROMISE: Message = Message {
    name: "InclusionPromise",
    members: &[("signedEntryTimestamp", Bytes)],
};

static PROOF: Message = Message {
    name: "InclusionProof",
    members: &[
        ("logIndex", Number),
        ("rootHash", Bytes),
        ("treeSize", Number),
        ("hashes", ManyBytes),
        ("checkpoint", One(&CHECKPOINT)),
    ],
};

static CHECKPOINT: Message = Message {
    name: "Checkpoint",
    members: &[("envelope", Text)],
};

pub(crate) static TRUSTED_ROOT: Message = Message {
    name: "a TrustedRoot",
    members: &[
        ("mediaType", Text),
        ("tlogs", Many(&LOG)),
        ("certificateAuthorities", Many(&AUTHORITY)),
        ("ctlogs", Many(&LOG)),
        ("timestampAuthorities", Many(&AUTHORITY)),
    ],
};

static LOG: Message = Message {
    name: "TransparencyLogInstance",
    members: &[
        ("baseUrl", Text),
        ("hashAlgorithm", Choice),
        ("publicKey", One(&PUBLIC_KEY)),
        ("logId", One(&LOG_ID)),
        ("checkpointKeyId", One(&LOG_ID)),
        ("operator", Text),
    ],
};

static PUBLIC_KEY: Message = Message {
    name: "PublicKey",
    members: &[
        ("rawBytes", Bytes),
        ("keyDetails", Choice),
        ("validFor", One(&RANGE)),
    ],
};

static RANGE: Message = Message {
    name: "TimeRange",
    members: &[("start", Time), ("end", Time)],
};

static AUTHORITY: Message = Message {
    name: "CertificateAuthority",
    members: &[
        ("subject", One(&SUBJECT)),
        ("uri", Text),
        ("certChain", One(&CHAIN)),
        ("validFor", One(&RANGE)),
        ("operator", Text),
    ],
};

static SUBJECT: Message = Message {
    name: "DistinguishedName",
    members: &[("organization", Text), ("commonName", Text)],
};

pub(crate) static SIGNING_CONFIG: Message = Message {
    name: "a SigningConfig",
    members: &[
        ("mediaType", Text),
        ("caUrls", Many(&SERVICE)),
        ("oidcUrls", Many(&SERVICE)),
        ("rekorTlogUrls", Many(&SERVICE)),
        ("rekorTlogConfig", One(&SELECTION)),
        ("tsaUrls", Many(&SERVICE)),
        ("tsaConfig", One(&SELECTION)),
    ],
};

static SERVICE: Message = Message {
    name: "Service",
    members: &[
        ("url", Text),
        ("majorApiVersion", Number),
        ("validFor", One(&RANGE)),
        ("operator", Text),
    ],
};

static SELECTION: Message = Message {
    name: "ServiceConfiguration",
    members: &[("selector", Choice), ("count", Number)],
};

pub(crate) static CLIENT_TRUST_CONFIG: Message = Message {
    name: "a ClientTrustConfig",
    members: &[
        ("mediaType", Text),
        ("trustedRoot", One(&TRUSTED_ROOT)),
        ("signingConfig", One(&SIGNING_CONFIG)),
    ],
};
