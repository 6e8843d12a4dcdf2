//! Every bound of a host: constants, each with where it comes from, and [`Limits`], which an
//! operator may move.

use std::time::Duration;

/// Default for [`Limits::body_bytes`]: 48 MiB. A package of 30 MiB in base64 fits.
pub const DEFAULT_BODY_BYTES: u64 = 48 * 1024 * 1024;

/// Default for [`Limits::body_bytes_in_flight`]: two bodies of a package of 30 MiB at once, with
/// what is decoded from them.
pub const DEFAULT_BODY_BYTES_IN_FLIGHT: u64 = 4 * DEFAULT_BODY_BYTES;

/// Default for [`Limits::connections`]: 32 KiB of headers each are 128 MiB at worst.
pub const DEFAULT_CONNECTIONS: usize = 4_096;

/// Default for [`Limits::connections_per_address`]: a quarter of all. A proxy in front, whose
/// address all connections have, works with it as well: idle ones make room, and 1,024 requests at
/// once are more than one server answers in 50 ms.
pub const DEFAULT_CONNECTIONS_PER_ADDRESS: usize = DEFAULT_CONNECTIONS / 4;

/// Default for [`Limits::stop_grace`].
pub const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(15);

/// Read buffer of a connection, which bounds the request line and headers together (what was read
/// beyond it with the last piece still counts as within). 431. With 1,000,000 bytes, as many
/// servers take, [`DEFAULT_CONNECTIONS`] would be 4 GB of headers.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Header lines of a request. 431.
pub const MAX_HEADERS: usize = 100;

/// From the last answer (or the connect) to the end of the next request's headers: bounds
/// slow headers too.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time in which a client sends a body. What the server takes to make room does not count.
/// 408.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest pause between two pieces of a body: a sender that stalls gives its share back sooner.
/// 408.
pub const BODY_PAUSE: Duration = Duration::from_secs(5);

/// Bytes a second that a body brings at least, on average after [`BODY_GRACE`]: a client on a line
/// of 10 kbit/s still gets an entry in, and one that sends a byte now and then is gone after the
/// grace. 408.
pub const MIN_BODY_RATE: u64 = 1024;

/// Time in which a body may bring nothing: a packet that is lost twice comes after a second and a
/// half.
pub const BODY_GRACE: Duration = Duration::from_secs(2);

/// From the first time that a client did not take more of an answer to the end of it. Not renewed
/// by what it takes meanwhile: a byte now and then would hold the room of an answer for ever.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A whole request, body included, but for sending its answer: [`BODY_TIMEOUT`] and as much again
/// for the work. 504.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The same for one with a large body: it may wait twice.
pub const LARGE_REQUEST_TIMEOUT: Duration = REQUEST_TIMEOUT
    .saturating_add(LARGE_ADMISSION_WAIT)
    .saturating_add(LARGE_ADMISSION_WAIT);

/// How long a request waits for its share of the bodies in flight, or for its turn of a costly
/// check. 503.
pub const ADMISSION_WAIT: Duration = Duration::from_secs(5);

/// The same for one with a large body (above [`SMALL_BODY_BYTES`]), whose bytes meanwhile wait on
/// the client's side: a check of a package of 30 MiB takes a second or two, so that some sixty that
/// come at once are all answered.
pub const LARGE_ADMISSION_WAIT: Duration = Duration::from_secs(120);

/// Memory that a body takes at most while it is worked on, in its own length: the body itself, and
/// what is decoded from it (base64 of a package holds three quarters of its length). Then the body
/// is dropped, before anything is unpacked or checked.
pub const WORKING_FACTOR: u64 = 2;

/// What a body gets before its first byte; then twice as much each time that it is full. An
/// ordinary entry fits, and the bodies of 1,500 connections that send nothing have what is kept for
/// small ones.
pub const BODY_STEP_BYTES: u64 = 4 * 1024;

/// Bodies up to this size are admitted from a share of their own, so that a few large or slow
/// uploads cannot keep ordinary entries (some 1 KiB, certificates included) out.
pub const SMALL_BODY_BYTES: u64 = 64 * 1024;

