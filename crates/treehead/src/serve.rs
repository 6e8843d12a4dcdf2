//! `treehead serve`: opens the ledger, or creates it if there is none, and serves it until a signal.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use host::PublicUrl;
use host::ServeError;
use ledger::{Api, Fatal};
use prometheus::Registry;
use ring::rand::{SecureRandom, SystemRandom};
use server::trust::TrustSettings;
use tokio::net::TcpListener;

use crate::banner::{self, Facts, History};
use crate::config::Config;
use crate::database::Database;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::key_files::KeyFiles;
use crate::open_ledger::{self, Opened};
use crate::subscriptions::Running;
use crate::{guard, log_lines, logging, notify, runtime, stop, version};

/// Serves until SIGTERM or SIGINT; then finishes what was accepted.
pub(crate) fn run(config: &Config) -> Outcome<()> {
    logging::start(config)?;
    let database = if config.read_only {
        Database::claim_existing(config)?
    } else {
        Database::claim(config)?
    };
    let key_files = KeyFiles::locate(config)?;
    runtime()?.block_on(serve(config, &database, &key_files))
}

async fn serve(config: &Config, database: &Database, key_files: &KeyFiles) -> Outcome<()> {
    let stop = stop::on_signal()?;
    // Before the ledger is created, so that a wrong file or a port that is taken leaves nothing
    // behind.
    let others = config.others()?;
    let subscriptions = config.subscriptions()?;
    let api = config.listen.bind("listen").await?;
    let metrics = config.metrics_listen.bind("metrics-listen").await?;
    let registry = Registry::new();
    log_lines::register(&registry).explain(FailureKind::Other, "metrics")?;
    let opened = open_ledger::open_or_create(config, database, key_files, registry.clone());
    let opened = opened.await?;
    let subscriptions = subscriptions
        .map(|subscriptions| subscriptions.start(&opened.ledger, &config.data_dir, &registry))
        .transpose()?;
    let mut settings = server_settings(config, registry)?;
    settings.trust = config.trust(others, opened.ledger.name(), bound(&api)?.port())?;
    let listening = Listening {
        api: bound(&api)?,
        metrics: bound(&metrics)?,
    };
    banner::show(banner_of(&opened, database, &listening, &settings.trust))?;
    for log in opened.ledger.logs() {
        let (api, tree, size) = (log.api(), log.tree().id, log.head().size.0);
        tracing::info!(log = %api, %tree, size, "open");
    }
    tracing::info!(name = opened.ledger.name(), %database, "serving");
    if config.read_only {
        tracing::info!("read-only: every write is refused");
    } else {
        warn_of_open_api(bound(&api)?);
    }
    guard::warn_if_inside(config, database)?;
    notify::ready();
    let (ledger, fatal) = (opened.ledger.clone(), OnceLock::new());
    let reading = subscriptions.as_ref().map(Running::reading);
    let ends = async {
        tokio::select! {
            () = stop.cancelled() => {}
            reason = ledger.fatal() => drop(fatal.set(reason)),
        }
        // The next start matches the entries that are accepted from here on.
        if let Some(reading) = reading {
            reading.abort();
        }
    };
    // Stops the ledger too, between the last answer and the last scrape.
    let served = server::serve(api, metrics, opened.ledger, settings, ends).await;
    if let Some(subscriptions) = subscriptions {
        subscriptions.stop().await;
    }
    match fatal.get() {
        Some(fatal) => Err(fatal_failure(key_files.folder(), fatal)),
        None => served.map_err(|error| serve_failure(&error)),
    }
}

/// Maps the end of a server to the exit code of the process.
pub(crate) fn serve_failure(error: &ServeError) -> Failure {
    let kind = match error {
        ServeError::Ended(_) => FailureKind::Bug,
        ServeError::Metrics(_) | ServeError::Unfinished(_) => FailureKind::Other,
    };
    Failure::new(kind, format_args!("serving: {error}"))
}

/// Maps the end of the ledger to the exit code of the process.
fn fatal_failure(key_folder: &Path, fatal: &Fatal) -> Failure {
    match fatal {
        Fatal::LacksKey(reason) => Failure::new(
            FailureKind::Key,
            format_args!("{reason}; put that key into {}", key_folder.display()),
        ),
        Fatal::TaskEnded(task) => {
            Failure::new(FailureKind::Bug, format_args!("{task} ended abnormally"))
        }
    }
}

/// Warns if other machines can reach the API: the server authenticates nobody, and entries stay.
fn warn_of_open_api(api: SocketAddr) {
    if !api.ip().is_loopback() {
        tracing::warn!(
            "everyone who can reach {api} may write to these logs, and no entry can be removed: let only a proxy that decides \
             who may write reach it (deploy/README.md), or listen on 127.0.0.1"
        );
    }
}

fn bound(listener: &TcpListener) -> Outcome<SocketAddr> {
    listener
        .local_addr()
        .explain(FailureKind::Address, "listen")
}

/// Addresses of the two listeners.
struct Listening {
    api: SocketAddr,
    metrics: SocketAddr,
}

fn banner_of(
    opened: &Opened,
    database: &Database,
    listening: &Listening,
    trust: &TrustSettings,
) -> String {
    let logs = opened.ledger.logs();
    let facts = Facts {
        name: opened.ledger.name(),
        database,
        history: opened.history,
        logs: logs
            .iter()
            .map(|log| opened.places.facts(log.tree()))
            .collect(),
    };
    let addresses = banner::listening(listening.api, listening.metrics);
    let text = format!("{facts}\n{addresses}");
    if opened.history == History::Known {
        return text;
    }
    let public_url = trust.public_url.clone();
    let public_url = public_url.unwrap_or_else(|| PublicUrl::https(opened.ledger.name()));
    let apis: Vec<&Api> = logs.iter().map(|log| log.api()).collect();
    let examples = banner::examples(listening.api, &public_url, &apis);
    format!("{text}\n\n{examples}")
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
    settings.unique_packages = server::UniquePackages {
        second_digest: config.unique_packages.into(),
        unjudged: config.unique_packages_unjudged.into(),
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
    fn each_abnormal_end_has_its_exit_code() {
        let keys = Path::new("keys");
        let ended = fatal_failure(
            keys,
            &Fatal::TaskEnded("the sequencer of the v1 log".into()),
        );
        assert_eq!(ended.exit_code(), ExitCode::from(10));
        assert_eq!(
            ended.to_string(),
            "the sequencer of the v1 log ended abnormally"
        );
        assert_eq!(
            serve_failure(&ServeError::Ended("the listener of the API")).exit_code(),
            ExitCode::from(10)
        );
        assert_eq!(
            fatal_failure(keys, &Fatal::LacksKey("it".into())).exit_code(),
            ExitCode::from(5)
        );
    }
}
