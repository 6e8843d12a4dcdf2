//! `treehead monitor`: follows logs, tells somebody of entries that rules match, and raises alarms.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use client::{Http, LogKey, Trust};
use ledger::{Clock, SystemClock};
use monitor::channels::Channels;
use monitor::rules::Rules;
use monitor::{
    AlarmKind, Board, Config, Follower, LogSection, Look, Metrics, Outbox, OutboxMetrics, RuleFile,
    Shared, Surroundings,
};
use prometheus::Registry;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::check::log;
use crate::config::read_small;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::{log_lines, logging, notify, runtime, stop};

mod flags;
mod listener;
mod progress;
mod schedule;

pub(crate) use flags::MonitorFlags;

/// The name of the lock below the folder of the state.
const LOCK: &str = "lock";
/// The folder of the outbox below the folder of the state.
const OUTBOX: &str = "outbox";

pub(crate) fn run(flags: &MonitorFlags) -> Outcome<()> {
    logging::start_with(flags.log_format, &flags.log_level)?;
    let text = read_small(&flags.config)?;
    let config = Config::read(&text).explain(FailureKind::Usage, flags.config.display())?;
    // A look at a log stays on one thread. What takes time in it, the checks of entries, does not.
    let logs = LocalSet::new();
    runtime()?.block_on(logs.run_until(monitor(flags, &config)))
}

/// What runs.
struct Monitor {
    followers: Vec<Follower<Http>>,
    shared: Arc<Shared>,
    registry: Registry,
}

async fn monitor(flags: &MonitorFlags, config: &Config) -> Outcome<()> {
    let stop = stop::on_signal()?;
    monitor::create_folders(&config.state).explain(FailureKind::Other, config.state.display())?;
    let _lock = lock(&config.state.join(LOCK))?;
    let monitor = open(flags, config)?;
    match flags.once {
        true => once(monitor, &stop).await,
        false => forever(monitor, config, &stop).await,
    }
}

/// Keeps a second monitor off the state.
fn lock(path: &Path) -> Outcome<File> {
    let file = File::create(path).explain(FailureKind::Other, path.display())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let why = format_args!("{}: another monitor uses this folder", path.display());
            Err(Failure::new(FailureKind::InUse, why))
        }
        Err(TryLockError::Error(error)) => {
            let why = format_args!("{}: {error}", path.display());
            Err(Failure::new(FailureKind::Other, why))
        }
    }
}

fn open(flags: &MonitorFlags, config: &Config) -> Outcome<Monitor> {
    let file = flags.config.display();
    let registry = Registry::new();
    log_lines::register(&registry).explain(FailureKind::Other, "metrics")?;
    let sections = rule_file(config)?;
    let rules = Rules::new(&sections.rules).explain(FailureKind::Usage, &file)?;
    let channels = Channels::new(&sections.channels).explain(FailureKind::Usage, &file)?;
    let metrics = OutboxMetrics::new(&registry).explain(FailureKind::Other, "metrics")?;
    let folder = config.state.join(OUTBOX);
    let outbox = Outbox::open(&folder, channels, metrics, surroundings());
    let outbox = outbox.explain(FailureKind::Other, "the outbox")?;
    let shared = Arc::new(Shared {
        rules: Arc::new(rules),
        outbox: Arc::new(outbox),
        metrics: Metrics::new(&registry).explain(FailureKind::Other, "metrics")?,
        board: Board::default(),
        peers: [config.peers.as_slice(), &flags.peers].concat(),
        stale_after: config.stale_after_seconds,
        state: config.state.clone(),
    });
    let http = Http::new();
    let mut followers = Vec::new();
    for section in &config.logs {
        // A file that is missing from the start is a mistake, and no reason to wait.
        keys(section)?;
        let follower = Follower::open(section.clone(), Arc::clone(&shared), http.clone());
        followers.push(follower.explain(FailureKind::Other, &section.name)?);
    }
    Ok(Monitor {
        followers,
        shared,
        registry,
    })
}

/// Returns the rules and channels of the configuration, and those of the file that it names.
fn rule_file(config: &Config) -> Outcome<RuleFile> {
    let mut all = RuleFile {
        rules: config.rule_sections.clone(),
        channels: config.channels.clone(),
        ..RuleFile::default()
    };
    if let Some(path) = &config.rules {
        let text = read_small(path)?;
        let more = RuleFile::read(path, &text).explain(FailureKind::Usage, path.display())?;
        all.rules.extend(more.rules);
        all.channels.extend(more.channels);
        for note in more.notes {
            tracing::warn!("{}: {note}", path.display());
        }
    }
    Ok(all)
}

/// Reads the keys of a log. Files may have changed since the last look.
fn keys(section: &LogSection) -> Outcome<Vec<LogKey>> {
    let mut keys = log::keys(&section.trust)?;
    for text in &section.keys {
        let trust = Trust::read(text).explain(FailureKind::Usage, &section.name)?;
        keys.extend(trust.keys);
    }
    Ok(keys)
}

