//! The one configuration, whatever its source: a flag goes before the environment, that before the file, that before the
//! default.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use server::trust::{Others, PublicUrl, PublicUrlError, TrustSettings};

use crate::database_url::DatabaseUrl;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::logging;

/// Everything that can be set. Each field is a key of the TOML file; the flag is `--` and the same name, the environment
/// variable is `TREEHEAD_` and the name in capitals with `_` for `-`. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Where the API is served, as address and port. Port 0 takes a free one; the one taken is printed. The server speaks
    /// plain HTTP: put a TLS proxy before it, and let nothing but that proxy reach it, where clients are on other machines.
    pub listen: SocketAddr,

    /// Where Prometheus metrics are served (`/metrics`). A listener of its own, so that no proxy rule can leak it.
    pub metrics_listen: SocketAddr,

    /// The folder for the SQLite database (unless `database` names another), the log key (unless `key` names another file)
    /// and the lock that keeps two servers off one SQLite database. Made with mode 0700 if it is absent. A relative path is
    /// relative to the working directory.
    pub data_dir: PathBuf,

    /// `postgres://user@host/database`: the Postgres database that holds the log. It is migrated under a lock, so several
    /// servers may start at once. None keeps the log in SQLite in the data folder. A URL with a password is better kept in a
    /// file of its own, see `database-file`; it is never printed or logged with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseUrl>,

    /// A file whose first line is the database URL, for secrets that are handed over as files (systemd credentials,
    /// Kubernetes secrets). Not together with `database`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_file: Option<PathBuf>,

    /// The name of the log, given once, when it is made: it is in every checkpoint and never changes. Use the host name that
    /// clients will use, such as `log.example.org`. None makes a log called `localhost`, for trying things out. Later it may be
    /// left out; when it is given it MUST be the stored one, or the server does not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// The file of the log's private key: ECDSA P-256 as PKCS#8 PEM, readable by nobody else. It is made at the first start of
    /// a new log, and never overwritten. None means `log-key.pem` in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,

    /// The folder of further log keys: files that end in `.pem`, like `key`. `treehead rotate` puts the next key there, and a
    /// server looks into it while a rotation waits. None means `keys` in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_dir: Option<PathBuf>,

    /// The file of a second private key of the log: Ed25519 as PKCS#8 PEM. It adds a second line to the v2 checkpoint, which
    /// C2SP witnesses ask for. It is given when the log is made, and made then if the file does not exist; a log that was made
    /// with one needs it ever after, and one that was made without it never takes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ed25519_key: Option<PathBuf>,

    /// The file of the witness policy (C2SP tlog-policy). With it no head of the log is shown before the witnesses of the
    /// quorum have cosigned it; when they do not, writes get 503 after 10 s. A log that was once published with witnesses needs
    /// a policy ever after; one with `quorum none` asks nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness_policy: Option<PathBuf>,

    /// After how many seconds a head is published although its quorum did not cosign it ("fail open"), 1 to 10. None means
    /// never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness_fail_open_seconds: Option<u64>,

    /// The APIs by which the log takes entries, given once, when it is made: `v1`, `v2` or `both`. A log for `v1` alone takes
    /// entries of up to 1 MiB, and has no tiles; one for `v2` alone is for readers of tiles, such as stock monitors, that cannot
    /// parse the kinds of v1. None makes a log for both. Later it may be left out; when it is given it MUST be the stored one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apis: Option<Apis>,

    /// Largest request body in bytes. Larger ones get 413 with this number in the message. The default is 48 MiB: base64 of a
    /// package of some 35 MB.
    pub max_body_bytes: u64,

    /// All request bodies that are being received or worked on and what is decoded from them (together twice their length), in
    /// bytes: this bounds memory whatever arrives at once. Requests wait for their share, and get 503 when that takes too long.
    /// At least what one body of the largest size needs.
    pub max_body_bytes_in_flight: u64,

    /// Attestations (the payload of an `intoto` entry, the message of a `cose` entry) of up to this many bytes are kept beside
    /// their entry and shown with it. Larger ones are neither kept nor shown; their entries go in all the same. The default is
    /// Rekor's, 100 KiB. 0 keeps and shows none. At most 1 MiB.
    pub max_attestation_bytes: u64,

    /// Open connections to the API. More wait in the kernel's queue.
    pub max_connections: usize,

    /// The signing algorithms of clients that are admitted, by Rekor's names and with Rekor's default. What is logged already
    /// stays, and can be looked up.
    pub client_signing_algorithms: Vec<String>,

    /// Where clients reach this log: `https://log.example.org`, with a port if it is not the usual one, without a path. It is what
    /// the trust material (`/trust/…`, `treehead trust export`) says. None means `https://` and the log's name; for the name
    /// `localhost`, `http://localhost` and the port of `listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,

    /// A `trusted_root.json` with what others run: certificate authorities, their transparency logs, time-stamp authorities. This
    /// log's trees are added to it. `cosign trusted-root create` makes one. Read at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_root_base: Option<PathBuf>,

    /// A `signing_config.v0.2.json` with the URLs of those services and of an identity provider. This log becomes its Rekor.
    /// `cosign signing-config create` makes one. Where it names a time-stamp authority, clients are sent to the v2 API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_config_base: Option<PathBuf>,

    /// The kinds of entries that are taken in, by Rekor's names, such as `hashedrekord`. None takes all. What is logged already
    /// stays, and can be looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled_entry_types: Option<Vec<String>>,

    /// The operations of the APIs that are served, by the `operationId`s of the OpenAPI document, v1, v2 with gRPC, tiles and
    /// trust material alike. None serves all; the others are answered with 501. The documents and the probes are always served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled_api_endpoints: Option<Vec<String>>,

    /// Whether this server refuses every write, by whichever API it comes. It is a setting of the server and not of the log:
    /// other servers may write to the same database. Reads go on; what they show is signed where that was missing. No log is
    /// made.
    pub read_only: bool,

    /// Whether anybody may read this log. Then web pages of all origins may read it through a browser, as from Rekor, and caches
    /// that several clients share may keep tiles. It opens nothing: who reaches the server is a matter of the network.
    pub public: bool,

    /// The origins of web pages, such as `https://search.example.org`, that may read this log and write to it through a browser.
    /// A browser that writes for any other page is answered with 403.
    pub cors_origins: Vec<String>,

    /// How each API answers an entry that the log has already: `conflict` is 409 that says where it is, `stored` is 201 with the
    /// stored entry and a fresh proof. By default v1 answers as Rekor v1 does, and v2 with the stored entry, because a client of
    /// v2 that timed out and tries again has no other way to its proof.
    pub duplicates: Duplicates,

    /// How many seconds a stop (SIGTERM, SIGINT) waits for requests that were accepted. A service manager's own limit must be
    /// longer. A second signal ends the process at once.
    pub stop_grace_seconds: u64,

    /// How log lines look on stderr: `text` for people, `json` for machines (one object a line).
    pub log_format: LogFormat,

    /// What is logged: `error`, `warn`, `info`, `debug`, `trace` or `off`, or a list such as `info,sqlx=warn` that sets single parts.
    pub log_level: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
            metrics_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_METRICS_PORT),
            data_dir: PathBuf::from("./treehead-data"),
            database: None,
            database_file: None,
            name: None,
            key: None,
            key_dir: None,
            ed25519_key: None,
            witness_policy: None,
            witness_fail_open_seconds: None,
            apis: None,
            max_body_bytes: server::settings::DEFAULT_BODY_BYTES,
            max_body_bytes_in_flight: server::settings::DEFAULT_BODY_BYTES_IN_FLIGHT,
            max_attestation_bytes: server::settings::DEFAULT_ATTESTATION_BYTES,
            max_connections: server::settings::DEFAULT_CONNECTIONS,
            client_signing_algorithms: entry::DEFAULT_ALGORITHMS.map(str::to_owned).to_vec(),
            public_url: None,
            trusted_root_base: None,
            signing_config_base: None,
            enabled_entry_types: None,
            enabled_api_endpoints: None,
            read_only: false,
            public: false,
            cors_origins: Vec::new(),
            duplicates: Duplicates { v1: OnDuplicate::Conflict, v2: OnDuplicate::Stored },
            stop_grace_seconds: server::settings::DEFAULT_STOP_GRACE.as_secs(),
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
        }
    }
}

