//! The documents themselves.

use host::PublicUrl;
use ledger::store::{KeyRole, MAX_CLOCK_SKEW_MILLIS, TreeRow, TreeState};
use prost_types::Timestamp;
use serde::Serialize;
use sigstore_protobuf_specs::dev::sigstore::common::v1::{
    HashAlgorithm, LogId, PublicKey, PublicKeyDetails, TimeRange,
};
use sigstore_protobuf_specs::dev::sigstore::trustroot::v1::{
    ClientTrustConfig, Service, SigningConfig, TransparencyLogInstance, TrustedRoot,
};
use tlog::{KeyError, NoteError, NoteKey, VerifyingKey};

use super::TrustSettings;
use super::others::any;

/// The specification has newer names for it; sigstore-go and sigstore-python read this one only.
pub(super) const TRUSTED_ROOT_TYPE: &str =
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
pub(super) const SIGNING_CONFIG_TYPE: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";
const TRUST_CONFIG_TYPE: &str = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";

/// How far an entry's time may be outside its tree's times, which another clock gave.
const WINDOW_SLACK_SECONDS: i64 = MAX_CLOCK_SKEW_MILLIS / 1_000;

/// One of the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// Keys of all trees and of the services of others: a Sigstore `TrustedRoot`.
    TrustedRoot,
    /// Where clients sign: a Sigstore `SigningConfig`.
    SigningConfig,
    /// Both in one, a Sigstore `ClientTrustConfig`: sigstore-python reads only this.
    TrustConfig,
    /// C2SP vkeys of v2 checkpoints, one a line, the newest tree first and in it the log key first.
    CheckpointVkey,
    /// PEM of the log keys, newest tree first.
    LogPublicKey,
}

impl Document {
    /// All documents.
    pub const ALL: [Self; 5] = [
        Self::TrustedRoot,
        Self::SigningConfig,
        Self::TrustConfig,
        Self::CheckpointVkey,
        Self::LogPublicKey,
    ];

    /// Returns the name of its file: the name of its target in a TUF repository, if Sigstore
    /// defines one.
    pub fn file_name(self) -> &'static str {
        self.path().trim_start_matches("/trust/")
    }

    /// Its route.
    pub const fn path(self) -> &'static str {
        match self {
            Self::TrustedRoot => "/trust/trusted_root.json",
            Self::SigningConfig => "/trust/signing_config.v0.2.json",
            Self::TrustConfig => "/trust/trust_config.json",
            Self::CheckpointVkey => "/trust/checkpoint.vkey",
            Self::LogPublicKey => "/trust/log.pub",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::TrustedRoot | Self::SigningConfig | Self::TrustConfig => "application/json",
            Self::CheckpointVkey => "text/plain; charset=utf-8",
            Self::LogPublicKey => "application/x-pem-file",
        }
    }
}

/// Why the documents cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// No tree accepts entries.
    #[error("the log has no active tree")]
    NoActiveTree,
    /// A stored key.
    #[error("table tree_key: the log key of tree {tree} cannot be read: {source}")]
    Key {
        /// Its tree.
        tree: ledger::TreeId,
        /// The fault.
        source: KeyError,
    },
    /// A tree without log key.
    #[error("table tree_key: tree {0} has no log key")]
    NoKey(ledger::TreeId),
    /// A stored origin.
    #[error("table tree: the v2 origin of tree {tree} is no key name: {source}")]
    Origin {
        /// Its tree.
        tree: ledger::TreeId,
        /// The fault.
        source: NoteError,
    },
}

/// All documents of one log.
#[derive(Clone, Debug)]
pub struct TrustMaterial {
    config: ClientTrustConfig,
    vkeys: String,
    pems: String,
}

/// A tree with the keys that sign for it, the log key first.
struct Shard<'a> {
    tree: &'a TreeRow,
    keys: Vec<NoteKey>,
}

impl TrustMaterial {
    /// Makes the documents from the trees of one log, oldest first.
    pub fn new(trees: &[TreeRow], settings: &TrustSettings) -> Result<Self, TrustError> {
        let active = trees
            .iter()
            .rfind(|tree| tree.state == TreeState::Active)
            .ok_or(TrustError::NoActiveTree)?;
        let url = settings
            .public_url
            .clone()
            .unwrap_or_else(|| PublicUrl::https(&active.name));
        let shards = trees
            .iter()
            .map(Shard::new)
            .collect::<Result<Vec<_>, _>>()?;
        let newest_first = || shards.iter().rev();
        Ok(Self {
            config: ClientTrustConfig {
                media_type: TRUST_CONFIG_TYPE.to_owned(),
                trusted_root: Some(trusted_root(&shards, &url, settings)),
                signing_config: Some(signing_config(active, &url, settings)),
            },
            vkeys: newest_first()
                .flat_map(|shard| &shard.keys)
                .map(|key| format!("{key}\n"))
                .collect(),
            pems: newest_first()
                .filter_map(|shard| shard.keys.first())
                .map(|key| key.key().to_pem())
                .collect(),
        })
    }

    /// A document as text.
    pub fn text(&self, document: Document) -> String {
        match document {
            Document::TrustedRoot => json(&self.config.trusted_root),
            Document::SigningConfig => json(&self.config.signing_config),
            Document::TrustConfig => json(&self.config),
            Document::CheckpointVkey => self.vkeys.clone(),
            Document::LogPublicKey => self.pems.clone(),
        }
    }
}

