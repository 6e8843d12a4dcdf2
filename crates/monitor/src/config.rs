//! The configuration file of the monitor.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Deserialize;

use crate::channels::ChannelSection;
use crate::rules::RuleSection;

/// Most logs that one monitor follows. Each takes some megabytes while it reads.
pub const MAX_LOGS: usize = 64;
/// Longest name of a log, which is also the name of a file.
const MAX_NAME: usize = 60;

/// The configuration file, in TOML or JSON.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Folder of what is remembered: heads, how far each log was read, notices on their way, and
    /// evidence. Created if it is absent.
    pub state: PathBuf,
    /// Seconds between two looks at a log. Default 60. A log that is away is asked less and less
    /// often, at most once an hour.
    #[serde(default = "minute")]
    pub interval_seconds: u64,
    /// Seconds after which a log that shows no newer head, or cannot be read, is an alarm. Default
    /// 86400, a day. 0: never.
    #[serde(default = "day")]
    pub stale_after_seconds: u64,
    /// Host and port of the metrics, and of the heads for other monitors. Unset: none.
    pub listen: Option<String>,
    /// URLs where heads are compared: `/heads` of another monitor, `/guard` of a treehead, or a
    /// checkpoint that witnesses cosigned.
    #[serde(default)]
    pub peers: Vec<String>,
    /// The logs.
    #[serde(rename = "log")]
    pub logs: Vec<LogSection>,
    /// File with further rules and channels: `[[rule]]` and `[[channel]]` sections in TOML or JSON,
    /// or the configuration of rekor-monitor in YAML.
    pub rules: Option<PathBuf>,
    /// Which entries are reported.
    #[serde(default, rename = "rule")]
    pub rule_sections: Vec<RuleSection>,
    /// Where notices go. Unset: to standard output, as text.
    #[serde(default, rename = "channel")]
    pub channels: Vec<ChannelSection>,
}

/// A log that is followed.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogSection {
    /// Its name in notices, metrics and the state folder.
    pub name: String,
    /// Its URL. Of a v2 log that was rotated a list: one URL for each tree, oldest first.
    pub url: Urls,
    /// How it is read: `v1` is the API of Rekor v1, `v2` are the tiles of Rekor v2 and C2SP.
    pub api: Api,
    /// Files with its public keys: trusted roots, PEM or vkeys. They are read again at each look,
    /// so that a key of the next tree can be added.
    #[serde(default)]
    pub trust: Vec<PathBuf>,
    /// Its public keys themselves, as the texts of such files.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Where the first look at a log begins: `newest` (the default) reports entries from then on,
    /// `oldest` reads the whole log first. Trees that come later are read from their beginning.
    #[serde(default)]
    pub start: Start,
}

/// One URL, or several.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Urls {
    /// One URL.
    One(String),
    /// One URL for each tree of a v2 log, oldest first.
    Several(Vec<String>),
}

/// How a log is read.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// The API of Rekor v1.
    V1,
    /// The tiles of Rekor v2 and C2SP.
    V2,
}

/// Where the first look at a log begins.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At the newest head.
    #[default]
    Newest,
    /// At the first entry of each tree.
    Oldest,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, or with a key that does not exist.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// Not JSON, or with a member that does not exist.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A value that cannot be used.
    #[error("{0}")]
    Value(String),
}

impl Config {
    /// Reads the text of a file: TOML, or JSON if it begins as an object, as a treehead hands it
    /// out at `/trust/monitor_config.json`.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn read(text: &str) -> Result<Self, ConfigError> {
        let config: Self = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text)?,
            false => toml::from_str(text)?,
        };
        config.check().map_err(ConfigError::Value)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if self.logs.is_empty() {
            return Err("there is no [[log]]".to_owned());
        }
        if self.logs.len() > MAX_LOGS {
            return Err(format!("more than {MAX_LOGS} logs"));
        }
        if self.interval_seconds == 0 {
            return Err("interval-seconds is 0".to_owned());
        }
        let mut names = HashSet::new();
        for log in &self.logs {
            let name = &log.name;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let is_name = !name.starts_with('.') && name.chars().all(is_plain);
            if name.is_empty() || name.len() > MAX_NAME || !is_name {
                return Err(format!(
                    "the name {name:?} of a log has other characters than letters, digits, dots, dashes and underscores, \
                     begins with a dot, or is longer than {MAX_NAME}"
                ));
            }
            if !names.insert(name) {
                return Err(format!("two logs are called {name}"));
            }
            log.check()
                .map_err(|fault| format!("log {name}: {fault}"))?;
        }
        let mut peers = self.peers.iter();
        match peers.find(|url| !is_url(url)) {
            Some(url) => Err(format!("{url:?} in peers is not an http or https URL")),
            None => Ok(()),
        }
    }
}

