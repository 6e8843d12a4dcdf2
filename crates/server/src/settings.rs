//! The settings that the binary passes to the server.

use std::num::NonZeroUsize;

use host::{Limits, Origin};
use prometheus::Registry;

use crate::enabled::Operations;
use crate::trust::TrustSettings;
use crate::unique::UniquePackages;

/// Default for [`Settings::attestation_bytes`], Rekor's: 100 KiB.
pub const DEFAULT_ATTESTATION_BYTES: u64 = 100 * 1024;

/// Most that [`Settings::attestation_bytes`] may be, 1 MiB: ten entries of one answer then take 15
/// MiB, and a round of the ledger holds eight attestations.
pub const MAX_ATTESTATION_BYTES: u64 = 1024 * 1024;

/// All settings of the server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bounds of connections, requests and bodies.
    pub limits: Limits,
    /// Costly checks at once (bodies above 4 KiB, and kinds that are heavy whatever their length),
    /// and half as many of large bodies besides. Light checks run where the request is handled.
    pub verifications: NonZeroUsize,
    /// Attestations up to this size are kept beside their entries and shown with them. Larger ones
    /// are not kept, though the entry is accepted. 0: no attestations. At most
    /// [`MAX_ATTESTATION_BYTES`].
    pub attestation_bytes: u64,
    /// The policy that entries must meet.
    pub policy: entry::Policy,
    /// Which operations of all APIs there are.
    pub operations: Operations,
    /// Whether this server refuses every write. Other servers may write to the same database.
    pub read_only: bool,
    /// Whether anybody may read. Then web pages of all origins may read, and shared caches may keep
    /// tiles.
    pub public: bool,
    /// Web pages of these origins may read and write.
    pub cors_origins: Vec<Origin>,
    /// The answer if an equal entry is in the log already.
    pub duplicates: Duplicates,
    /// Whether a package may have two digests.
    pub unique_packages: UniquePackages,
    /// The registry of the metrics. `/metrics` shows it.
    pub metrics: Registry,
    /// The build that `rekor_build_info` and the pages show.
    pub build: BuildInfo,
    /// The trust material beside the trees.
    pub trust: TrustSettings,
    /// Tells the request ids of this process from those of another: random text, some 8 letters or
    /// digits.
    pub instance: String,
}

impl Settings {
    /// Settings with the default limits and policy, and all operations.
    pub fn new(metrics: Registry, build: BuildInfo, instance: String) -> Self {
        Self {
            limits: Limits::default(),
            verifications: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            attestation_bytes: DEFAULT_ATTESTATION_BYTES,
            policy: entry::Policy::default(),
            operations: Operations::default(),
            read_only: false,
            public: false,
            cors_origins: Vec::new(),
            duplicates: Duplicates::default(),
            unique_packages: UniquePackages::default(),
            metrics,
            build,
            trust: TrustSettings::default(),
            instance,
        }
    }
}

/// The answer to an entry that the log has already, on each API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicates {
    /// Rekor v1: 409 with the `Location` of the stored entry.
    pub v1: OnDuplicate,
    /// Rekor v2. Its own answer, a 409, leaves a client that timed out and tries again without a
    /// proof.
    pub v2: OnDuplicate,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self {
            v1: OnDuplicate::Conflict,
            v2: OnDuplicate::Stored,
        }
    }
}

/// How an API answers an entry that is in the log already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDuplicate {
    /// 409 that says where the entry is.
    Conflict,
    /// 201 with the stored entry and a fresh proof.
    Stored,
}

/// How this program was built.
#[derive(Clone, Debug)]
pub struct BuildInfo {
    /// Version, such as `0.1.0`.
    pub version: String,
    /// Commit, or `unknown`.
    pub revision: String,
    /// Date of the commit or build, or `unknown`.
    pub build_date: String,
    /// Compiler, such as `rustc 1.95.0`.
    pub compiler: String,
}
