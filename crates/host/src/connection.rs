//! One connection. It is HTTP/1.1, or HTTP/2 without TLS if it begins with HTTP/2's preface, which
//! gRPC needs.

use std::convert::Infallible;
use std::error::Error as _;
use std::io::{self, Cursor};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderValue, Request};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

use crate::connections::{AtWork, Closed, ConnectionPermit};
use crate::fair::Taken;
use crate::limits::{
    FAREWELL, HEADER_TIMEOUT, HTTP2_AGE, HTTP2_IDLE, HTTP2_WINDOW_BYTES, LARGE_REQUEST_TIMEOUT,
    LINGER_BYTES, LINGER_TIMEOUT, MAX_HEADER_BYTES, MAX_HEADERS, MAX_STREAMS, PING_INTERVAL,
    STREAM_BUFFER_BYTES, WRITE_TIMEOUT,
};
use crate::patience::Patient;
use crate::peer::Peer;
use crate::requests::Requests;
use crate::route::Endless;

/// The first bytes of an HTTP/2 client (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Longest time for the accepted requests of a connection that is being closed.
const LAST_REQUESTS: Duration = LARGE_REQUEST_TIMEOUT.saturating_add(WRITE_TIMEOUT);

/// State that the connections of one listener share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// The routes that they serve.
    pub(crate) router: Router,
    /// The places for their requests.
    pub(crate) requests: Arc<Requests>,
    /// Once cancelled, connections end when their accepted requests are answered.
    pub(crate) stop: CancellationToken,
}

/// Serves a connection to its end.
pub(crate) async fn serve(
    mut stream: TcpStream,
    peer: Peer,
    permit: ConnectionPermit,
    shared: Shared,
) -> hyper::Result<()> {
    // Answers are written whole; waiting to fill a segment would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let beginning = tokio::select! {
        beginning = timeout(HEADER_TIMEOUT, beginning(&mut stream)) => beginning,
        () = permit.evicted() => return Ok(()),
        () = shared.stop.cancelled() => return Ok(()),
    };
    let beginning = match beginning {
        Ok(Ok(beginning)) => beginning,
        Ok(Err(_)) => return Ok(()),
        Err(_) => {
            permit.closed(Closed::Idle);
            return Ok(());
        }
    };
    let is_http2 = beginning == PREFACE;
    let (read, write) = stream.into_split();
    let stream = tokio::io::join(Cursor::new(beginning).chain(read), write);
    let mut io = TokioIo::new(Patient::new(stream, WRITE_TIMEOUT));
    let client = Arc::new(Client {
        peer,
        permit: Arc::new(permit),
        shared,
        stalled: CancellationToken::new(),
    });
    let served = match is_http2 {
        true => serve_http2(io, &client).await,
        false => {
            let served = serve_http1(&mut io, &client).await;
            if served.as_ref().err().is_none_or(hyper::Error::is_parse) {
                linger(io.inner_mut(), &client).await;
            }
            served
        }
    };
    if let Err(error) = &served {
        count(error, &client.permit);
    }
    served
}

/// Reads on after the last answer. If bytes arrive at a closed socket, the system resets the
/// connection, and the reset can destroy an answer that the client has not read (RFC 9112 section
/// 9.6). It happens with a client or proxy that announces `Expect: 100-continue` and sends its body
/// all the same.
async fn linger(stream: &mut (impl AsyncRead + Unpin), client: &Client) {
    let mut rest = stream.take(LINGER_BYTES);
    let mut sink = tokio::io::sink();
    tokio::select! {
        // The connection is closed after it in any case.
        _ = timeout(LINGER_TIMEOUT, tokio::io::copy(&mut rest, &mut sink)) => {}
        () = client.permit.evicted() => {}
        () = client.shared.stop.cancelled() => {}
    }
}

/// Counts a connection that was closed for its client's silence.
fn count(error: &hyper::Error, permit: &ConnectionPermit) {
    let io = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    if error.is_timeout() {
        permit.closed(Closed::Idle);
    } else if io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
        permit.closed(Closed::Stalled);
    }
}

/// Reads the first bytes, as few as are needed to tell the protocol.
async fn beginning(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = [0; PREFACE.len()];
    let mut length = 0;
    while length < PREFACE.len() && PREFACE.starts_with(&bytes[..length]) {
        match stream.read(&mut bytes[length..]).await? {
            0 => break,
            read => length += read,
        }
    }
    Ok(bytes[..length].to_vec())
}

/// Serves HTTP/1.1, and finally shuts down the writing half.
async fn serve_http1<S>(io: &mut TokioIo<S>, client: &Arc<Client>) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = |request| Arc::clone(client).answer(request, None);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(io, service_fn(answer));
    let ends = async {
        tokio::select! {
            () = client.permit.evicted() => End::AtOnce,
            () = client.shared.stop.cancelled() => End::AfterRequests,
        }
    };
    run(
        pin!(connection),
        ends,
        http1::Connection::graceful_shutdown,
        &client.permit,
    )
    .await
}

