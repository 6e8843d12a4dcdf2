//! `treehead serve`: opens the log, making it first if there is none, and serves it until a signal.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use host::ServeError;
use ledger::key_file::KeyOrigin;
use ledger::store::{Store, TreeRow};
use ledger::{Fatal, KeyRing, Ledger, OpenError, Settings, SystemClock};
use prometheus::Registry;
use ring::rand::{SecureRandom, SystemRandom};
use tlog::VerifyingKey;
use tokio::net::TcpListener;

use crate::banner::{self, Facts, History};
use crate::config::Config;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::open::{self, Place};
use crate::{log_lines, logging, new_log, notify, runtime, stop, version, witnesses};

/// Serves until SIGTERM or SIGINT; then finishes what was accepted.
pub(crate) fn run(config: &Config) -> Outcome<()> {
    logging::start(config)?;
    let place = Place::claim(config)?;
    runtime()?.block_on(serve(config, &place))
}

async fn serve(config: &Config, place: &Place) -> Outcome<()> {
    let stop = stop::on_signal()?;
    // Before the log is made: a wrong file or a port that is taken leaves nothing behind.
    let others = config.others()?;
    let api = config.listen.bind("listen").await?;
    let metrics = config.metrics_listen.bind("metrics-listen").await?;
    let registry = Registry::new();
    log_lines::register(&registry).explain(FailureKind::Other, "metrics")?;
    let log = open_or_make(config, place, registry.clone()).await?;
    let mut settings = server_settings(config, registry)?;
    settings.trust = config.trust(others, &log.ledger.tree().name, bound(&api)?.port())?;
    banner::show(banner_of(&log, place, bound(&api)?, bound(&metrics)?))?;
    tracing::info!(name = log.ledger.tree().name, size = log.ledger.head().size.0, database = %place, "serving");
    if config.read_only {
        tracing::info!("read-only: every write is refused");
    } else {
        warn_of_open_door(bound(&api)?);
    }
    notify::ready();
    let (ledger, fatal) = (log.ledger.clone(), OnceLock::new());
    let ends = async {
        tokio::select! {
            () = stop.cancelled() => {}
            reason = ledger.fatal() => drop(fatal.set(reason)),
        }
    };
    // Stops the ledger too, between the last answer and the last scrape.
    let served = server::serve(api, metrics, log.ledger, settings, ends).await;
    match fatal.get() {
        Some(fatal) => Err(of_fatal(config, fatal)),
        None => served.map_err(|error| of_serve(&error)),
    }
}

/// Maps the end of a server to the exit code of the process.
pub(crate) fn of_serve(error: &ServeError) -> Failure {
    let kind = match error {
        ServeError::Ended(_) => FailureKind::Bug,
        ServeError::Metrics(_) | ServeError::Unfinished(_) => FailureKind::Other,
    };
    Failure::new(kind, format_args!("serving: {error}"))
}

/// Maps the end of the log to the exit code of the process.
fn of_fatal(config: &Config, fatal: &Fatal) -> Failure {
    match fatal {
        Fatal::LacksKey(reason) => without_key(config, reason),
        Fatal::TaskEnded(task) => {
            Failure::new(FailureKind::Bug, format_args!("{task} ended abnormally"))
        }
    }
}

/// Nobody is asked who they are: whoever reaches the API may write, and what is written stays.
fn warn_of_open_door(api: SocketAddr) {
    if !api.ip().is_loopback() {
        tracing::warn!(
            "everyone who can reach {api} may write to this log, and no entry can be removed: let only a proxy that decides \
             who may write reach it (deploy/README.md), or listen on 127.0.0.1"
        );
    }
}

fn without_key(config: &Config, reason: &str) -> Failure {
    match open::key_folder(config) {
        Ok(folder) => Failure::new(
            FailureKind::Key,
            format_args!("{reason}; put that key into {}", folder.display()),
        ),
        Err(_) => Failure::new(FailureKind::Key, reason),
    }
}

/// A log that is open.
struct Log {
    ledger: Ledger,
    key: VerifyingKey,
    key_path: PathBuf,
    history: History,
}

async fn open_or_make(config: &Config, place: &Place, metrics: Registry) -> Outcome<Log> {
    let key_path = open::key_path(config)?;
    let failed = |error: OpenError| open::of_open(place, &key_path, &error);
    let store = place.open().await?;
    let (keys, origin, history) = match find(store.as_ref(), config, place, &key_path).await? {
        Some(tree) => {
            check_apis(config, place, &tree)?;
            (
                open::keys_of(&tree, config, &key_path)?,
                KeyOrigin::Found,
                History::Known,
            )
        }
        None if config.read_only => {
            let message =
                format_args!("{place}: there is no log to serve; with read-only none is made");
            return Err(Failure::new(FailureKind::Log, message));
        }
        None => {
            let made = new_log::make(store.as_ref(), config, place, &key_path).await?;
            let keys = KeyRing::new([made.key])
                .with_folder(open::key_folder(config)?, &SystemRandom::new());
            (keys, made.origin, made.history)
        }
    };
    let named = keys.first().map(|key| key.verifying_key().log_id());
    let settings = Settings {
        store,
        name: config.name.clone(),
        keys,
        place: where_we_are(config),
        // Made with the log, if this start did that.
        cosigner: open::ed25519_key(config, History::Known)?,
        witnessing: witnesses::witnessing(config)?,
        clock: Arc::new(SystemClock),
        metrics,
    };
    let ledger = Ledger::open(settings).await.map_err(|error| match error {
        OpenError::WrongKey { .. } if origin == KeyOrigin::Made => {
            lost_the_race(place, &key_path, &error)
        }
        error => failed(error),
    })?;
    let key = ledger.tree().log_key.clone();
    // After a rotation the key is in the folder of further keys.
    let key_path = if named == Some(key.log_id()) {
        key_path
    } else {
        open::key_folder(config)?
    };
    Ok(Log {
        ledger,
        key,
        key_path,
        history,
    })
}

