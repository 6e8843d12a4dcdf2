//! Every bound of the HTTP side that is not a setting, each with where it comes from.

use std::time::Duration;

/// Longest path and query together. An entry ID has 80 digits; what is longer than this is no request of this API. 414.
pub const MAX_URI_BYTES: usize = 4 * 1024;

/// Read buffer of a connection, which bounds the request line and headers together (what was read beyond it with the last
/// piece still counts as within). 431. Rekor takes 1,000,000 bytes; with
/// [`crate::settings::DEFAULT_CONNECTIONS`] that would be 4 GB of headers.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Header lines of a request. 431.
pub const MAX_HEADERS: usize = 100;

/// From the last answer (or the connect) to the end of the next request's headers: Rekor's idle time-out, which here bounds
/// slow headers too.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time in which a client sends a body, as Rekor's read time-out. What the server takes to make room does not count. 408.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest pause between two pieces of a body: a sender that stalls gives its share back sooner. 408.
pub const BODY_PAUSE: Duration = Duration::from_secs(5);

/// Bytes a second that a body brings at least, on average after [`BODY_GRACE`]: a client on a line of 10 kbit/s still gets an entry
/// in, and one that sends a byte now and then is gone after the grace. 408.
pub const MIN_BODY_RATE: u64 = 1024;

/// Time in which a body may bring nothing: a packet that is lost twice comes after a second and a half.
pub const BODY_GRACE: Duration = Duration::from_secs(2);

/// From the first time that a client did not take more of an answer to the end of it, as Rekor's write time-out. Not renewed by
/// what it takes meanwhile: a byte now and then would hold the room of an answer for ever.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A whole request, body included, but for sending its answer: [`BODY_TIMEOUT`] and as much again for the work. 504.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The same for one with a large body: it may wait twice.
pub const LARGE_REQUEST_TIMEOUT: Duration =
    REQUEST_TIMEOUT.saturating_add(LARGE_ADMISSION_WAIT).saturating_add(LARGE_ADMISSION_WAIT);

/// How long a request waits for its share of the bodies in flight, or for its turn of a costly check. 503.
pub const ADMISSION_WAIT: Duration = Duration::from_secs(5);

/// The same for one with a large body (above [`SMALL_BODY_BYTES`]), whose bytes meanwhile wait on the client's side: a check of
/// a package of 30 MiB takes a second or two, so that some sixty that come at once are all answered.
pub const LARGE_ADMISSION_WAIT: Duration = Duration::from_secs(120);

/// Memory that a body takes at most while it is worked on, in its own length: the body itself, and what is decoded from it
/// (base64 of a package holds three quarters of its length). Then the body is dropped, before anything is unpacked or checked.
pub const WORKING_FACTOR: u64 = 2;

/// What a body gets before its first byte; then twice as much each time that it is full. An ordinary entry fits, and the bodies of
/// 1,500 connections that send nothing have what is kept for small ones.
pub const BODY_STEP_BYTES: u64 = 4 * 1024;

/// Bodies up to this size are admitted from a share of their own, so that a few large or slow uploads cannot keep ordinary
/// entries (some 1 KiB, certificates included) out.
pub const SMALL_BODY_BYTES: u64 = 64 * 1024;

/// Checks of bodies up to this size run in the request's own task, unless the kind is a heavy one: entries with a key (1 KiB) or a usual certificate (some
/// 2 KiB). What is larger may take longer.
pub const LIGHT_BODY_BYTES: u64 = 4 * 1024;

/// Part of all bytes in flight that is kept for small bodies: one in this many.
pub const SMALL_SHARE: u64 = 8;

/// A refused body is read and dropped up to this many times the body limit, so that a client that writes before it reads gets
/// to see the refusal; then the connection is closed.
pub const DISCARD_FACTOR: u64 = 2;

/// … and no longer than this.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that the server closes is read for this many bytes after its last answer: twice the default limit of a body.
pub const LINGER_BYTES: u64 = 96 << 20;

/// … and no longer than this: a client reads the answer within it, and one that is silent keeps its place for this long.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Entries of one `retrieve`, over its three lists and in each, as in Rekor.
pub const MAX_RETRIEVE: usize = 10;

/// Entries of one batch: about a round of the ledger, and an answer of 3 to 4 MB.
pub const MAX_BATCH: usize = 1_000;

/// Entries of one batch that are checked ahead of those that go into the queue, and results that are made at once: enough for all
/// cores, of which all batches together take so many as one.
pub const MAX_BATCH_AHEAD: usize = 64;

/// Entries of one batch that are in the ledger's queue at once: a sixteenth of a round, so that a batch alone still fills rounds that
/// cost less for their commit than for their entries.
pub const MAX_BATCH_QUEUED: usize = ledger::MAX_ROUND_ENTRIES / 16;

/// Places in the ledger's queue for entries of all batches together: an eighth of a round, in entries, bytes and index keys alike.
/// A single entry waits behind 4 ms of them at most (28 µs each on Postgres), and finds the queue as empty as without them.
pub const BATCH_PLACES: usize = ledger::MAX_ROUND_ENTRIES / 8;

/// What of an entry one place holds; a larger one takes several.
pub const PLACE_BYTES: usize = ledger::MAX_ROUND_BYTES / ledger::MAX_ROUND_ENTRIES;

/// See [`PLACE_BYTES`].
pub const PLACE_INDEX_KEYS: usize = ledger::MAX_ROUND_INDEX_KEYS / ledger::MAX_ROUND_ENTRIES;

/// Entries of a batch go into the log until this long after the batch has arrived; those whose turn comes later get 503. With
/// [`BODY_TIMEOUT`] before it and what an append may wait for witnesses after it, 10 s, that is [`REQUEST_TIMEOUT`].
pub const BATCH_TIMEOUT: Duration = Duration::from_secs(20);

