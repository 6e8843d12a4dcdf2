//! The one configuration, whatever its source: a flag goes before the environment, that before the
//! file, that before the default.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use server::trust::{Others, PublicUrl, PublicUrlError, TrustSettings};
use tlog::WitnessPolicy;

use crate::database_url::DatabaseUrl;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::listen::ListenAddress;

mod bytes;
mod check;
mod file;
mod layers;
mod setting;
mod settings;
mod show;
mod source;
mod values;

pub(crate) use bytes::Bytes;
pub(crate) use check::check_file;
pub(crate) use layers::{Given, read_small};
pub(crate) use setting::{Empty, Setting};
pub(crate) use settings::{SETTINGS, TABLES, by_flag};
pub(crate) use show::{sample, show};
pub(crate) use source::{Source, Sources};
pub(crate) use values::{Apis, Duplicates, LogFormat, OnDuplicate};

/// Everything that can be set. Each field is the value of one row of [`SETTINGS`] and is called
/// after its flag. The row says what the setting is called in the file and in the environment, and
/// explains it to operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Where the API is served, as host and port: `127.0.0.1:3000`, `localhost:3000`, or `:3000`
    /// for all addresses of the machine. Port 0 takes a free one; the one taken is printed. The
    /// server speaks plain HTTP: put a TLS proxy before it, and let nothing but that proxy reach
    /// it, where clients are on other machines.
    pub listen: ListenAddress,

    /// Where Prometheus metrics are served (`/metrics`). A listener of its own, so that no proxy
    /// rule can leak it.
    pub metrics_listen: ListenAddress,

    /// The folder for the SQLite database (unless `database` names another), the log key (unless
    /// `key` names another file) and the lock that keeps two servers off one SQLite database. Made
    /// with mode 0700 if it is absent. A relative path is relative to the working directory.
    pub data_dir: PathBuf,

    /// `postgres://user@host/database`: the Postgres database that holds the log. It is migrated
    /// under a lock, so several servers may start at once. None keeps the log in SQLite in the data
    /// folder. A URL with a password is better kept in a file of its own, see `database-file`; it
    /// is never printed or logged with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseUrl>,

    /// A file whose first line is the database URL, for secrets that are handed over as files
    /// (systemd credentials, Kubernetes secrets). Not together with `database`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_file: Option<PathBuf>,

    /// The name of the log, given once, when it is made: it is in every checkpoint and never
    /// changes. Use the host name that clients will use, such as `log.example.org`, without scheme,
    /// port or path. None makes a log called `localhost`, for trying things out. Later it may be
    /// left out; when it is given it MUST be the stored one, or the server does not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// The file of the log's private key: ECDSA P-256 as PEM (PKCS#8, or as `openssl ecparam
    /// -genkey` writes it), readable by nobody else but its group. It is made at the first start of
    /// a new log, and never overwritten. None means `log-key.pem` in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,

    /// The folder of further log keys: files that end in `.pem`, like `key`. `treehead rotate` puts
    /// the next key there, and a server looks into it while a rotation waits. None means `keys` in
    /// the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_dir: Option<PathBuf>,

    /// The file of a second private key of the log: Ed25519 as PKCS#8 PEM. It adds a second line to
    /// the v2 checkpoint, which C2SP witnesses ask for. It is given when the log is made, and made
    /// then if the file does not exist; a log that was made with one needs it ever after, and one
    /// that was made without it never takes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ed25519_key: Option<PathBuf>,

    /// The file of the witness policy (C2SP tlog-policy). With it no head of the log is shown
    /// before the witnesses of the quorum have cosigned it; when they do not, writes get 503 after
    /// 10 s. A log that was once published with witnesses needs a policy ever after; one with
    /// `quorum none` asks nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness_policy: Option<PathBuf>,

    /// After how many seconds a head is published although its quorum did not cosign it ("fail
    /// open"), 1 to 10. None means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness_fail_open_seconds: Option<u64>,

    /// The APIs by which the log takes entries, given once, when it is made: `v1`, `v2` or `both`.
    /// A log for `v1` alone takes entries of up to 1 MiB, and has no tiles; one for `v2` alone is
    /// for readers of tiles, such as stock monitors, that cannot parse the kinds of v1. None makes
    /// a log for both. Later it may be left out; when it is given it MUST be the stored one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apis: Option<Apis>,

    /// Largest request body in bytes, as a number or as a text such as `"48MiB"`. Larger ones get
    /// 413 with this number in the message. The default is 48 MiB: base64 of a package of some 35
    /// MB.
    pub max_body_bytes: Bytes,

    /// All request bodies that are being received or worked on and what is decoded from them
    /// (together twice their length), in bytes: this bounds memory whatever arrives at once.
    /// Requests wait for their share, and get 503 when that takes too long. At least what one body
    /// of the largest size needs.
    pub max_body_bytes_in_flight: Bytes,

    /// Attestations (the payload of an `intoto` entry, the message of a `cose` entry) of up to this
    /// many bytes are kept beside their entry and shown with it. Larger ones are neither kept nor
    /// shown; their entries go in all the same. The default is Rekor's, 100 KiB. 0 keeps and shows
    /// none. At most 1 MiB.
    pub max_attestation_bytes: Bytes,

    /// Open connections to the API. For one more the connection is closed that has had no request
    /// for longest.
    pub max_connections: usize,

    /// Open connections to the API from one IPv4 address, or from one /64 network of IPv6
    /// addresses. For one more an idle one of that address is closed; if all of them are at work,
    /// the new one gets 503. Behind a proxy all connections have its address: set it to
    /// `max-connections` there.
    pub max_connections_per_address: usize,

    /// The signing algorithms of clients that are admitted, by Rekor's names and with Rekor's
    /// default. What is logged already stays, and can be looked up.
    pub client_signing_algorithms: Vec<String>,

    /// Where clients reach this log: `https://log.example.org`, with a port if it is not the usual
    /// one, without a path. It is what the trust material (`/trust/…`, `treehead trust export`)
    /// says. None means `https://` and the log's name; for the name `localhost`, `http://localhost`
    /// and the port of `listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,

    /// A `trusted_root.json` with what others run: certificate authorities, their transparency
    /// logs, time-stamp authorities. This log's trees are added to it. `cosign trusted-root create`
    /// makes one. Read at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_root_base: Option<PathBuf>,

    /// A `signing_config.v0.2.json` with the URLs of those services and of an identity provider.
    /// This log becomes its Rekor. `cosign signing-config create` makes one. Where it names a
    /// time-stamp authority, clients are sent to the v2 API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_config_base: Option<PathBuf>,

    /// The kinds of entries that are taken in, by Rekor's names, such as `hashedrekord`. None takes
    /// all. What is logged already stays, and can be looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled_entry_types: Option<Vec<String>>,

    /// The operations of the APIs that are served, by the `operationId`s of the OpenAPI document,
    /// v1, v2 with gRPC, tiles and trust material alike. None serves all; the others are answered
    /// with 501. The documents and the probes are always served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled_api_endpoints: Option<Vec<String>>,

    /// Whether this server refuses every write, by whichever API it comes. It is a setting of the
    /// server and not of the log: other servers may write to the same database. Reads go on; what
    /// they show is signed where that was missing. No log is made.
    pub read_only: bool,

    /// Whether anybody may read this log. Then web pages of all origins may read it through a
    /// browser, as from Rekor, and caches that several clients share may keep tiles. It opens
    /// nothing: who reaches the server is a matter of the network.
    pub public: bool,

    /// The origins of web pages, such as `https://search.example.org`, that may read this log and
    /// write to it through a browser. A browser that writes for any other page is answered with
    /// 403.
    pub cors_origins: Vec<String>,

    /// How each API answers an entry that the log has already: `conflict` is 409 that says where it
    /// is, `stored` is 201 with the stored entry and a fresh proof. By default v1 answers as Rekor
    /// v1 does, and v2 with the stored entry, because a client of v2 that timed out and tries again
    /// has no other way to its proof.
    pub duplicates: Duplicates,

    /// How many seconds a stop (SIGTERM, SIGINT) waits for requests that were accepted. A service
    /// manager's own limit must be longer. A second signal ends the process at once.
    pub stop_grace_seconds: u64,

    /// How log lines look on stderr: `text` for people, `json` for machines (one object a line).
    pub log_format: LogFormat,

    /// What is logged: `error`, `warn`, `info`, `debug`, `trace` or `off`, or a list such as
    /// `info,sqlx=warn` that sets single parts.
    pub log_level: String,

    /// Where each setting was given.
    #[serde(skip)]
    pub sources: Sources,

    /// What is odd and yet no reason not to start; logged when logging has begun.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ListenAddress::local(DEFAULT_PORT),
            metrics_listen: ListenAddress::local(DEFAULT_METRICS_PORT),
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
            max_body_bytes: Bytes(server::settings::DEFAULT_BODY_BYTES),
            max_body_bytes_in_flight: Bytes(server::settings::DEFAULT_BODY_BYTES_IN_FLIGHT),
            max_attestation_bytes: Bytes(server::settings::DEFAULT_ATTESTATION_BYTES),
            max_connections: server::settings::DEFAULT_CONNECTIONS,
            max_connections_per_address: server::settings::DEFAULT_CONNECTIONS_PER_ADDRESS,
            client_signing_algorithms: entry::DEFAULT_ALGORITHMS.map(str::to_owned).to_vec(),
            public_url: None,
            trusted_root_base: None,
            signing_config_base: None,
            enabled_entry_types: None,
            enabled_api_endpoints: None,
            read_only: false,
            public: false,
            cors_origins: Vec::new(),
            duplicates: Duplicates {
                v1: OnDuplicate::Conflict,
                v2: OnDuplicate::Stored,
            },
            stop_grace_seconds: server::settings::DEFAULT_STOP_GRACE.as_secs(),
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            sources: Sources::default(),
            warnings: Vec::new(),
        }
    }
}

