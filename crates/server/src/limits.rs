//! Every bound of the log's API that is not a setting, each with its derivation. The bounds of
//! connections, requests and bodies are in [`host::limits`].

use std::time::Duration;

/// Longest path and query together. An entry ID has 80 digits, so a longer target is not a request
/// of this API. 414.
pub const MAX_URI_BYTES: usize = 4 * 1024;

/// Checks of bodies up to this size run in the request's own task, unless the kind is a heavy one.
/// Entries with a key (1 KiB) or a usual certificate (some 2 KiB) fit; larger ones may take longer.
pub const LIGHT_BODY_BYTES: u64 = 4 * 1024;

/// Entries of one `retrieve`, over its three lists and in each, as in Rekor.
pub const MAX_RETRIEVE: usize = 10;

/// Entries of one batch: about a round of the ledger, and an answer of 3 to 4 MB.
pub const MAX_BATCH: usize = 1_000;

/// Entries of one batch that are checked ahead of the queue, and results that are made at once.
/// Enough to keep all cores busy. All batches together may use as many as one batch alone.
pub const MAX_BATCH_AHEAD: usize = 64;

/// Entries of one batch that are in the queues of the logs at once: a sixteenth of a round. So a batch
/// alone still fills rounds whose commit costs less than their entries.
pub const MAX_BATCH_QUEUED: usize = ledger::MAX_ROUND_ENTRIES / 16;

/// Places in the queue of each log for entries of all batches together: an eighth of a round, in
/// entries, bytes and index keys alike. A single entry waits behind 4 ms of them at most (28 µs
/// each on Postgres), and finds the queue as empty as without them.
pub const BATCH_PLACES: usize = ledger::MAX_ROUND_ENTRIES / 8;

/// Bytes of an entry in one place. A larger entry takes several places.
pub const PLACE_BYTES: usize = ledger::MAX_ROUND_BYTES / ledger::MAX_ROUND_ENTRIES;

/// Index keys of an entry in one place. An entry with more takes several places.
pub const PLACE_INDEX_KEYS: usize = ledger::MAX_ROUND_INDEX_KEYS / ledger::MAX_ROUND_ENTRIES;

/// Entries of a batch go into the log until this long after the batch has arrived. Entries whose
/// turn comes later get 503. [`BODY_TIMEOUT`] before it, and the longest wait of an append for
/// witnesses after it, 10 s, add up to [`REQUEST_TIMEOUT`].
///
/// [`BODY_TIMEOUT`]: host::limits::BODY_TIMEOUT
/// [`REQUEST_TIMEOUT`]: host::limits::REQUEST_TIMEOUT
pub const BATCH_TIMEOUT: Duration = Duration::from_secs(20);

/// Entry IDs in one answer of `index/retrieve`, newest first: 830 kB. Rekor has no limit.
pub const MAX_SEARCH_HITS: u32 = 10_000;

/// Hits of `index/retrieve` for which room is taken first. An artifact has a few entries. A search
/// that finds more takes room for [`MAX_SEARCH_HITS`].
pub const FEW_SEARCH_HITS: u32 = 16;

/// A search of `index/retrieve`, whose answer is whole or none. 503.
pub const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Entries of one page of `index/search`.
pub const MAX_SEARCH_PAGE: u32 = 1_000;

/// Conditions of one search that are index keys: each makes a statement or two of a page. An entry
/// has eight kinds of them.
pub const MAX_SEARCH_KEYS: usize = 16;

/// Entries of one page if no number is asked for.
pub const DEFAULT_SEARCH_PAGE: u32 = 100;

/// Keys of one look-up: some 10 ms of a database's time, and 37 KiB of digests in the request.
pub const MAX_LOOK_UP_KEYS: usize = 256;

/// Hits of one key in one log if no number is asked for. An artifact has a few entries.
pub const DEFAULT_LOOK_UP_HITS: u32 = 16;

/// Hits of all keys of one look-up in one log: 1.8 MB of an answer.
pub const MAX_LOOK_UP_HITS: u32 = 4_096;

/// One entry in a page: nine members, of which the ID has 80 digits and the URL 100 characters; the
/// others have some 230 bytes with all names.
pub const HIT_ANSWER_BYTES: u64 = 448;

/// One event in a page: 200 bytes, and a comma.
pub const EVENT_ANSWER_BYTES: u64 = 201;

/// Events of one piece of a stream: 64 KiB, which is the memory of a reader that stalls.
pub const EVENTS_OF_A_PIECE: usize = 256;

/// Published entries that a stream may be behind: as many as the cache of events holds. A reader that
/// is further behind reads pages, each of which is asked for. 409.
pub const MAX_STREAM_BACKLOG: u64 = 65_536;

/// One in this many connections may be a stream of events, which keeps its place for as long as its
/// reader stays. One address may have half of these. 503.
pub const CONNECTIONS_PER_STREAM: u64 = 4;

/// Memory of all answers that show entries, being made or sent. Without it slow readers could hold
/// [`MAX_ENTRY_ANSWER_BYTES`] or more on each connection. 503.
pub const ANSWER_BYTES_IN_FLIGHT: u64 = 64 * 1024 * 1024;

/// Memory of all search results. It is separate, so that no entry waits for the room of a search:
/// twenty of the largest, or 370 pages. 503.
pub const SEARCH_BYTES_IN_FLIGHT: u64 = 16 * 1024 * 1024;

/// One entry in an answer without an attestation: 65,535 leaf bytes in base64 are 87 KB; proof and
/// checkpoint are below 8 KB. Set aside until the length is known, with room for base64 of the
/// largest attestation. An entry with a larger leaf is read again in room for base64 of its other
/// bytes as well: with a leaf of 1 MiB that is 1.4 MiB, so a `retrieve` of ten takes 14 MiB, and 45
/// such entries may be read at once. Beside an answer that is being made its leaves are held as
/// well: three quarters of its length.
pub const MAX_ENTRY_ANSWER_BYTES: u64 = 112 * 1024;

/// Entry bundles being made or sent, together: three of the largest. Of those sent, memory holds
/// the ones that are in no cache any more. 503.
pub const BUNDLE_BYTES_IN_FLIGHT: u64 = 64 * 1024 * 1024;

/// The largest entry bundle: 256 entries of 65,535 bytes, each behind its length. Set aside until
/// the bundle is made.
pub const MAX_BUNDLE_BYTES: u64 = 256 * (65_535 + 2);

/// The largest answer with rows: a page of 8 MiB in base64, and the fields of 1,024 entries. Set aside
/// until the answer is made.
pub const MAX_ROWS_BYTES: u64 = 16 * 1024 * 1024;

/// One entry ID in a list, with quotes and comma.
pub const ID_ANSWER_BYTES: u64 = 83;

/// Characters of a `subject` in `index/retrieve`, as in Rekor, and here of an `email` too.
pub const MAX_SUBJECT_CHARS: usize = 512;

/// Message of an error, which may name what the client sent: twice [`MAX_URI_BYTES`], so that any
/// path is named whole.
pub const MAX_MESSAGE_BYTES: usize = 2 * MAX_URI_BYTES;

/// Readiness asks the database; it answers within this time or the server is not ready. Below the
/// 10 s that probes wait.
pub const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that the health and reflection services of gRPC read in one message: the name of a
/// service.
pub const MAX_SERVICE_MESSAGE_BYTES: usize = 1_024;