impl LogSection {
    fn check(&self) -> Result<(), String> {
        let urls = self.url.list();
        if self.trust.is_empty() && self.keys.is_empty() {
            return Err("neither trust nor keys has a key".to_owned());
        }
        if urls.is_empty() || self.api == Api::V1 && urls.len() > 1 {
            return Err("a v1 log has one URL, a v2 log one for each tree".to_owned());
        }
        match urls.iter().find(|url| !is_url(url)) {
            Some(url) => Err(format!("{url:?} is not an http or https URL")),
            None => Ok(()),
        }
    }
}

impl Urls {
    /// Returns the URLs, oldest tree first.
    pub fn list(&self) -> &[String] {
        match self {
            Self::One(url) => std::slice::from_ref(url),
            Self::Several(urls) => urls,
        }
    }
}

fn is_url(text: &str) -> bool {
    let url: Result<http::Uri, _> = text.parse();
    url.is_ok_and(|url| matches!(url.scheme_str(), Some("http" | "https")))
}

fn minute() -> u64 {
    60
}

fn day() -> u64 {
    86_400
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        state = "state"
        [[log]]
        name = "rekor"
        url = "https://log.example"
        api = "v1"
        trust = ["trusted_root.json"]
    "#;

    #[test]
    fn a_small_file_has_defaults() {
        let config = Config::read(SMALL).unwrap();
        assert_eq!(
            (config.interval_seconds, config.stale_after_seconds),
            (60, 86_400)
        );
        assert_eq!(config.logs[0].start, Start::Newest);
        let several = SMALL
            .replace("\"https://log.example\"", "[\"http://a\", \"http://b\"]")
            .replace("v1", "v2");
        assert_eq!(Config::read(&several).unwrap().logs[0].url.list().len(), 2);
    }

    #[test]
    fn a_file_may_be_json() {
        let json = r#"{"state": "s", "log": [{"name": "a", "url": ["https://a", "https://b"], "api": "v2", "keys": ["k"]}]}"#;
        assert_eq!(Config::read(json).unwrap().logs[0].keys, ["k"]);
        Config::read(&json.replace("keys", "key")).unwrap_err();
    }

    #[test]
    fn values_that_cannot_be_used_are_refused() {
        for (from, to) in [
            ("name = \"rekor\"", "name = \"../x\""),
            ("name = \"rekor\"", "name = \"\""),
            ("https://log.example", "log.example"),
            ("\"https://log.example\"", "[\"http://a\", \"http://b\"]"),
            ("[\"trusted_root.json\"]", "[]"),
            ("api = \"v1\"", "api = \"v3\""),
            ("api = \"v1\"", "api = \"v1\"\ntypo = 1"),
            (
                "state = \"state\"",
                "state = \"state\"\ninterval-seconds = 0",
            ),
            ("state = \"state\"", "state = \"state\"\npeers = [\"x\"]"),
            ("[[log]]", "[[logs]]"),
        ] {
            let text = SMALL.replace(from, to);
            assert_ne!(text, SMALL, "{from}");
            Config::read(&text).unwrap_err();
        }
        let twice = SMALL.replace(
            "[[log]]",
            "[[log]]\nname=\"rekor\"\nurl=\"http://x\"\napi=\"v2\"\ntrust=[\"t\"]\n[[log]]",
        );
        let error = Config::read(&twice).unwrap_err().to_string();
        assert!(error.contains("two logs"), "{error}");
    }
}