/// Part of all bytes in flight that is kept for small bodies: one in this many.
pub const SMALL_SHARE: u64 = 8;

/// A refused body is read and dropped up to this many times the body limit, so that a client that
/// writes before it reads gets to see the refusal; then the connection is closed.
pub const DISCARD_FACTOR: u64 = 2;

/// … and no longer than this.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that the server closes is read for this many bytes after its last answer: twice the
/// default limit of a body.
pub const LINGER_BYTES: u64 = 96 << 20;

/// … and no longer than this: a client reads the answer within it, and one that is silent keeps its
/// place for this long.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest request id taken over from a client; a longer one is cut.
pub const MAX_REQUEST_ID_BYTES: usize = 128;

/// Streams of an HTTP/2 connection at once: as many as gRPC clients expect at least. All streams
/// together take no more places than there are for requests.
pub const MAX_STREAMS: u32 = 100;

/// What an HTTP/2 stream keeps of an answer that its client does not take. One such answer is cut
/// off after [`WRITE_TIMEOUT`].
pub const STREAM_BUFFER_BYTES: usize = 64 * 1024;

/// What an HTTP/2 connection sends ahead of what is read: HTTP/2's own default, so that all
/// connections together have 256 MiB waiting at worst, as much as in HTTP/1.1's buffers.
pub const HTTP2_WINDOW_BYTES: u32 = 65_535;

/// Silence after which an HTTP/2 connection is asked whether its client is still there, and the
/// time for the answer.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// An HTTP/2 connection without a request for this long is told to end. Twice [`HEADER_TIMEOUT`],
/// since gRPC clients keep one connection for all that they do; they connect anew without losing a
/// request.
pub const HTTP2_IDLE: Duration = Duration::from_secs(20);

/// How long a connection without work that was told to end may take to confirm it: more than a
/// round trip around the world, and short enough that a stop of the server takes less than a
/// second.
pub const FAREWELL: Duration = Duration::from_millis(300);

/// An HTTP/2 connection older than this is told to end, as gRPC servers do, so that load spreads
/// again over several servers; its streams may finish.
pub const HTTP2_AGE: Duration = Duration::from_secs(300);

/// Pause after a failed accept (such as too many open files), so that the loop does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait in the kernel until they are accepted: the default of `max-connections`,
/// so that as many may come in one moment as are let in. The kernel takes no more than
/// `net.core.somaxconn`, 4,096 since Linux 5.4.
pub const BACKLOG: u32 = DEFAULT_CONNECTIONS as u32;

/// One of this many connections is not for requests at work. Such a connection is idle by
/// definition, so that the next client can have its place; twice as many as there are probes
/// ([`CONNECTIONS_PER_PROBE`]), which need no place for requests.
pub const CONNECTIONS_PER_SPARE: u64 = 32;

/// There is a place for one probe (`/healthz`, `/readyz`) in this many connections, beside the
/// places for requests.
pub const CONNECTIONS_PER_PROBE: u64 = 64;

/// Connections that an address which has all that it may have replaces within a second by new ones;
/// more are turned away. One costs some 0.1 ms (a task, and the preface of HTTP/2), so that this is
/// a fortieth of a core. An address with fewer connections gets new ones without a limit, and so does
/// a proxy that may have all of them.
pub const REPLACED_PER_SECOND: u32 = 256;

/// Connections to the metrics at once: scrapers, probes, and a curious operator. Idle ones make
/// room.
pub const METRICS_CONNECTIONS: usize = 64;

/// Bounds that an operator may move. The others are constants.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Larger request bodies get 413.
    pub body_bytes: u64,
    /// All request bodies being received or worked on and what is decoded from them, together.
    /// Requests wait for their share and get 503 when that takes too long. Raised to what one body
    /// of the largest size needs if it is set lower.
    pub body_bytes_in_flight: u64,
    /// Open connections. For one more the longest idle one is closed.
    pub connections: usize,
    /// Open connections from one IPv4 address or one /64 network of IPv6. For one more the longest
    /// idle one of that address is closed; if all are at work, the new one gets 503.
    pub connections_per_address: usize,
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
            stop_grace: DEFAULT_STOP_GRACE,
        }
    }
}
