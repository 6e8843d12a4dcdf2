//! What the binary decides for the server.

use std::num::NonZeroUsize;
use std::time::Duration;

use prometheus::Registry;

use crate::admission::Operations;
use crate::cors::Origin;
use crate::trust::TrustSettings;

/// Default for [`Limits::body_bytes`]: 48 MiB. The largest request a Rekor deployment is set up for by its own compose file is
/// 32,792,576 bytes; a package of that size in base64 still fits.
pub const DEFAULT_BODY_BYTES: u64 = 48 * 1024 * 1024;

/// Default for [`Limits::body_bytes_in_flight`]: two bodies of a package of 30 MiB at once, with what is decoded from them.
pub const DEFAULT_BODY_BYTES_IN_FLIGHT: u64 = 4 * DEFAULT_BODY_BYTES;

/// Default for [`Limits::connections`]: 32 KiB of headers each are 128 MiB at worst.
pub const DEFAULT_CONNECTIONS: usize = 4_096;

/// Default for [`Limits::connections_per_address`]: a quarter of all. A proxy in front, whose address all connections have, works
/// with it as well: idle ones make room, and 1,024 requests at once are more than one server answers in 50 ms.
pub const DEFAULT_CONNECTIONS_PER_ADDRESS: usize = DEFAULT_CONNECTIONS / 4;

/// Default for [`Limits::attestation_bytes`], Rekor's: 100 KiB.
pub const DEFAULT_ATTESTATION_BYTES: u64 = 100 * 1024;

/// Most that [`Limits::attestation_bytes`] may be, 1 MiB: ten entries of one answer then take 15 MiB, and a round of the ledger
/// holds eight attestations.
pub const MAX_ATTESTATION_BYTES: u64 = 1024 * 1024;

/// Default for [`Limits::stop_grace`], Rekor's.
pub const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(15);

/// All settings of the server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What bounds memory and waiting.
    pub limits: Limits,
    /// Which entries are admitted.
    pub policy: entry::Policy,
    /// Which operations of all APIs there are.
    pub operations: Operations,
    /// Whether every write is refused. Of this server, not of the log: others may write to the same database.
    pub read_only: bool,
    /// Whether anybody may read: then web pages of all origins do, and shared caches keep tiles.
    pub public: bool,
    /// Web pages of these origins may read and write.
    pub cors_origins: Vec<Origin>,
    /// What is said when an equal entry is in the log already.
    pub duplicates: Duplicates,
    /// Where the metrics are registered, and what `/metrics` shows.
    pub metrics: Registry,
    /// What `rekor_build_info` and the pages say.
    pub build: BuildInfo,
    /// What `/trust/…` says beside the trees.
    pub trust: TrustSettings,
    /// Tells the request ids this process makes from those of another: random text, some 8 letters or digits.
    pub instance: String,
}

impl Settings {
    /// Settings with the default limits and policy, and all operations.
    pub fn new(metrics: Registry, build: BuildInfo, instance: String) -> Self {
        Self {
            limits: Limits::default(),
            policy: entry::Policy::default(),
            operations: Operations::default(),
            read_only: false,
            public: false,
            cors_origins: Vec::new(),
            duplicates: Duplicates::default(),
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
    /// Rekor v2. Its own answer, a 409, leaves a client that timed out and tries again without a proof.
    pub v2: OnDuplicate,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self { v1: OnDuplicate::Conflict, v2: OnDuplicate::Stored }
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

/// Bounds that an operator may move. The others are constants of the crate, see [`crate::limits`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// Larger request bodies get 413.
    pub body_bytes: u64,
    /// All request bodies being received or worked on and what is decoded from them, together. Requests wait for their share
    /// and get 503 when that takes too long. Raised to what one body of the largest size needs if it is set lower.
    pub body_bytes_in_flight: u64,
    /// Open connections. For one more the longest idle one is closed.
    pub connections: usize,
    /// Open connections from one IPv4 address or one /64 network of IPv6. For one more the longest idle one of that address is
    /// closed; if all are at work, the new one gets 503.
    pub connections_per_address: usize,
    /// Costly checks (bodies above 4 KiB, and kinds that are heavy whatever their length) at once, and half as many of large bodies
    /// besides; light ones run where the request is handled.
    pub verifications: NonZeroUsize,
    /// Attestations up to this size are kept beside their entries, and shown with them; larger ones are neither, though the
    /// entry goes in all the same. 0: none are. At most [`MAX_ATTESTATION_BYTES`].
    pub attestation_bytes: u64,
    /// How long a stop waits for requests that were accepted.
    pub stop_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: DEFAULT_BODY_BYTES,
            body_bytes_in_flight: DEFAULT_BODY_BYTES_IN_FLIGHT,
            connections: DEFAULT_CONNECTIONS,
            connections_per_address: DEFAULT_CONNECTIONS_PER_ADDRESS,
            verifications: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            attestation_bytes: DEFAULT_ATTESTATION_BYTES,
            stop_grace: DEFAULT_STOP_GRACE,
        }
    }
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
