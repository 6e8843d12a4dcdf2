//! E-mail through an SMTP relay.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::http::is_this_machine;
use super::section::{EmailSection, RelayTls};
use super::{SendError, read_secret};
use crate::notice::Notice;

/// Longest wait for the relay at each step.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Receivers of one e-mail; a list of the mail server takes more.
const MAX_RECEIVERS: usize = 50;

type Relay = AsyncSmtpTransport<Tokio1Executor>;

/// A relay, and who gets the e-mail.
#[derive(Debug)]
pub(super) struct Email {
    relay: Relay,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    pub(super) fn new(section: &EmailSection) -> Result<Self, String> {
        let to: Result<Vec<Mailbox>, String> = section.to.iter().map(|to| mailbox(to)).collect();
        let to = to?;
        if !(1..=MAX_RECEIVERS).contains(&to.len()) {
            return Err(format!("`to` has 1 to {MAX_RECEIVERS} addresses"));
        }
        Ok(Self {
            relay: relay(section)?,
            from: mailbox(&section.from)?,
            to,
        })
    }

    /// Hands an e-mail to the relay, which from then on is responsible for it.
    pub(super) async fn send(&self, notice: &Notice) -> Result<(), SendError> {
        let message = self.message(notice);
        let message = message.map_err(|error| SendError::Refused(format!("no e-mail: {error}")))?;
        let sent = self.relay.send(message).await;
        sent.map(drop).map_err(|error| {
            let reason = format!("the relay: {error}");
            match is_refusal(&error) {
                true => SendError::Refused(reason),
                false => SendError::Failed(reason),
            }
        })
    }

    fn message(&self, notice: &Notice) -> Result<Message, lettre::error::Error> {
        let repeated = if notice.repeated { "[repeated] " } else { "" };
        let subject = format!("{repeated}{}: {}", notice.log, notice.reason());
        let mut builder: MessageBuilder = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            // The same for each repetition, so that mail programs know it again.
            .message_id(Some(format!("<{}@treehead>", notice.id)))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        builder.body(format!("{}\n\n{}\n", notice.text(), pretty(notice)))
    }
}

/// Whether the relay does not take the e-mail for good. That it wants encryption or another
/// password says nothing about the e-mail.
fn is_refusal(error: &smtp::Error) -> bool {
    let status = error.status().map(u16::from);
    error.is_permanent() && !matches!(status, Some(530 | 534 | 535 | 538))
}

fn pretty(notice: &Notice) -> String {
    // A notice has no map with other keys than texts, so that it always has a JSON form.
    serde_json::to_string_pretty(notice).unwrap_or_default()
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse()
        .map_err(|error| format!("{text:?} is no e-mail address: {error}"))
}

fn relay(section: &EmailSection) -> Result<Relay, String> {
    let host = &*section.relay;
    let builder = match section.tls {
        RelayTls::Starttls => Relay::starttls_relay(host),
        RelayTls::Implicit => Relay::relay(host),
        RelayTls::None if is_this_machine(host) => Ok(Relay::builder_dangerous(host)),
        RelayTls::None => {
            return Err(format!(
                "the relay {host} is another machine, to which e-mail goes with tls = \"starttls\" or \"implicit\""
            ));
        }
    };
    let mut builder = builder.map_err(|error| format!("the relay {host}: {error}"))?;
    builder = builder.timeout(Some(TIMEOUT));
    if let Some(port) = section.port {
        builder = builder.port(port);
    }
    match (&section.user, &section.password_file) {
        (Some(user), Some(file)) => {
            let password = read_secret(file)?;
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        (None, None) => {}
        _ => return Err("`user` and `password-file` belong together".to_owned()),
    }
    Ok(builder.build())
}
