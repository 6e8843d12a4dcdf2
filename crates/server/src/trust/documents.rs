//! The documents themselves.

use host::PublicUrl;
use ledger::store::{MAX_CLOCK_SKEW_MILLIS, StoreError, TreeRow};
use ledger::{Api, Tree, V1, V2};
use prost_types::Timestamp;
use serde::Serialize;
use sigstore_protobuf_specs::dev::sigstore::common::v1::{
    HashAlgorithm, LogId, PublicKey, PublicKeyDetails, TimeRange,
};
use sigstore_protobuf_specs::dev::sigstore::trustroot::v1::{
    ClientTrustConfig, Service, SigningConfig, TransparencyLogInstance, TrustedRoot,
};
use tlog::{KeyAlgorithm, NoteError, NoteKey};

use super::TrustSettings;
use super::monitor_config::monitor_config;
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
    /// C2SP vkeys of the checkpoints of all trees, one a line: the log of v2 first, and in a log
    /// the newest tree first.
    CheckpointVkey,
    /// PEM of the log keys of v1, newest tree first. Absent from a ledger without a log for v1.
    LogPublicKey,
    /// A configuration of `treehead monitor` that follows these logs.
    MonitorConfig,
}

impl Document {
    /// All documents.
    pub const ALL: [Self; 6] = [
        Self::TrustedRoot,
        Self::SigningConfig,
        Self::TrustConfig,
        Self::CheckpointVkey,
        Self::LogPublicKey,
        Self::MonitorConfig,
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
            Self::MonitorConfig => "/trust/monitor_config.json",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::TrustedRoot | Self::SigningConfig | Self::TrustConfig | Self::MonitorConfig => {
                "application/json"
            }
            Self::CheckpointVkey => "text/plain; charset=utf-8",
            Self::LogPublicKey => "application/x-pem-file",
        }
    }
}

/// Why the documents cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// No tree.
    #[error("the ledger has no tree")]
    NoTree,
    /// A stored tree.
    #[error(transparent)]
    Tree(#[from] StoreError),
    /// A stored origin.
    #[error("table tree: the origin of tree {tree} is no key name: {source}")]
    Origin {
        /// Its tree.
        tree: ledger::TreeId,
        /// The fault.
        source: NoteError,
    },
}

/// All documents of one ledger.
#[derive(Clone, Debug)]
pub struct TrustMaterial {
    config: ClientTrustConfig,
    vkeys: String,
    pems: Option<String>,
    monitor_config: String,
}

/// A tree of a Rekor log, with the key of its C2SP checkpoints.
pub(super) struct Shard<'a> {
    row: &'a TreeRow,
    pub(super) tree: Tree,
    pub(super) checkpoint_key: NoteKey,
}

impl TrustMaterial {
    /// Makes the documents from the trees of all logs of one ledger, oldest first.
    pub fn new(trees: &[TreeRow], settings: &TrustSettings) -> Result<Self, TrustError> {
        let shards = trees.iter().filter_map(Shard::new);
        let shards = shards.collect::<Result<Vec<_>, _>>()?;
        let newest = shards.last().ok_or(TrustError::NoTree)?;
        let https = || PublicUrl::https(&newest.tree.name);
        let url = settings.public_url.clone().unwrap_or_else(https);
        let (v1, v2) = (of_log(&shards, &V1), of_log(&shards, &V2));
        let vkeys = v2.iter().rev().chain(v1.iter().rev());
        let pems = v1.iter().rev().map(|shard| &*shard.tree.public_key_pem);
        Ok(Self {
            vkeys: vkeys
                .map(|shard| format!("{}\n", shard.checkpoint_key))
                .collect(),
            pems: (!v1.is_empty()).then(|| pems.collect()),
            monitor_config: monitor_config(&v1, &v2, &url),
            config: ClientTrustConfig {
                media_type: TRUST_CONFIG_TYPE.to_owned(),
                trusted_root: Some(trusted_root(&shards, &url, settings)),
                signing_config: Some(signing_config(&v1, &v2, &url, settings)),
            },
        })
    }

    /// Returns a document as text, or `None` where the ledger has no log that it is about.
    pub fn text(&self, document: Document) -> Option<String> {
        match document {
            Document::TrustedRoot => Some(json(&self.config.trusted_root)),
            Document::SigningConfig => Some(json(&self.config.signing_config)),
            Document::TrustConfig => Some(json(&self.config)),
            Document::CheckpointVkey => Some(self.vkeys.clone()),
            Document::LogPublicKey => self.pems.clone(),
            Document::MonitorConfig => Some(self.monitor_config.clone()),
        }
    }
}

/// Returns the trees of the log that takes entries by `api`.
fn of_log<'s, 'a>(shards: &'s [Shard<'a>], api: &Api) -> Vec<&'s Shard<'a>> {
    let of_api = shards.iter().filter(|shard| shard.tree.api == api);
    of_api.collect()
}

impl<'a> Shard<'a> {
    /// Reads a stored tree. Returns `None` for a tree of another log than Rekor's.
    fn new(row: &'a TreeRow) -> Option<Result<Self, TrustError>> {
        let api = Api::by_name(&row.api)?;
        Some(Self::read(row, api))
    }

    fn read(row: &'a TreeRow, api: &'static Api) -> Result<Self, TrustError> {
        let tree = Tree::of(row, api)?;
        let key = NoteKey::new(&tree.origin, tree.checkpoint_key.clone());
        let checkpoint_key = key.map_err(|source| TrustError::Origin {
            tree: tree.id,
            source,
        })?;
        Ok(Self {
            row,
            tree,
            checkpoint_key,
        })
    }