impl<'a> Shard<'a> {
    fn new(tree: &'a TreeRow) -> Result<Self, TrustError> {
        let of_role = |role: KeyRole| tree.keys.iter().filter(move |key| key.role == role);
        let keys = of_role(KeyRole::Log)
            .chain(of_role(KeyRole::Cosigner))
            .map(|key| {
                let key = VerifyingKey::from_spki(&key.spki).map_err(|source| TrustError::Key {
                    tree: tree.tree_id,
                    source,
                })?;
                NoteKey::new(&tree.origin_v2, key).map_err(|source| TrustError::Origin {
                    tree: tree.tree_id,
                    source,
                })
            });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        match of_role(KeyRole::Log).next() {
            Some(_) => Ok(Self { tree, keys }),
            None => Err(TrustError::NoKey(tree.tree_id)),
        }
    }

    /// Returns the log under each name that a client may look for.
    ///
    /// sigstore-go compares the origin of a v2 checkpoint with the host of `baseUrl`, and uses the
    /// last of several instances of one log ID. sigstore-js uses any instance whose `baseUrl` holds
    /// the name of the key that signed the checkpoint; in v1 that is the log's name, whatever the
    /// tree.
    fn instances(&self, url: &PublicUrl) -> impl Iterator<Item = TransparencyLogInstance> {
        let of_v2 = url.with_host(&self.tree.origin_v2);
        let of_v1 = url.with_host(&self.tree.name);
        let has_both = of_v2.to_string().contains(&self.tree.name);
        [(!has_both).then_some(of_v1), Some(of_v2)]
            .into_iter()
            .flatten()
            .filter_map(|url| self.instance(&url))
    }

    fn instance(&self, base_url: &PublicUrl) -> Option<TransparencyLogInstance> {
        let key = self.keys.first()?;
        Some(TransparencyLogInstance {
            base_url: base_url.to_string(),
            hash_algorithm: HashAlgorithm::Sha2256.into(),
            public_key: Some(PublicKey {
                raw_bytes: Some(key.key().spki().to_vec()),
                key_details: PublicKeyDetails::PkixEcdsaP256Sha256.into(),
                valid_for: Some(window(self.tree)),
            }),
            // The note key hash of an ECDSA key is SHA-256(SPKI): one ID for v1 and v2.
            log_id: Some(LogId {
                key_id: key.key_hash().0.to_vec(),
            }),
            // It would say the same, and older clients refuse fields that they do not know.
            checkpoint_key_id: None,
            operator: String::new(),
        })
    }
}

/// Returns from when to when a tree accepted entries.
fn window(tree: &TreeRow) -> TimeRange {
    let at = |seconds: i64| Timestamp { seconds, nanos: 0 };
    TimeRange {
        start: Some(at((tree.created_at - WINDOW_SLACK_SECONDS).max(0))),
        end: tree.frozen_at.map(|time| at(time + WINDOW_SLACK_SECONDS)),
    }
}

fn trusted_root(shards: &[Shard<'_>], url: &PublicUrl, settings: &TrustSettings) -> TrustedRoot {
    let ours: Vec<_> = shards
        .iter()
        .flat_map(|shard| shard.instances(url))
        .collect();
    let mut root = settings.others.trusted_root.clone();
    TRUSTED_ROOT_TYPE.clone_into(&mut root.media_type);
    // A document that this log wrote earlier may be added to again.
    root.tlogs
        .retain(|other| ours.iter().all(|log| log.log_id != other.log_id));
    root.tlogs.extend(ours);
    // The sort is stable, so the v2 instance of a tree stays last.
    root.tlogs.sort_by_key(|log| {
        log.public_key
            .as_ref()
            .and_then(|key| key.valid_for)
            .and_then(|window| window.start)
            .map(|start| start.seconds)
    });
    root
}

/// Clients choose the highest version that they know (sigstore-js: the first). v2 has no signed
/// time of its own: without a time-stamp authority a keyless signature in it could never be
/// verified, so beside v1 it is named only where there is one.
fn signing_config(active: &TreeRow, url: &PublicUrl, settings: &TrustSettings) -> SigningConfig {
    let service = |url: &PublicUrl, version| Service {
        url: url.to_string(),
        major_api_version: version,
        valid_for: Some(window(active)),
        operator: active.name.clone(),
    };
    // The first tree is read under the log's own name. Each later one is read under a host name of
    // its own.
    let v2_url = if active.origin_v2 == active.name {
        url.clone()
    } else {
        url.with_host(&active.origin_v2)
    };
    let (takes_v1, takes_v2) = (active.apis.takes_v1(), active.apis.takes_v2());
    let v2 = (takes_v2 && (settings.others.has_timestamp_authority() || !takes_v1))
        .then(|| service(&v2_url, 2));
    let v1 = takes_v1.then(|| service(url, 1));
    let mut config = settings.others.signing_config.clone();
    SIGNING_CONFIG_TYPE.clone_into(&mut config.media_type);
    config.rekor_tlog_urls = v2.into_iter().chain(v1).collect();
    config.rekor_tlog_config = Some(any());
    config
}

/// ProtoJSON, for people too.
fn json(document: &impl Serialize) -> String {
    // Messages without maps or `Any` always have a JSON form; an empty document fails every reader.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}