/// Rekor's own port.
const DEFAULT_PORT: u16 = 3000;
/// Rekor's own metrics port.
const DEFAULT_METRICS_PORT: u16 = 2112;
impl Config {
    /// The database URL, from whichever of the two settings names it; none means SQLite in the data
    /// folder.
    pub(crate) fn database_url(&self) -> Outcome<Option<DatabaseUrl>> {
        let Some(path) = &self.database_file else {
            return Ok(self.database.clone());
        };
        let text = self.read("database-file", path)?;
        let url = DatabaseUrl::from(text.lines().next().unwrap_or_default().trim().to_owned());
        url.check().map_err(|why| {
            self.wrong("database-file", format_args!("{}: {why}", path.display()))
        })?;
        Ok(Some(url))
    }

    /// The name under which a log is made. It never changes, so it is held to more than a name that
    /// is there.
    pub(crate) fn name_of_new_log(&self) -> Outcome<&str> {
        let name = self.name.as_deref().unwrap_or(ledger::DEFAULT_NAME);
        ledger::check_new_name(name).map_err(|error| self.wrong("name", error))?;
        Ok(name)
    }

    /// What entries are admitted.
    pub(crate) fn policy(&self) -> Outcome<entry::Policy> {
        let policy = entry::Policy::from_names(&self.client_signing_algorithms)
            .map_err(|error| self.wrong("client-signing-algorithms", error))?;
        match &self.enabled_entry_types {
            None => Ok(policy),
            Some(kinds) => policy
                .with_kinds(kinds)
                .map_err(|error| self.wrong("enabled-entry-types", error)),
        }
    }

