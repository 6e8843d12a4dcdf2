//! `treehead recover`: brings a database that went back forward again, or goes on without what it
//! lost.
//!
//! No server may use the database meanwhile. Everything that a source gives is verified first, and
//! again as it is added. A run that ends half way is continued by the next one.

use ledger::Api;
use ledger::guard::GuardedHead;
use ledger::recover::{self, Derived, Forward, Outcome as Recovered, Plan, RecoverError};
use ledger::store::{LogName, Store, TreeRow};
use prometheus::Registry;

use crate::banner::print;
use crate::config::Config;
use crate::database::Database;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::guard::Company;
use crate::key_files::KeyFiles;
use crate::{guard, logging, open_ledger, runtime, witnesses};

pub(crate) use flags::RecoverFlags;
use loss::Acceptance;
use progress::Shown;
use source::From;

mod flags;
mod http_client;
mod loss;
mod peer;
mod progress;
mod source;

/// Recovers the logs of a ledger.
pub(crate) fn run(config: &Config, flags: &RecoverFlags) -> Outcome<()> {
    logging::start(config)?;
    let from = flags.from.as_deref().map(From::parse).transpose()?;
    let database = Database::claim_existing(config)?;
    if let Some(from) = &from {
        from.check_is_another(&database)?;
    }
    let (key_files, witnessing) = (KeyFiles::locate(config)?, witnesses::witnessing(config)?);
    runtime()?.block_on(async {
        let store = database.open().await?;
        let name = ledger_name(config, &database, store.as_ref()).await?;
        database.refuse_servers(store.as_ref(), &name).await?;
        let guard = guard::start(config, &name, Company::Alone, &Registry::new())?;
        let known = recover::known_heads(guard.as_ref(), &name).await;
        let known = known.map_err(|error| failure(&database, &error))?;
        let Some(from) = &from else {
            let acceptance = Acceptance {
                config,
                database: &database,
                flags,
                key_files,
                witnessing,
                guard,
                known,
            };
            return acceptance.run(&name).await;
        };
        let source = from.open().await?;
        let forward = Forward {
            store: store.as_ref(),
            source: source.as_ref(),
            derive: &derive,
        };
        bring_forward(&database, &forward, &name, &known.newest).await
    })
}

/// Returns the name of the ledger that the settings mean.
async fn ledger_name(config: &Config, database: &Database, store: &dyn Store) -> Outcome<String> {
    let found = ledger::find_ledger(store, config.name.as_deref()).await;
    let found = found.map_err(|error| open_ledger::failure(database, &error))?;
    let name = found.and_then(|trees| trees.first().map(|tree: &TreeRow| tree.name.clone()));
    name.ok_or_else(|| {
        let absent = format_args!(
            "{database} holds no ledger: put a copy of the database in its place first"
        );
        Failure::new(FailureKind::Log, absent)
    })
}

/// Verifies all logs before anything is added to one of them.
async fn bring_forward(
    database: &Database,
    forward: &Forward<'_>,
    name: &str,
    floors: &[GuardedHead],
) -> Outcome<()> {
    let failed = |error: RecoverError| failure(database, &error);
    let mut plans = Vec::new();
    for api in ledger::APIS {
        let log = LogName {
            name,
            api: api.name,
        };
        let mut shown = Shown::new(name, api);
        let floor = floors.iter().find(|floor| floor.api == api.name);
        let plan = forward
            .plan(log, api, floor, &mut |progress| shown.show(progress))
            .await;
        plans.push(plan.map_err(failed)?);
    }
    if !plans.iter().any(|plan| plan.is_in_source) {
        let label = forward.source.label();
        let absent = format_args!("{label} holds no log of the ledger {name:?}");
        return Err(Failure::new(FailureKind::NotRecovered, absent));
    }
    if floors.is_empty() {
        print(
            "No guard says how far the logs had come: each is brought to the head of the source",
        )?;
    }
    for plan in &plans {
        if plan.steps.is_empty() {
            print(format_args!(
                "the {} log of {name} has all that the source has",
                plan.api
            ))?;
            continue;
        }
        announce(plan, name, &forward.source.label())?;
        let mut shown = Shown::new(name, plan.api);
        let done = forward
            .carry_out(plan, &mut |progress| shown.show(progress))
            .await;
        if let Some(recovered) = done.map_err(failed)? {
            report(plan.api, name, &recovered)?;
        }
    }
    Ok(())
}

fn announce(plan: &Plan, name: &str, label: &str) -> Outcome<()> {
    print(format_args!(
        "{label} extends the {} log of {name}: adding {} entries",
        plan.api,
        plan.entries()
    ))
}

fn report(api: &Api, name: &str, recovered: &Recovered) -> Outcome<()> {
    let Recovered { tree, size, root } = recovered;
    print(format_args!(
        "the {api} log of {name} is whole: tree {tree}, size {size}, root {root}"
    ))
}

/// Returns what leaf bytes say of an entry.
fn derive(leaf_bytes: &[u8]) -> Option<Derived> {
    let kind = entry::kind_of_leaf(leaf_bytes).ok()?;
    let index_keys = entry::index_keys_of_leaf(leaf_bytes).ok()?;
    Some(Derived {
        kind: kind.to_owned(),
        index_keys,
    })
}

/// Maps the reason why a log is not recovered to the message and exit code of the process.
fn failure(database: &Database, error: &RecoverError) -> Failure {
    let kind = match error {
        RecoverError::Store(error) => return database.failure(error),
        RecoverError::Signing(_) | RecoverError::UsedKey { .. } => FailureKind::Key,
        RecoverError::Unusable(_) => FailureKind::Usage,
        RecoverError::Source(_)
        | RecoverError::Behind(_)
        | RecoverError::OtherLedger(_)
        | RecoverError::OtherHistory(_)
        | RecoverError::Forked(_)
        | RecoverError::Overtaken => FailureKind::NotRecovered,
    };
    Failure::new(kind, error)
}
