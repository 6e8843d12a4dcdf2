//! Channels as a configuration file has them.

use std::path::PathBuf;

use serde::Deserialize;

/// One `[[channel]]`. Its `name` is in logs and metrics, and the name of a file; it is the type
/// unless it is given.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ChannelSection {
    /// A line of text for each notice on the standard output.
    Text {
        /// The name of the channel.
        #[serde(default = "text")]
        name: String,
    },
    /// A line of JSON for each notice.
    Json {
        /// The name of the channel.
        #[serde(default = "json")]
        name: String,
        /// The file to append to, created if it is absent. Unset: the standard output.
        file: Option<PathBuf>,
    },
    /// A signed POST for each notice.
    Webhook(WebhookSection),
    /// An e-mail for each notice.
    Email(EmailSection),
}

/// A webhook as the Standard Webhooks specification has it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WebhookSection {
    /// The name of the channel.
    #[serde(default = "webhook")]
    pub name: String,
    /// Where notices are posted: an https URL, or an http URL of this machine.
    pub url: String,
    /// The file with the secret, `whsec_<base64>`. Several lines are several secrets, each of
    /// which signs, so that a secret can be changed without a gap.
    pub secret_file: PathBuf,
}

/// E-mail through an SMTP relay.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmailSection {
    /// The name of the channel.
    #[serde(default = "email")]
    pub name: String,
    /// The host name of the relay.
    pub relay: String,
    /// The port. Unset: 587 with `starttls`, 465 with `implicit`, 25 with `none`.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub tls: RelayTls,
    /// The user name. Unset: without authentication.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The sender, `treehead <treehead@example.com>`.
    pub from: String,
    /// The receivers.
    pub to: Vec<String>,
}

/// How a connection to a relay is encrypted.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum RelayTls {
    /// By STARTTLS, which the relay must have.
    #[default]
    Starttls,
    /// From the beginning.
    Implicit,
    /// Not at all: only for a relay on this machine.
    None,
}

impl ChannelSection {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Text { name } | Self::Json { name, .. } => name,
            Self::Webhook(section) => &section.name,
            Self::Email(section) => &section.name,
        }
    }
}

fn text() -> String {
    "text".to_owned()
}

fn json() -> String {
    "json".to_owned()
}

fn webhook() -> String {
    "webhook".to_owned()
}

fn email() -> String {
    "email".to_owned()
}