    /// The web pages that may write.
    pub(crate) fn cors_origins(&self) -> Outcome<Vec<server::Origin>> {
        let origins = self.cors_origins.iter().map(|origin| origin.parse());
        let origins: Result<_, server::OriginError> = origins.collect();
        origins.map_err(|error| {
            self.wrong(
                "cors-origins",
                format_args!("{error}; public = true lets pages of all origins read"),
            )
        })
    }

    /// What the API does.
    pub(crate) fn operations(&self) -> Outcome<server::Operations> {
        match &self.enabled_api_endpoints {
            None => Ok(server::Operations::default()),
            Some(names) => server::Operations::from_names(names)
                .map_err(|error| self.wrong("enabled-api-endpoints", error)),
        }
    }

    /// The witness policy.
    pub(crate) fn witness_policy(&self) -> Outcome<Option<WitnessPolicy>> {
        let Some(path) = &self.witness_policy else {
            return Ok(None);
        };
        let policy = WitnessPolicy::parse(&self.read("witness-policy", path)?);
        let policy = policy.map_err(|error| {
            self.wrong(
                "witness-policy",
                format_args!("{}: {error}", path.display()),
            )
        })?;
        Ok(Some(policy))
    }

    /// What others run, from the files that say so.
    pub(crate) fn others(&self) -> Outcome<Others> {
        let mut others = Others::default();
        if let Some(path) = &self.trusted_root_base {
            let wrong = |error| {
                self.wrong(
                    "trusted-root-base",
                    format_args!("{}: {error}", path.display()),
                )
            };
            others = others
                .with_trusted_root(&self.read("trusted-root-base", path)?)
                .map_err(wrong)?;
        }
        if let Some(path) = &self.signing_config_base {
            let wrong = |error| {
                self.wrong(
                    "signing-config-base",
                    format_args!("{}: {error}", path.display()),
                )
            };
            others = others
                .with_signing_config(&self.read("signing-config-base", path)?)
                .map_err(wrong)?;
        }
        Ok(others)
    }

    /// What the trust material says, for a log of this name whose API is at this port.
    pub(crate) fn trust(&self, others: Others, name: &str, port: u16) -> Outcome<TrustSettings> {
        let is_local = name == ledger::DEFAULT_NAME;
        let public_url = self
            .given_url()?
            .or_else(|| is_local.then(|| PublicUrl::http(name, port)));
        Ok(TrustSettings { public_url, others })
    }

    fn given_url(&self) -> Outcome<Option<PublicUrl>> {
        let url = self.public_url.as_deref().map(str::parse).transpose();
        url.map_err(|error: PublicUrlError| self.wrong("public-url", error))
    }

    /// The file of a setting.
    fn read(&self, setting: &str, path: &Path) -> Outcome<String> {
        read_small(path).map_err(|failure| self.wrong(setting, failure))
    }

    /// A refusal that names the flag, the variable or the line of the file that gave the setting.
    fn wrong(&self, setting: &str, why: impl fmt::Display) -> Failure {
        match self.sources.get(setting) {
            Some(source) => usage(format_args!("{source}: {why}")),
            None => usage(format_args!("{setting}: {why}")),
        }
    }
}

fn usage(message: impl fmt::Display) -> Failure {
    Failure::new(FailureKind::Usage, message)
}

#[cfg(test)]
mod tests;
