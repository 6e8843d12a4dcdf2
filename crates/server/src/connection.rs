//! One connection: HTTP/1.1 or, where it begins with HTTP/2's preface, HTTP/2 without TLS, which gRPC needs.

use std::convert::Infallible;
use std::io::{self, Cursor};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

use crate::errors::ApiError;
use crate::limits::{
    ADMISSION_WAIT, HEADER_TIMEOUT, HTTP2_AGE, HTTP2_WINDOW_BYTES, LARGE_REQUEST_TIMEOUT, MAX_HEADER_BYTES,
    MAX_HEADERS, MAX_STREAMS, PING_INTERVAL, STREAM_BUFFER_BYTES, WRITE_TIMEOUT,
};
use crate::metrics::Refused;
use crate::observe::Peer;
use crate::patience::Patient;

/// What an HTTP/2 client sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the connections of one listener share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// What they serve.
    pub(crate) router: Router,
    /// Places for HTTP/2 streams. A connection of HTTP/1.1 is one place of the listener; a stream is as much work.
    pub(crate) streams: Arc<Semaphore>,
    /// Once cancelled, connections end when what they accepted is answered.
    pub(crate) stop: CancellationToken,
}

/// Serves a connection to its end.
pub(crate) async fn serve(mut stream: TcpStream, peer: Peer, shared: Shared) -> hyper::Result<()> {
    // Answers are written whole; waiting to fill a segment would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let beginning = shared.stop.run_until_cancelled(timeout(HEADER_TIMEOUT, beginning(&mut stream))).await;
    // Silence, a reset, or a stop before the first byte.
    let Some(Ok(Ok(beginning))) = beginning else { return Ok(()) };
    let is_http2 = beginning == PREFACE;
    let (read, write) = stream.into_split();
    let stream = tokio::io::join(Cursor::new(beginning).chain(read), write);
    let io = TokioIo::new(Patient::new(stream, WRITE_TIMEOUT));
    match is_http2 {
        true => serve_http2(io, peer, shared).await,
        false => serve_http1(io, peer, shared).await,
    }
}

/// The first bytes, as few as tell the protocol.
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

async fn serve_http1<S>(io: TokioIo<S>, peer: Peer, shared: Shared) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(io, TowerToHyperService::new(service(peer, shared.router)));
    let mut connection = pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = shared.stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

async fn serve_http2<S>(io: TokioIo<S>, peer: Peer, shared: Shared) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let Shared { router, streams, stop } = shared;
    let stalled = CancellationToken::new();
    let places = Places { streams, stalled: stalled.clone() };
    let service = service(peer, router);
    let service = tower::service_fn(move |request| places.clone().answer(service.clone(), request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .initial_connection_window_size(HTTP2_WINDOW_BYTES)
        .initial_stream_window_size(HTTP2_WINDOW_BYTES)
        .max_send_buf_size(STREAM_BUFFER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .serve_connection(io, TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = stop.cancelled() => {}
        () = sleep(HTTP2_AGE) => {}
        () = stalled.cancelled() => return Ok(()),
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => ended,
        () = sleep(LARGE_REQUEST_TIMEOUT + WRITE_TIMEOUT) => Ok(()),
        () = stalled.cancelled() => Ok(()),
    }
}

fn service(
    peer: Peer,
    router: Router,
) -> impl tower::Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone {
    router.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        request
    })
}

/// What bounds the streams of an HTTP/2 connection.
#[derive(Clone)]
struct Places {
    streams: Arc<Semaphore>,
    /// Ends the connection.
    stalled: CancellationToken,
}

impl Places {
    async fn answer<S>(self, service: S, request: Request<Incoming>) -> Result<Response, Infallible>
    where
        S: tower::Service<Request<Incoming>, Response = Response, Error = Infallible>,
    {
        let Ok(Ok(place)) = timeout(ADMISSION_WAIT, self.streams.acquire_owned()).await else {
            let seconds = ADMISSION_WAIT.as_secs();
            return Ok(ApiError::unavailable(Refused::Streams, "too many streams at once", seconds).into_response());
        };
        let answer = service.oneshot(request).await?;
        // Flow control may hold an answer back although the connection takes bytes: nobody polls its body then.
        let taken = CancellationToken::new();
        let guard = taken.clone().drop_guard();
        tokio::spawn(async move {
            if taken.run_until_cancelled(sleep(WRITE_TIMEOUT)).await.is_some() {
                self.stalled.cancel();
            }
        });
        Ok(answer.map(|body| Body::new(Placed { body, _place: place, _taken: guard })))
    }
}

/// The body of an answer, with what is given back when it was sent.
struct Placed {
    body: Body,
    _place: OwnedSemaphorePermit,
    _taken: DropGuard,
}

impl HttpBody for Placed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