    /// Returns the host name that clients know the tree by.
    ///
    /// sigstore-go compares the origin of a v2 checkpoint with the host of `baseUrl`. sigstore-js
    /// uses an instance whose `baseUrl` holds the name of the key that signed the checkpoint; in
    /// v1 that is the ledger's name, whatever the tree.
    fn host(&self) -> &str {
        if self.tree.api == &V1 {
            &self.tree.name
        } else {
            &self.tree.origin
        }
    }

    fn instance(&self, url: &PublicUrl) -> TransparencyLogInstance {
        let key = &self.tree.log_key;
        let details = match key.algorithm() {
            KeyAlgorithm::EcdsaP256 => PublicKeyDetails::PkixEcdsaP256Sha256,
            KeyAlgorithm::Ed25519 => PublicKeyDetails::PkixEd25519,
        };
        TransparencyLogInstance {
            base_url: url.with_host(self.host()).to_string(),
            hash_algorithm: HashAlgorithm::Sha2256.into(),
            public_key: Some(PublicKey {
                raw_bytes: Some(key.spki().to_vec()),
                key_details: details.into(),
                valid_for: Some(self.window()),
            }),
            log_id: Some(LogId {
                key_id: self.tree.log_id.0.to_vec(),
            }),
            // It would say the same, and older clients refuse fields that they do not know.
            checkpoint_key_id: None,
            operator: String::new(),
        }
    }

    /// Returns from when to when the tree accepted entries.
    fn window(&self) -> TimeRange {
        let end = self.row.frozen_at.map(|time| time + WINDOW_SLACK_SECONDS);
        TimeRange {
            start: Some(at(self.begin())),
            end: end.map(at),
        }
    }

    /// Returns the second from which the tree accepted entries.
    fn begin(&self) -> i64 {
        (self.row.created_at - WINDOW_SLACK_SECONDS).max(0)
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

fn trusted_root(shards: &[Shard<'_>], url: &PublicUrl, settings: &TrustSettings) -> TrustedRoot {
    let ours: Vec<_> = shards.iter().map(|shard| shard.instance(url)).collect();
    let mut root = settings.others.trusted_root.clone();
    TRUSTED_ROOT_TYPE.clone_into(&mut root.media_type);
    // A document that this ledger wrote earlier may be added to again.
    root.tlogs
        .retain(|other| ours.iter().all(|log| log.log_id != other.log_id));
    root.tlogs.extend(ours);
    root.tlogs.sort_by_key(|log| {
        let window = log.public_key.as_ref().and_then(|key| key.valid_for);
        window
            .and_then(|window| window.start)
            .map(|start| start.seconds)
    });
    root
}

/// Returns where clients sign, from the trees of the log for v1 and of the log for v2.
///
/// Most clients choose the highest version that they know. v2 has no signed time of its own:
/// without a time-stamp authority a keyless signature in it could never be verified, so beside v1
/// it is named only where there is one.
fn signing_config(
    v1: &[&Shard<'_>],
    v2: &[&Shard<'_>],
    url: &PublicUrl,
    settings: &TrustSettings,
) -> SigningConfig {
    let names_v2 = v1.is_empty() || settings.others.has_timestamp_authority();
    let v2 = if names_v2 { v2 } else { &[] };
    let begins = [v1.first(), v2.first()].into_iter().flatten();
    let begin = begins.map(|first| first.begin()).min().unwrap_or_default();
    // All trees of v1 are reached at one URL, so one service stands for them.
    let of_v1 = services(v1, 1, begin, |_| url.clone()).pop();
    // v2 first: sigstore-js takes the first of services that are equally new.
    let of_v2 = services(v2, 2, begin, |tree| url_of_v2(tree, url));
    let mut config = settings.others.signing_config.clone();
    SIGNING_CONFIG_TYPE.clone_into(&mut config.media_type);
    config.rekor_tlog_urls = of_v2.into_iter().chain(of_v1).collect();
    config.rekor_tlog_config = Some(any());
    config
}

/// Returns where a tree of the log for v2 is read.
///
/// Where the ledger has one host name, that is the public URL. Another log and each later tree have
/// a host name of their own.
pub(super) fn url_of_v2(tree: &Tree, url: &PublicUrl) -> PublicUrl {
    match tree.origin == tree.name {
        true => url.clone(),
        false => url.with_host(&tree.origin),
    }
}

/// Returns a service for each tree of a log, oldest first.
///
/// sigstore-js signs with the newest service that has not ended, whatever its version. So the
/// service of the active tree of each log carries `begin`, the start of the ledger's first tree:
/// no rotation, and no log that is added later, wins by its start and moves a client to another
/// API. Services of frozen trees end when the tree was frozen; rekor-monitor reads them still, and
/// takes the newest service for the active tree. So each begins a second before that of the next
/// tree.
fn services(
    trees: &[&Shard<'_>],
    version: u32,
    begin: i64,
    url: impl Fn(&Tree) -> PublicUrl,
) -> Vec<Service> {
    let mut services = Vec::with_capacity(trees.len());
    for (later_trees, shard) in (0..).zip(trees.iter().rev()) {
        services.push(Service {
            url: url(&shard.tree).to_string(),
            major_api_version: version,
            valid_for: Some(TimeRange {
                start: Some(at(begin - later_trees)),
                end: shard.row.frozen_at.map(at),
            }),
            operator: shard.tree.name.clone(),
        });
    }
    services.reverse();
    services
}

/// ProtoJSON, for people too.
pub(super) fn json(document: &impl Serialize) -> String {
    // Messages without maps or `Any` always have a JSON form; an empty document fails every reader.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}