/// How long an entry of a batch waits before it tries again to get into a full queue: the ledger works off a round in less.
pub const BATCH_PAUSE: Duration = Duration::from_millis(50);

/// Entry IDs in one answer of `index/retrieve`, newest first: 830 kB. Rekor has no limit.
pub const MAX_SEARCH_HITS: u32 = 10_000;

/// Hits of `index/retrieve` for which there is room at once. An artifact has a few entries; who finds more takes room for
/// [`MAX_SEARCH_HITS`].
pub const FEW_SEARCH_HITS: u32 = 16;

/// A search of `index/retrieve`, whose answer is whole or none. 503.
pub const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Entries of one page of `index/search`, and how many if none is asked for.
pub const MAX_SEARCH_PAGE: u32 = 1_000;

/// Conditions of one search that are index keys: each makes a statement or two of a page. An entry has eight kinds of them.
pub const MAX_SEARCH_KEYS: usize = 16;

/// See [`MAX_SEARCH_PAGE`].
pub const DEFAULT_SEARCH_PAGE: u32 = 100;

/// One entry in a page: five members, of which the ID has 80 digits and the others some 100 bytes with their names.
pub const HIT_ANSWER_BYTES: u64 = 256;

/// Answers that show entries, being made or sent, together: slow readers could otherwise hold one of
/// [`MAX_ENTRY_ANSWER_BYTES`] or more on each connection. 503.
pub const ANSWER_BYTES_IN_FLIGHT: u64 = 64 * 1024 * 1024;

/// The same for search results, apart from those, so that no entry waits for the room of a search: twenty of the largest, or
/// 600 pages. 503.
pub const SEARCH_BYTES_IN_FLIGHT: u64 = 16 * 1024 * 1024;

/// One entry in an answer without an attestation: 65,535 leaf bytes in base64 are 87 KB; proof and checkpoint are below 8 KB. Set
/// aside until the length is known, with room for base64 of the largest attestation.
pub const MAX_ENTRY_ANSWER_BYTES: u64 = 112 * 1024;

/// Entry bundles being made or sent, together: three of the largest. Of those sent, memory holds the ones that are in no cache
/// any more. 503.
pub const BUNDLE_BYTES_IN_FLIGHT: u64 = 64 * 1024 * 1024;

/// The largest entry bundle: 256 entries of 65,535 bytes, each behind its length. Set aside until the bundle is made.
pub const MAX_BUNDLE_BYTES: u64 = 256 * (65_535 + 2);

/// One entry ID in a list, with quotes and comma.
pub const ID_ANSWER_BYTES: u64 = 83;

/// Characters of a `subject` in `index/retrieve`, as in Rekor, and here of an `email` too.
pub const MAX_SUBJECT_CHARS: usize = 512;

/// Message of an error, which may name what the client sent: twice [`MAX_URI_BYTES`], so that any path is named whole.
pub const MAX_MESSAGE_BYTES: usize = 2 * MAX_URI_BYTES;

/// Readiness asks the database; it answers within this time or the server is not ready. Below the 10 s that probes wait.
pub const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest request id taken over from a client; a longer one is cut.
pub const MAX_REQUEST_ID_BYTES: usize = 128;

/// Streams of an HTTP/2 connection at once: as many as gRPC clients expect at least. All streams together take no more places
/// than there are for requests.
pub const MAX_STREAMS: u32 = 100;

/// What an HTTP/2 stream keeps of an answer that its client does not take. One such answer is cut off after [`WRITE_TIMEOUT`].
pub const STREAM_BUFFER_BYTES: usize = 64 * 1024;

/// What an HTTP/2 connection sends ahead of what is read: HTTP/2's own default, so that all connections together have 256 MiB
/// waiting at worst, as much as in HTTP/1.1's buffers.
pub const HTTP2_WINDOW_BYTES: u32 = 65_535;

/// Silence after which an HTTP/2 connection is asked whether its client is still there, and the time for the answer.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// An HTTP/2 connection without a request for this long is told to end. Twice [`HEADER_TIMEOUT`], since gRPC clients keep one
/// connection for all that they do; they connect anew without losing a request.
pub const HTTP2_IDLE: Duration = Duration::from_secs(20);

/// How long a connection without work that was told to end may take to confirm it: more than a round trip around the world, and
/// short enough that a stop of the server takes less than a second.
pub const FAREWELL: Duration = Duration::from_millis(300);

/// An HTTP/2 connection older than this is told to end, as gRPC servers do, so that load spreads again over several servers; its
/// streams may finish.
pub const HTTP2_AGE: Duration = Duration::from_secs(300);

/// What the health and reflection services of gRPC read in one message: the name of a service.
pub const MAX_SERVICE_MESSAGE_BYTES: usize = 1_024;

/// Pause after a failed accept (such as too many open files), so that the loop does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait in the kernel until they are accepted: the default of `max-connections`, so that as many may come in one
/// moment as are let in. The kernel takes no more than `net.core.somaxconn`, 4,096 since Linux 5.4.
pub const BACKLOG: u32 = crate::settings::DEFAULT_CONNECTIONS as u32;

/// One of this many connections is not for requests at work. Such a connection is idle by definition, so that the next client can
/// have its place; twice as many as there are probes ([`CONNECTIONS_PER_PROBE`]), which need no place for requests.
pub const CONNECTIONS_PER_SPARE: u64 = 32;

/// There is a place for one probe (`/healthz`, `/readyz`) in this many connections, beside the places for requests.
pub const CONNECTIONS_PER_PROBE: u64 = 64;

/// Connections to the metrics at once: scrapers, probes, and a curious operator. Idle ones make room.
pub const METRICS_CONNECTIONS: usize = 64;