/// Rekor's own port.
const DEFAULT_PORT: u16 = 3000;
/// Rekor's own metrics port.
const DEFAULT_METRICS_PORT: u16 = 2112;
/// A configuration or URL file is never larger than a page or two; this keeps a wrong path from being read into memory.
const MAX_FILE: u64 = 64 * 1024;

/// Most that `max-body-bytes` may be, 1 GiB: room for a whole body is taken at once where its length is declared.
const MAX_BODY_BYTES: u64 = 1024 * 1024 * 1024;
/// Most that `max-connections` may be: as many descriptors as Linux gives one process (`fs.nr_open`).
const MAX_CONNECTIONS: usize = 1024 * 1024;

/// Later than that, writes are refused anyway.
const FAIL_OPEN_SECONDS: RangeInclusive<u64> = 1..=ledger::MAX_UNPUBLISHED_TIME.as_secs();

/// The answers to duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Duplicates {
    /// Of the v1 API.
    #[serde(default = "conflict")]
    pub v1: OnDuplicate,
    /// Of the v2 API.
    #[serde(default = "stored")]
    pub v2: OnDuplicate,
}

/// How an API answers a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnDuplicate {
    /// 409.
    Conflict,
    /// 201 with the stored entry.
    Stored,
}

fn conflict() -> OnDuplicate {
    OnDuplicate::Conflict
}