fn surroundings() -> Surroundings {
    let random = SystemRandom::new();
    Surroundings {
        now: Arc::new(now),
        jitter: Arc::new(move || {
            let mut bytes = [0; 4];
            match random.fill(&mut bytes) {
                Ok(()) => f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
                // Without random numbers the pauses are all of middle length.
                Err(_) => 0.5,
            }
        }),
        backoff: monitor::Backoff::default(),
    }
}

/// Returns the time in Unix seconds.
fn now() -> i64 {
    SystemClock.unix_millis() / 1_000
}

/// Looks at a log once, with the keys that its files name now.
async fn look(follower: &mut Follower<Http>) -> Outcome<Look> {
    let keys = keys(follower.section())?;
    let look = follower.look(&keys, now()).await;
    look.explain(FailureKind::Other, follower.name())
}

/// Time for which `--once` waits until the notices are delivered.
const DELIVER_WITHIN: Duration = Duration::from_secs(120);

/// Looks at every log once, waits until the notices are delivered, and ends with the exit code of
/// the worst that was found.
async fn once(monitor: Monitor, stop: &CancellationToken) -> Outcome<()> {
    let Monitor {
        followers, shared, ..
    } = monitor;
    let progress = progress::show(shared.metrics.clone(), &followers);
    let mut looks = JoinSet::new();
    for mut follower in followers {
        looks.spawn_local(async move {
            let look = look(&mut follower).await;
            (follower.name().to_owned(), look)
        });
    }
    let mut found = Vec::new();
    let all = async {
        while let Some(ended) = looks.join_next().await {
            found.push(ended.explain(FailureKind::Bug, "a log")?);
        }
        // A channel that is down must not hold the next run of cron up. What waits is on disk.
        let delivered = timeout(DELIVER_WITHIN, shared.outbox.delivered()).await;
        delivered.map_err(|_| {
            let (count, seconds) = (shared.outbox.len(), DELIVER_WITHIN.as_secs());
            let why = format_args!(
                "{count} notices could not be delivered within {seconds} s, and wait in the state folder"
            );
            Failure::new(FailureKind::Other, why)
        })
    };
    let ended = stop.run_until_cancelled(all).await;
    drop(progress);
    shared.outbox.close().await;
    let ended = ended.unwrap_or(Ok(()));
    let mut worst: Option<Failure> = None;
    for (name, look) in found {
        let failure = match look {
            Ok(look) => {
                schedule::report(&name, &look);
                failure_of(&name, &look)
            }
            Err(failure) => Some(failure),
        };
        if let Some(failure) = failure {
            tracing::warn!("{failure}");
            worst = Some(match worst {
                Some(before) if rank(&before) >= rank(&failure) => before,
                _ => failure,
            });
        }
    }
    worst.map_or(ended, Err)
}

/// Returns why `--once` ends with another status than 0.
fn failure_of(name: &str, look: &Look) -> Option<Failure> {
    let kind = |alarm: &AlarmKind| match alarm {
        AlarmKind::Fork | AlarmKind::SplitView | AlarmKind::RolledBack | AlarmKind::LostTree => {
            FailureKind::Forked
        }
        AlarmKind::BadSignature
        | AlarmKind::BadProof
        | AlarmKind::BadEntry
        | AlarmKind::BadTile => FailureKind::NotVerified,
        AlarmKind::Stale => FailureKind::LogUnavailable,
    };
    // The kinds stand in the order of their weight.
    if let Some(alarm) = look.alarms.first() {
        let why = look.away.as_deref().unwrap_or("the notice has the details");
        return Some(Failure::new(
            kind(alarm),
            format_args!("{name}: the alarm {alarm} is raised: {why}"),
        ));
    }
    let away = look.away.as_ref()?;
    let why = format_args!("{name}: {away}");
    Some(Failure::new(FailureKind::LogUnavailable, why))
}

/// Orders failures by how much they need somebody.
fn rank(failure: &Failure) -> u8 {
    match failure.kind() {
        FailureKind::Forked => 3,
        FailureKind::NotVerified => 2,
        FailureKind::LogUnavailable => 1,
        _ => 4,
    }
}

/// Looks at every log again and again until a signal.
async fn forever(monitor: Monitor, config: &Config, stop: &CancellationToken) -> Outcome<()> {
    let Monitor {
        followers,
        shared,
        registry,
    } = monitor;
    let listener = match &config.listen {
        Some(address) => Some(listener::bind(address).await?),
        None => None,
    };
    let mut tasks = JoinSet::new();
    if let Some(listener) = listener {
        let (board, stop) = (shared.board.clone(), stop.clone());
        tasks.spawn(async move { listener::serve(listener, registry, board, stop).await });
    }
    for follower in followers {
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        let interval = std::time::Duration::from_secs(config.interval_seconds);
        tasks.spawn_local(async move {
            schedule::follow(follower, &shared, interval, &stop).await;
            Ok(())
        });
    }
    notify::ready();
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.explain(FailureKind::Bug, "a part of the monitor ended");
        if let Err(failure) = ended.and_then(|ended| ended) {
            outcome = Err(failure);
            // The others end as after a signal.
            stop.cancel();
        }
    }
    shared.outbox.close().await;
    outcome
}
