//! The ways in which notices reach somebody.

mod email;
mod http;
mod json_lines;
mod section;
mod webhook;

use std::collections::HashSet;
use std::io::Write;

use crate::notice::Notice;
use email::Email;
use json_lines::JsonLines;
use webhook::Webhook;

pub use section::{ChannelSection, EmailSection, RelayTls, WebhookSection};

/// Longest name of a channel, which is the name of a file.
const MAX_NAME_BYTES: usize = 64;

/// Channels that are ready to be sent through.
#[derive(Debug)]
pub struct Channels(pub(crate) Vec<Channel>);

/// One channel.
#[derive(Debug)]
pub(crate) struct Channel {
    /// Unique; also the name of the file of its progress.
    pub(crate) name: String,
    sender: Sender,
}

#[derive(Debug)]
enum Sender {
    Text,
    Json(JsonLines),
    Webhook(Box<Webhook>),
    Email(Box<Email>),
}

/// Why a notice was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    /// It may be delivered later. Perhaps it was delivered, and only the answer is lost.
    Failed(String),
    /// The receiver does not take this notice, and most likely never will. It may take others.
    Refused(String),
    /// The receiver does not want to be told any more.
    Gone(String),
}

/// Why a channel cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("channel {name:?}: {fault}")]
pub struct ChannelError {
    name: String,
    fault: String,
}

impl Channels {
    /// Prepares channels: reads the files with their secrets, and opens the files that they write.
    /// Without sections, notices go to the standard output as text.
    ///
    /// # Errors
    ///
    /// A channel is malformed, or one of its files cannot be used. The error names the channel.
    pub fn new(sections: &[ChannelSection]) -> Result<Self, ChannelError> {
        if sections.is_empty() {
            return Ok(Self::standard_output());
        }
        let mut names = HashSet::new();
        let mut channels = Vec::with_capacity(sections.len());
        for section in sections {
            let name = section.name().to_owned();
            let opened = match names.insert(name.clone()) {
                true => open(section),
                false => Err("another channel has the same name".to_owned()),
            };
            match opened {
                Ok(sender) => channels.push(Channel { name, sender }),
                Err(fault) => return Err(ChannelError { name, fault }),
            }
        }
        Ok(Self(channels))
    }

    fn standard_output() -> Self {
        Self(vec![Channel {
            name: "text".to_owned(),
            sender: Sender::Text,
        }])
    }
}

fn open(section: &ChannelSection) -> Result<Sender, String> {
    let name = section.name();
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty()
        || name.len() > MAX_NAME_BYTES
        || name.starts_with('.')
        || !name.bytes().all(is_allowed)
    {
        return Err(format!(
            "a name has 1 to {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.`"
        ));
    }
    Ok(match section {
        ChannelSection::Text { .. } => Sender::Text,
        ChannelSection::Json { file, .. } => Sender::Json(JsonLines::open(file.as_deref())?),
        ChannelSection::Webhook(section) => Sender::Webhook(Box::new(Webhook::new(section)?)),
        ChannelSection::Email(section) => Sender::Email(Box::new(Email::new(section)?)),
    })
}

impl Channel {
    /// Sends a notice. On success the receiver has it, and a file has it durably.
    pub(crate) async fn send(&self, notice: &Notice, now: i64) -> Result<(), SendError> {
        match &self.sender {
            Sender::Text => write_line(notice.text()).await,
            Sender::Json(lines) => lines.write(notice.json()).await,
            Sender::Webhook(webhook) => webhook.send(notice, now).await,
            Sender::Email(email) => email.send(notice).await,
        }
    }
}

/// Writes a line to the standard output.
async fn write_line(mut line: String) -> Result<(), SendError> {
    line.push('\n');
    in_background(move || {
        let mut output = std::io::stdout().lock();
        output.write_all(line.as_bytes())?;
        output.flush()
    })
    .await
}

/// Runs what may wait for a disk or a pipe.
async fn in_background(
    work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> Result<(), SendError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    let outcome = outcome.map_err(|error| SendError::Failed(error.to_string()))?;
    outcome.map_err(|error| SendError::Failed(error.to_string()))
}

/// Reads a file with a secret: text, without white space around it.
fn read_secret(file: &std::path::Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    match text.trim() {
        "" => Err(format!("{} is empty", file.display())),
        secret => Ok(secret.to_owned()),
    }
}