/// What a rotation calls this server.
fn where_we_are(config: &Config) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() {
        "unknown host"
    } else {
        host.trim()
    };
    format!(
        "{host}, process {}, serving on {}",
        std::process::id(),
        config.listen
    )
}

/// The log; none where a new one is to be made.
async fn find(
    store: &dyn Store,
    config: &Config,
    place: &Place,
    key_path: &Path,
) -> Outcome<Option<TreeRow>> {
    let failed = |error: OpenError| open::of_open(place, key_path, &error);
    // Looked at first: a key that appears later is made by a server that starts in the same moment,
    // and shared.
    let unexplained = new_log::unexplained_key(config, place, key_path);
    let found = ledger::find_log(store, config.name.as_deref())
        .await
        .map_err(failed)?;
    let Err(refusal) = unexplained else {
        return Ok(found);
    };
    if found.is_some() || !store.is_shared() {
        return found.map(Some).ok_or(refusal);
    }
    let found = new_log::of_neighbour(store, config.name.as_deref())
        .await
        .map_err(failed)?;
    found.map(Some).ok_or(refusal)
}

/// The APIs of a log never change.
fn check_apis(config: &Config, place: &Place, tree: &TreeRow) -> Outcome<()> {
    match config.apis.map(ledger::Apis::from) {
        Some(apis) if apis != tree.apis => Err(Failure::new(
            FailureKind::Log,
            format_args!(
                "{place}: the log {:?} was made with --apis {}, not {apis}",
                tree.name, tree.apis
            ),
        )),
        _ => Ok(()),
    }
}

fn lost_the_race(place: &Place, key_path: &Path, error: &OpenError) -> Failure {
    Failure::new(
        FailureKind::Key,
        format_args!(
            "{place}: another server made the log in this moment: {error}. {} was made by this start and has signed nothing; put \
             the key of the log in its place",
            key_path.display()
        ),
    )
}

fn bound(listener: &TcpListener) -> Outcome<SocketAddr> {
    listener
        .local_addr()
        .explain(FailureKind::Address, "listen")
}

fn banner_of(log: &Log, place: &Place, api: SocketAddr, metrics: SocketAddr) -> String {
    let tree = log.ledger.tree();
    let facts = Facts {
        name: &tree.name,
        tree_id: tree.id,
        key: &log.key,
        key_path: &log.key_path,
        database: place,
        history: log.history,
    };
    let listening = banner::listening(api, metrics);
    match log.history {
        History::New => format!("{facts}\n{listening}\n\n{}", banner::examples(api)),
        History::Known => format!("{facts}\n{listening}"),
    }
}

fn server_settings(config: &Config, metrics: Registry) -> Outcome<server::Settings> {
    let mut instance = [0; 4];
    SystemRandom::new()
        .fill(&mut instance)
        .explain(FailureKind::Other, "random numbers")?;
    let mut settings = server::Settings::new(metrics, version::build_info(), hex::encode(instance));
    settings.policy = config.policy()?;
    settings.operations = config.operations()?;
    settings.read_only = config.read_only;
    settings.public = config.public;
    settings.cors_origins = config.cors_origins()?;
    settings.duplicates = server::Duplicates {
        v1: config.duplicates.v1.into(),
        v2: config.duplicates.v2.into(),
    };
    settings.limits.body_bytes = config.max_body_bytes.0;
    settings.limits.body_bytes_in_flight = config.max_body_bytes_in_flight.0;
    settings.attestation_bytes = config.max_attestation_bytes.0;
    settings.limits.connections = config.max_connections;
    settings.limits.connections_per_address = config.max_connections_per_address;
    settings.limits.stop_grace = Duration::from_secs(config.stop_grace_seconds);
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use super::*;

    #[test]
    fn a_part_that_ended_has_a_code_of_its_own() {
        let config = Config::default();
        let ended = of_fatal(&config, &Fatal::TaskEnded("the sequencer"));
        assert_eq!(ended.exit_code(), ExitCode::from(10));
        assert_eq!(ended.to_string(), "the sequencer ended abnormally");
        assert_eq!(
            of_serve(&ServeError::Ended("the listener of the API")).exit_code(),
            ExitCode::from(10)
        );
        assert_eq!(
            of_fatal(&config, &Fatal::LacksKey("it".into())).exit_code(),
            ExitCode::from(5)
        );
    }
}
