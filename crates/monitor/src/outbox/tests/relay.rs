//! A small SMTP relay, which refuses the first e-mail for now.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Relay {
    pub(super) port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    /// The accepted e-mails, each with the commands before it.
    pub(super) fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }
}

pub(super) async fn relay() -> Relay {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mails = Arc::new(Mutex::new(Vec::new()));
    let relay = Relay {
        port: listener.local_addr().unwrap().port(),
        mails: Arc::clone(&mails),
    };
    tokio::spawn(async move {
        let mut refusals = 1;
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let reply = match refusals {
                0 => "250 accepted",
                _ => "451 later",
            };
            refusals = 0;
            if let Some(mail) = talk(stream, reply).await {
                mails.lock().unwrap().push(mail);
            }
        }
    });
    relay
}

/// Talks to one client; replies to its e-mail so.
async fn talk(stream: TcpStream, reply: &str) -> Option<String> {
    let mut stream = BufReader::new(stream);
    let mut mail = String::new();
    let mut is_data = false;
    say(&mut stream, "220 relay").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        mail += &line;
        let command = line.trim_end();
        match command {
            "." => {
                say(&mut stream, reply).await?;
                if reply.starts_with("250") {
                    return Some(mail);
                }
                is_data = false;
            }
            _ if is_data => {}
            "DATA" => {
                is_data = true;
                say(&mut stream, "354 go on").await?;
            }
            "QUIT" => say(&mut stream, "221 bye").await?,
            _ => say(&mut stream, "250 ok").await?,
        }
    }
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> Option<()> {
    let line = format!("{line}\r\n");
    stream.get_mut().write_all(line.as_bytes()).await.ok()
}