async fn serve_http2<S>(io: TokioIo<S>, client: &Arc<Client>) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let Client {
        permit,
        shared,
        stalled,
        ..
    } = &**client;
    let answering = Arc::clone(client);
    let answer = move |request| Arc::clone(&answering).answer(request, Some(WRITE_TIMEOUT));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .initial_connection_window_size(HTTP2_WINDOW_BYTES)
        .initial_stream_window_size(HTTP2_WINDOW_BYTES)
        .max_send_buf_size(STREAM_BUFFER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .serve_connection(io, service_fn(answer));
    let ends = async {
        tokio::select! {
            () = permit.evicted() => return End::AtOnce,
            () = shared.stop.cancelled() => return End::AfterRequests,
            () = permit.idle_for(HTTP2_IDLE) => permit.closed(Closed::Idle),
            () = sleep(HTTP2_AGE) => permit.closed(Closed::Age),
            () = stalled.cancelled() => return End::AtOnce,
        }
        End::AfterRequests
    };
    let connection = pin!(connection);
    tokio::select! {
        ended = run(connection, ends, http2::Connection::graceful_shutdown, permit) => ended,
        () = stalled.cancelled() => {
            permit.closed(Closed::Stalled);
            Ok(())
        }
    }
}

/// How the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Requests at work are cut off.
    AtOnce,
    /// Accepted requests are answered.
    AfterRequests,
}

/// Runs a connection until it ends, or until `ends` is ready and no request is at work.
async fn run<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    ends: impl Future<Output = End>,
    graceful_shutdown: impl FnOnce(Pin<&mut C>),
    permit: &ConnectionPermit,
) -> hyper::Result<()> {
    let end = tokio::select! {
        ended = &mut connection => return ended,
        end = ends => end,
    };
    graceful_shutdown(connection.as_mut());
    let farewell = async {
        if end == End::AfterRequests {
            // A silent client does not confirm the end of an HTTP/2 connection.
            let _: Result<(), _> = timeout(LAST_REQUESTS, permit.idle_for(FAREWELL)).await;
        }
    };
    tokio::select! {
        // The connection is polled at least once, because that writes the farewell.
        biased;
        ended = connection => ended,
        () = farewell => Ok(()),
    }
}

/// The client of one connection.
struct Client {
    peer: Peer,
    permit: Arc<ConnectionPermit>,
    shared: Shared,
    /// Ends the connection.
    stalled: CancellationToken,
}

impl Client {
    /// Answers a request. Over HTTP/2 the client must receive the answer within `patience`.
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        patience: Option<Duration>,
    ) -> Result<Response, Infallible> {
        let mut response = match self
            .shared
            .requests
            .admit(&request, self.permit.address())
            .await
        {
            Ok(admitted) => self.answer_admitted(request, admitted, patience).await?,
            Err(error) => error.into_response(),
        };
        response
            .headers_mut()
            .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Ok(response)
    }

    async fn answer_admitted(
        &self,
        request: Request<Incoming>,
        admitted: Taken,
        patience: Option<Duration>,
    ) -> Result<Response, Infallible> {
        let held = Arc::new(Held {
            _admitted: admitted,
            _at_work: self.permit.begin_request(),
        });
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        let answer = self.shared.router.clone().oneshot(request).await?;
        let stalled = &self.stalled;
        let taking = match patience {
            None => Taking::Untimed,
            Some(patience) if answer.extensions().get::<Endless>().is_some() => Taking::Pieces {
                patience,
                stalled: stalled.clone(),
                piece: None,
            },
            Some(patience) => Taking::Whole {
                _answer: stall_after(patience, stalled.clone()),
            },
        };
        Ok(answer.map(|body| Body::new(Placed { body, held, taking })))
    }
}

/// Ends the connection unless the return value is dropped in time. Flow control may hold an answer
/// back although the connection accepts bytes. Then nothing polls its body.
fn stall_after(patience: Duration, stalled: CancellationToken) -> DropGuard {
    let taken = CancellationToken::new();
    let guard = taken.clone().drop_guard();
    tokio::spawn(async move {
        if taken.run_until_cancelled(sleep(patience)).await.is_some() {
            stalled.cancel();
        }
    });
    guard
}

/// The places that a request holds until its answer is sent.
struct Held {
    _admitted: Taken,
    _at_work: AtWork,
}

/// The body of an answer.
struct Placed {
    body: Body,
    held: Arc<Held>,
    taking: Taking,
}

/// What the client must take in time.
enum Taking {
    /// The connection itself is timed.
    Untimed,
    /// All of the answer.
    Whole { _answer: DropGuard },
    /// Each piece. A piece was taken when the next one is asked for.
    Pieces {
        patience: Duration,
        stalled: CancellationToken,
        piece: Option<DropGuard>,
    },
}

impl Taking {
    fn piece_taken(&mut self) {
        if let Self::Pieces { piece, .. } = self {
            *piece = None;
        }
    }

    fn piece_given(&mut self) {
        if let Self::Pieces {
            patience,
            stalled,
            piece,
        } = self
        {
            *piece = Some(stall_after(*patience, stalled.clone()));
        }
    }
}

/// A piece of an answer. It may wait to be written long after the body ended.
struct Piece {
    bytes: Bytes,
    _held: Arc<Held>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Placed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.taking.piece_taken();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_some() {
            self.taking.piece_given();
        }
        let hold = |bytes| {
            Bytes::from_owner(Piece {
                bytes,
                _held: Arc::clone(&self.held),
            })
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(hold))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_piece_of_an_endless_answer_is_timed_alone() {
        let stalled = CancellationToken::new();
        let mut taking = Taking::Pieces {
            patience: WRITE_TIMEOUT,
            stalled: stalled.clone(),
            piece: None,
        };
        for _ in 0..5 {
            taking.piece_given();
            sleep(WRITE_TIMEOUT / 2).await;
            taking.piece_taken();
            // Nothing happens for a long time.
            sleep(3 * WRITE_TIMEOUT).await;
        }
        assert!(!stalled.is_cancelled());
        taking.piece_given();
        sleep(WRITE_TIMEOUT + Duration::from_secs(1)).await;
        assert!(stalled.is_cancelled(), "nobody takes it");
    }
}
