//! A proxy between a store and its database that does what networks and poolers do.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of the options that a connection asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Options {
    Kept,
    /// As a pooler with `ignore_startup_parameters = options` does.
    Ignored,
}

/// Ends with its runtime.
pub(crate) struct Proxy {
    address: SocketAddr,
    /// How often all connections of that moment were frozen.
    freezes: watch::Sender<u32>,
}

impl Proxy {
    /// Starts a proxy in front of the server of a URL, and returns it with the URL that leads through
    /// it.
    pub(crate) async fn before(url: &str, options: Options) -> (Self, String) {
        let (front, path) = url.rsplit_once('/').unwrap();
        let (credentials, server) = front.rsplit_once('@').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            freezes: watch::Sender::new(0),
        };
        let url = format!("{credentials}@{}/{path}?sslmode=disable", proxy.address);
        tokio::spawn(accept(
            listener,
            Arc::from(server),
            options,
            proxy.freezes.clone(),
        ));
        (proxy, url)
    }

    /// From now on no answer comes through the connections that there are.
    pub(crate) fn freeze(&self) {
        self.freezes.send_modify(|freezes| *freezes += 1);
    }
}

async fn accept(
    listener: TcpListener,
    server: Arc<str>,
    options: Options,
    freezes: watch::Sender<u32>,
) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(&*server).await.unwrap();
        tokio::spawn(forward(client, server, options, freezes.subscribe()));
    }
}

/// Forwards until an end closes or the connection is frozen. A frozen one stays open.
async fn forward(
    client: TcpStream,
    server: TcpStream,
    options: Options,
    mut freezes: watch::Receiver<u32>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        start_up(&mut from_client, &mut to_server, options).await;
        let _ = copy(&mut from_client, &mut to_server).await;
        // Tells the server that the client has left.
        let _ = to_server.shutdown().await;
    };
    let answers = async {
        tokio::select! {
            biased;
            _ = freezes.changed() => std::future::pending().await,
            _ = copy(&mut from_server, &mut to_client) => {}
        }
        // Tells the client that the server has left.
        let _ = to_client.shutdown().await;
    };
    tokio::join!(requests, answers);
}

/// Forwards the first message: its length, the protocol, and names with their values.
async fn start_up(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    options: Options,
) {
    let length = from.read_u32().await.unwrap() as usize;
    let mut message = vec![0; length - 4];
    from.read_exact(&mut message).await.unwrap();
    let (protocol, rest) = message.split_at(4);
    let mut texts: Vec<&[u8]> = rest.split(|byte| *byte == 0).collect();
    if options == Options::Ignored
        && let Some(place) = texts.iter().position(|text| *text == b"options")
    {
        texts.drain(place..place + 2);
    }
    let rest = texts.join(&0);
    to.write_u32(u32::try_from(8 + rest.len()).unwrap())
        .await
        .unwrap();
    to.write_all(protocol).await.unwrap();
    to.write_all(&rest).await.unwrap();
}