fn stored() -> OnDuplicate {
    OnDuplicate::Stored
}

impl From<OnDuplicate> for server::OnDuplicate {
    fn from(answer: OnDuplicate) -> Self {
        match answer {
            OnDuplicate::Conflict => Self::Conflict,
            OnDuplicate::Stored => Self::Stored,
        }
    }
}

/// By which APIs a log takes entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Apis {
    /// Rekor v1.
    V1,
    /// Rekor v2.
    V2,
    /// Either.
    Both,
}

impl From<Apis> for ledger::Apis {
    fn from(apis: Apis) -> Self {
        match apis {
            Apis::V1 => Self::V1,
            Apis::V2 => Self::V2,
            Apis::Both => Self::Both,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `config --check`: says on stdout that the file is in order, or fails with what is wrong and where.
pub(crate) fn check_file(path: &Path) -> Outcome<()> {
    Config::from_file(path)?;
    writeln!(io::stdout(), "{} is in order", path.display()).explain(FailureKind::Other, "stdout")
}

impl Config {
    /// Reads a file as it stands: keys and types, and that the values make sense.
    fn from_file(path: &Path) -> Outcome<Self> {
        let config: Self = parse(path, &read_small(path)?)?;
        config.check()?;
        Ok(config)
    }

    /// Lays `given` (from flags and environment; only what was given) over the file, if there is one, over the defaults.
    pub(crate) fn layered(file: Option<&Path>, given: toml::Table) -> Outcome<Self> {
        let mut layers = toml::Table::new();
        if let Some(path) = file {
            let text = read_small(path)?;
            // Typed first: only so do errors carry line and column.
            parse::<Self>(path, &text)?;
            layers = parse(path, &text)?;
        }
        // The two ways to name the database are one setting: the nearer source wins whichever it uses.
        if DATABASE_KEYS.iter().any(|key| given.contains_key(*key)) {
            DATABASE_KEYS.iter().for_each(|key| drop(layers.remove(*key)));
        }
        lay_over(&mut layers, given);
        let config: Self = layers.try_into().map_err(|error: toml::de::Error| usage(error.message()))?;
        config.check()?;
        Ok(config)
    }

    /// The database URL, from whichever of the two settings names it; none means SQLite in the data folder.
    pub(crate) fn database_url(&self) -> Outcome<Option<DatabaseUrl>> {
        let Some(path) = &self.database_file else { return Ok(self.database.clone()) };
        let text = read_small(path)?;
        let url = DatabaseUrl::from(text.lines().next().unwrap_or_default().trim().to_owned());
        url.check().map_err(|failure| usage(format_args!("{}: {failure}", path.display())))?;
        Ok(Some(url))
    }

    /// What entries are admitted.
    pub(crate) fn policy(&self) -> Outcome<entry::Policy> {
        let policy = entry::Policy::from_names(&self.client_signing_algorithms)
            .map_err(|error| usage(format_args!("client-signing-algorithms: {error}")))?;
        match &self.enabled_entry_types {
            None => Ok(policy),
            Some(kinds) => {
                policy.with_kinds(kinds).map_err(|error| usage(format_args!("enabled-entry-types: {error}")))
            }
        }
    }

    /// The web pages that may write.
    pub(crate) fn cors_origins(&self) -> Outcome<Vec<server::Origin>> {
        let origins = self.cors_origins.iter().map(|origin| origin.parse());
        origins
            .collect::<Result<_, server::OriginError>>()
            .map_err(|error| usage(format_args!("cors-origins: {error}; public = true lets pages of all origins read")))
    }

    /// What the API does.
    pub(crate) fn operations(&self) -> Outcome<server::Operations> {
        match &self.enabled_api_endpoints {
            None => Ok(server::Operations::default()),
            Some(names) => server::Operations::from_names(names)
                .map_err(|error| usage(format_args!("enabled-api-endpoints: {error}"))),
        }
    }

    /// What others run, from the files that say so.
    pub(crate) fn others(&self) -> Outcome<Others> {
        let mut others = Others::default();
        if let Some(path) = &self.trusted_root_base {
            others = others.with_trusted_root(&read_small(path)?).explain(FailureKind::Usage, path.display())?;
        }
        if let Some(path) = &self.signing_config_base {
            others = others.with_signing_config(&read_small(path)?).explain(FailureKind::Usage, path.display())?;
        }
        Ok(others)
    }

    /// What the trust material says, for a log of this name whose API is at this port.
    pub(crate) fn trust(&self, others: Others, name: &str, port: u16) -> Outcome<TrustSettings> {
        let is_local = name == ledger::DEFAULT_NAME;
        let public_url = self.given_url()?.or_else(|| is_local.then(|| PublicUrl::http(name, port)));
        Ok(TrustSettings { public_url, others })
    }

    fn given_url(&self) -> Outcome<Option<PublicUrl>> {
        let url = self.public_url.as_deref().map(str::parse).transpose();
        url.map_err(|error: PublicUrlError| usage(format_args!("public-url: {error}")))
    }

    fn check(&self) -> Outcome<()> {
        if self.database.is_some() && self.database_file.is_some() {
            return Err(usage("database and database-file are both given: give one of them"));
        }
        self.database.as_ref().map_or(Ok(()), DatabaseUrl::check)?;
        self.name.as_deref().map_or(Ok(()), ledger::check_name).map_err(usage)?;
        self.policy()?;
        self.given_url()?;
        self.operations()?;
        self.cors_origins()?;
        if !(1..=MAX_BODY_BYTES).contains(&self.max_body_bytes) {
            return Err(usage(format_args!("max-body-bytes {}: 1 to {MAX_BODY_BYTES} expected", self.max_body_bytes)));
        }
        if self.max_attestation_bytes > server::settings::MAX_ATTESTATION_BYTES {
            return Err(usage(format_args!(
                "max-attestation-bytes {}: 0 to {} expected",
                self.max_attestation_bytes,
                server::settings::MAX_ATTESTATION_BYTES
            )));
        }
        if !(1..=MAX_CONNECTIONS).contains(&self.max_connections) {
            return Err(usage(format_args!(
                "max-connections {}: 1 to {MAX_CONNECTIONS} expected",
                self.max_connections
            )));
        }
        if self.witness_fail_open_seconds.is_some_and(|seconds| !FAIL_OPEN_SECONDS.contains(&seconds)) {
            return Err(usage("witness-fail-open-seconds: 1 to 10 expected"));
        }
        if self.witness_fail_open_seconds.is_some() && self.witness_policy.is_none() {
            return Err(usage("witness-fail-open-seconds without witness-policy"));
        }
        logging::filter(&self.log_level).map(drop)
    }
}

const DATABASE_KEYS: [&str; 2] = ["database", "database-file"];

/// What `nearer` does not give stays, also within tables.
fn lay_over(layers: &mut toml::Table, nearer: toml::Table) {
    for (key, value) in nearer {
        match (layers.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => lay_over(below, above),
            (_, value) => drop(layers.insert(key, value)),
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Outcome<T> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let line = line.map(|line| format!(" line {line}")).unwrap_or_default();
        usage(format_args!("{}{line}: {}", path.display(), error.message()))
    })
}

/// Reads a text file that has no reason to be large.
pub(crate) fn read_small(path: &Path) -> Outcome<String> {
    let size = fs::metadata(path).explain(FailureKind::Usage, path.display())?.len();
    if size > MAX_FILE {
        return Err(usage(format_args!("{}: {size} bytes, at most {MAX_FILE} expected", path.display())));
    }
    fs::read_to_string(path).explain(FailureKind::Usage, path.display())
}

fn usage(message: impl fmt::Display) -> Failure {
    Failure::new(FailureKind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    fn given(text: &str) -> toml::Table {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn algorithms_are_named_as_in_rekor() {
        let config = Config::layered(None, given("client-signing-algorithms = [\"ed25519-ph\"]")).unwrap();
        assert_eq!(config.client_signing_algorithms, ["ed25519-ph"]);
        let failure = Config::layered(None, given("client-signing-algorithms = [\"md5\"]")).unwrap_err();
        assert!(failure.to_string().starts_with("client-signing-algorithms: \"md5\" is not a signing algorithm"));
    }

    #[test]
    fn kinds_and_operations_are_named_as_in_rekor() {
        let text = "enabled-entry-types = [\"hashedrekord\"]\nenabled-api-endpoints = [\"getLogInfo\"]";
        let config = Config::layered(None, given(text)).unwrap();
        assert_ne!(config.operations().unwrap(), server::Operations::default());
        for (text, wanted) in [
            ("enabled-entry-types = [\"x\"]", "enabled-entry-types: \"x\" is not a kind of entries; known are "),
            (
                "enabled-api-endpoints = [\"x\"]",
                "enabled-api-endpoints: \"x\" is not an operation; known are getLogInfo, ",
            ),
            ("cors-origins = [\"*\"]", "cors-origins: \"*\" is not the origin of web pages: "),
        ] {
            let failure = Config::layered(None, given(text)).unwrap_err().to_string();
            assert!(failure.starts_with(wanted), "{failure}");
        }
    }

    #[test]
    fn nearer_source_wins() {
        let file = file("name = \"file.example\"\nlisten = \"127.0.0.1:1\"");
        let config = Config::layered(Some(file.path()), given("listen = \"127.0.0.1:2\"")).unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.name.as_deref(), Some("file.example"));
        assert_eq!(config.metrics_listen, Config::default().metrics_listen);
    }

    #[test]
    fn settings_of_one_table_may_come_from_several_sources() {
        let file = file("duplicates.v1 = \"stored\"");
        let config = Config::layered(Some(file.path()), given("duplicates.v2 = \"conflict\"")).unwrap();
        assert_eq!(config.duplicates, Duplicates { v1: OnDuplicate::Stored, v2: OnDuplicate::Conflict });
    }

    #[test]
    fn nearer_database_wins_in_either_form() {
        let file = file("database = \"postgres://far/x\"");
        let url_file = self::file("postgres://u:secret@near/x\nnote");
        let path = url_file.path().display();
        let config = Config::layered(Some(file.path()), given(&format!("database-file = \"{path}\""))).unwrap();
        assert_eq!(config.database_url().unwrap().unwrap().secret(), "postgres://u:secret@near/x");
    }

    #[test]
    fn two_databases_at_once_are_refused() {
        let both = given("database = \"postgres://a/b\"\ndatabase-file = \"c\"");
        assert!(Config::layered(None, both).unwrap_err().to_string().contains("both"));
    }

    #[test]
    fn unknown_key_is_refused_with_its_place() {
        let file = file("# one\nlisten = \"127.0.0.1:1\"\nlisten-on = 1\n");
        let error = Config::from_file(file.path()).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("listen-on"), "{error}");
    }

    #[test]
    fn bad_values_are_refused() {
        for text in [
            "listen = \"here\"",
            "listen = 3000",
            "name = \"\"",
            "name = \"a b\"",
            "name = \"a+b\"",
            "name = \"a\\n\"",
            "database = \"mysql://x\"",
            "database = \"sqlite:x\"",
            "public-url = \"log.example.org\"",
            "public-url = \"https://log.example.org/rekor\"",
            "log-level = \"a=b=c\"",
            "log-level = \"warning\"",
            "log-format = \"xml\"",
            "duplicates = \"conflict\"",
            "duplicates.v3 = \"conflict\"",
            "duplicates.v2 = \"ignore\"",
            "apis = \"v3\"",
            "max-connections = 0",
            "max-connections = 9223372036854775807",
            "max-body-bytes = 0",
            "witness-fail-open-seconds = 5",
            "witness-policy = \"p\"\nwitness-fail-open-seconds = 11",
            "max-attestation-bytes = 1048577",
            "max-body-bytes = 9223372036854775807",
            "x =",
        ] {
            let file = file(text);
            assert!(Config::from_file(file.path()).is_err(), "{text}");
        }
    }
}
