//! Every bound of a host: constants, each with its derivation, and [`Limits`], which an operator
//! may change.

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

/// Read buffer of a connection. It bounds the request line and headers together (bytes that were
/// read beyond it with the last piece still count as within). 431. With 1,000,000 bytes, as many
/// servers allow, [`DEFAULT_CONNECTIONS`] would be 4 GB of headers.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Header lines of a request. 431.
pub const MAX_HEADERS: usize = 100;

/// From the last answer (or the connect) to the end of the next request's headers: bounds
/// slow headers too.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time in which a client sends a body. Waits of the server for memory do not count.
/// 408.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest pause between two pieces of a body, so that a stalled sender gives its share back soon.
/// 408.
pub const BODY_PAUSE: Duration = Duration::from_secs(5);

/// Least rate of a body in bytes a second, on average after [`BODY_GRACE`]. A client on a line of
/// 10 kbit/s can still send an entry. A client that sends a byte now and then is cut off after the
/// grace. 408.
pub const MIN_BODY_RATE: u64 = 1024;

/// Time in which no byte of a body need arrive: a packet that is lost twice arrives after a second
/// and a half.
pub const BODY_GRACE: Duration = Duration::from_secs(2);

/// Time from the first moment in which a client accepts no more of an answer to the end of that
/// answer. Bytes that it accepts meanwhile do not renew it: with a byte now and then it would hold
/// the room of an answer for ever.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time of a request with its body, without sending its answer: [`BODY_TIMEOUT`] and as
/// much again for the work. 504.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time of a request with a large body, which may wait twice.
pub const LARGE_REQUEST_TIMEOUT: Duration = REQUEST_TIMEOUT
    .saturating_add(LARGE_ADMISSION_WAIT)
    .saturating_add(LARGE_ADMISSION_WAIT);

/// How long a request waits for its share of the bodies in flight, or for its turn of a costly
/// check. 503.
pub const ADMISSION_WAIT: Duration = Duration::from_secs(5);

/// The same wait for a large body (above [`SMALL_BODY_BYTES`]), whose bytes meanwhile stay with the
/// client. A check of a package of 30 MiB takes a second or two, so some sixty that arrive at once
/// are all answered.
pub const LARGE_ADMISSION_WAIT: Duration = Duration::from_secs(120);

/// Most memory of a body during the work on it, in multiples of its length: the body itself, and
/// the value decoded from it (base64 of a package holds three quarters of its length). Then the
/// body is dropped, before anything is unpacked or checked.
pub const WORKING_FACTOR: u64 = 2;

/// Memory of a body before its first byte. It doubles each time that it is full. An ordinary entry
/// fits in the first step, and the memory for small bodies is enough for 1,500 connections that
/// send nothing.
pub const BODY_STEP_BYTES: u64 = 4 * 1024;

/// Bodies up to this size are admitted from a share of their own, so that a few large or slow
/// uploads cannot keep ordinary entries (some 1 KiB, certificates included) out.
pub const SMALL_BODY_BYTES: u64 = 64 * 1024;

/// One in this many of all bytes in flight is reserved for small bodies.
pub const SMALL_SHARE: u64 = 8;

/// A refused body is read and dropped up to this many times the body limit, so that a client that
/// writes before it reads receives the refusal. Then the connection is closed.
pub const DISCARD_FACTOR: u64 = 2;

/// Longest time in which a refused body is read and dropped.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that are read from a connection after its last answer before the server closes it: twice
/// the default limit of a body.
pub const LINGER_BYTES: u64 = 96 << 20;

/// Longest time for reading after the last answer. A client reads the answer within it, and a
/// silent client keeps its place for this long.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest request id that is accepted from a client. A longer one is cut.
pub const MAX_REQUEST_ID_BYTES: usize = 128;

/// Most streams of an HTTP/2 connection at once, the least that gRPC clients expect. All streams
/// together have no more places than there are for requests.
pub const MAX_STREAMS: u32 = 100;

/// Buffer of an HTTP/2 stream for an answer that its client does not accept. Such an answer is cut
/// off after [`WRITE_TIMEOUT`].
pub const STREAM_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes that an HTTP/2 client may send before they are read. It is HTTP/2's own default, so all
/// connections together have 256 MiB waiting at worst, as much as in HTTP/1.1's buffers.
pub const HTTP2_WINDOW_BYTES: u32 = 65_535;

/// Silence after which an HTTP/2 connection is pinged, and the time for the answer.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// An HTTP/2 connection without a request for this long is closed gracefully. It is twice
/// [`HEADER_TIMEOUT`], because gRPC clients use one connection for all their requests. They
/// reconnect without losing a request.
pub const HTTP2_IDLE: Duration = Duration::from_secs(20);

/// Time for a connection without work to confirm that it is being closed: more than a round trip
/// around the world, and short enough that a stop of the server takes less than a second.
pub const FAREWELL: Duration = Duration::from_millis(300);

/// An HTTP/2 connection older than this is closed gracefully, as gRPC servers do, so that load
/// spreads again over several servers. Its streams may finish.
pub const HTTP2_AGE: Duration = Duration::from_secs(300);

/// Pause after a failed accept (such as too many open files), so that the loop does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait in the kernel until they are accepted: the default of `max-connections`,
/// so that as many can arrive in one moment as may be open. The kernel allows no more than
/// `net.core.somaxconn`, 4,096 since Linux 5.4.
pub const BACKLOG: u32 = DEFAULT_CONNECTIONS as u32;

/// One in this many connections is not for requests at work. It is idle by definition, so the next
/// client can have its place. There are twice as many of them as of probes
/// ([`CONNECTIONS_PER_PROBE`]), which need no place for requests.
pub const CONNECTIONS_PER_SPARE: u64 = 32;

/// One in this many connections has a place for a probe (`/healthz`, `/readyz`), beside the places
/// for requests.
pub const CONNECTIONS_PER_PROBE: u64 = 64;

/// Connections that an address at its limit may replace by new ones within a second. Further new
/// ones are refused. Each costs some 0.1 ms (a task, and the preface of HTTP/2), so all of them
/// cost a fortieth of a core. An address below its limit may open connections at any rate, and so
/// may a proxy whose limit is that of all connections.
pub const REPLACED_PER_SECOND: u32 = 256;

/// Most connections to the metrics at once: scrapers, probes, and a curious operator. Idle ones are
/// closed for new ones.
pub const METRICS_CONNECTIONS: usize = 64;

/// Bounds that an operator may change. The others are constants.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Larger request bodies get 413.
    pub body_bytes: u64,
    /// Memory of all request bodies that are being received or worked on, with the values decoded
    /// from them. Requests wait for their share, and get 503 if that takes too long. A lower value
    /// is raised to what one body of the largest size needs.
    pub body_bytes_in_flight: u64,
    /// Most open connections. For one more the longest idle one is closed.
    pub connections: usize,
    /// Most open connections from one IPv4 address or one /64 network of IPv6. For one more the
    /// longest idle one of that address is closed. If all are at work, the new one gets 503.
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
