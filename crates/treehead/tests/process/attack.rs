//! The other side of `stands.rs`: clients that mean harm, all from one address, in a process of
//! their own with as many open files as it may have.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// Where they come from.
const ADDRESS: &str = "127.0.0.2:0";

/// What a client does that was closed on: it comes again after this.
const AGAIN: Duration = Duration::from_secs(2);

/// Between two bytes of the slow ones.
const DRIP: Duration = Duration::from_secs(4);

/// An attack ends by itself if nobody ends it.
const LONGEST: Duration = Duration::from_secs(300);

/// Names the attacks for the other process, and the server.
const VARIABLE: &str = "TREEHEAD_TEST_ATTACK";

/// What that process says when it has begun.
const BEGUN: &str = "attacking";

/// An attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attack {
    /// Connections of HTTP/2 that only answer pings.
    SilentHttp2,
    /// Connections that send nothing.
    Idle,
    /// Bodies of a declared length, a byte at a time.
    SlowBodies,
    /// The same in chunks.
    SlowChunks,
    /// Searches without a result.
    Searches,
}

impl Attack {
    pub(crate) const ALL: [Self; 5] = [
        Self::SilentHttp2,
        Self::Idle,
        Self::SlowBodies,
        Self::SlowChunks,
        Self::Searches,
    ];

    /// How many clients attack at once.
    fn clients(self) -> usize {
        match self {
            Self::SilentHttp2 => 4_600,
            Self::Idle => 5_000,
            Self::SlowBodies => 500,
            Self::SlowChunks => 6,
            Self::Searches => 100,
        }
    }

    async fn once(self, stream: &mut TcpStream) -> std::io::Result<()> {
        let post =
            "POST /api/v1/log/entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        match self {
            Self::SilentHttp2 => answer_pings(stream).await,
            Self::Idle => drain(stream).await,
            Self::SlowBodies => {
                drip(stream, &format!("{post}Content-Length: 65536\r\n\r\n"), " ").await
            }
            Self::SlowChunks => {
                drip(
                    stream,
                    &format!("{post}Transfer-Encoding: chunked\r\n\r\n"),
                    "1\r\n \r\n",
                )
                .await
            }
            Self::Searches => search(stream).await,
        }
    }
}

/// Attacks that go on until it is dropped.
pub(crate) struct Attackers(Child);

impl Attackers {
    /// Starts them and waits until all their clients have begun.
    pub(crate) fn start(attacks: &[Attack], server: SocketAddr) -> Self {
        let names: Vec<String> = attacks.iter().map(|attack| format!("{attack:?}")).collect();
        // Elsewhere they would have processors of their own, so here they get what the server
        // leaves.
        let mut child = with_many_files(Path::new("nice"))
            .args(["-n", "19"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "attack::attack", "--ignored", "--nocapture"])
            .env(VARIABLE, format!("{} {server}", names.join(",")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines.any(|line| line.unwrap().contains(BEGUN)),
            "they have begun"
        );
        Self(child)
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A command with as many open files as this process may give it.
pub(crate) fn with_many_files(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" \"$@\""])
        .arg(program);
    command
}

#[test]
#[ignore = "the process that attacks: started by the tests of stands.rs"]
fn attack() {
    let Ok(asked) = std::env::var(VARIABLE) else {
        return;
    };
    let (names, server) = asked.split_once(' ').unwrap();
    let server: SocketAddr = server.parse().unwrap();
    let attacks = Attack::ALL
        .into_iter()
        .filter(|attack| names.split(',').any(|name| name == format!("{attack:?}")));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for attack in attacks {
            let first: Vec<_> = (0..attack.clients())
                .map(|_| tokio::spawn(client(attack, server)))
                .collect();
            // Each has connected once, or was turned away.
            for begun in first {
                begun.await.unwrap();
            }
        }
        println!("{BEGUN}");
        sleep(LONGEST).await;
    });
}

/// Connects, and goes on by itself.
async fn client(attack: Attack, server: SocketAddr) {
    let mut connected = connect(server).await;
    tokio::spawn(async move {
        loop {
            if let Ok(stream) = &mut connected {
                // How it ends is the server's business.
                drop(attack.once(stream).await);
            }
            if attack != Attack::Searches || connected.is_err() {
                sleep(AGAIN).await;
            }
            connected = connect(server).await;
        }
    });
}

async fn connect(server: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(ADDRESS.parse().unwrap())?;
    timeout(DRIP, socket.connect(server)).await?
}

async fn drain(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

/// Reads until the server closes; sends a piece now and then meanwhile.
async fn drip(stream: &mut TcpStream, head: &str, piece: &str) -> std::io::Result<()> {
    stream.write_all(head.as_bytes()).await?;
    loop {
        stream.write_all(piece.as_bytes()).await?;
        if let Ok(ended) = timeout(DRIP, drain(stream)).await {
            return ended;
        }
    }
}

/// The handshake of HTTP/2, and then nothing but answers to pings.
async fn answer_pings(stream: &mut TcpStream) -> std::io::Result<()> {
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        if flags == 0 && kind == SETTINGS {
            stream
                .write_all(&[0, 0, 0, SETTINGS, 1, 0, 0, 0, 0])
                .await?;
        } else if flags == 0 && kind == PING {
            stream
                .write_all(&[&[0, 0, 8, PING, 1, 0, 0, 0, 0], &payload[..]].concat())
                .await?;
        }
    }
}

async fn search(stream: &mut TcpStream) -> std::io::Result<()> {
    let target =
        "/api/v1/index/search?kind=dsse&issuer=https://token.actions.githubusercontent.com";
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    drain(stream).await
}
