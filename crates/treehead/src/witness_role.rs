//! `treehead witness`: the role of a witness, in a folder of its own that no log shares.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ledger::key_file::{self, KeyFileError};
use ledger::{Clock, SystemClock};
use prometheus::Registry;
use ring::rand::SystemRandom;
use tlog::{KeyAlgorithm, SigningKey, WitnessKey};
use witness::{Logs, State, Witness};

use crate::cli::{WitnessCommand, WitnessFolder, WitnessInit, WitnessServe};
use crate::config::read_small;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::{banner, data_folder, log_lines, logging, notify, runtime, serve, stop};

/// The names of the files in the folder.
const KEY_NAME: &str = "witness-key.pem";
const NAME_NAME: &str = "witness-name";
const STATE_NAME: &str = "witness.db";

pub(crate) fn run(command: &WitnessCommand) -> Outcome<()> {
    match command {
        WitnessCommand::Init(flags) => init(flags),
        WitnessCommand::Vkey(folder) => banner::print(Identity::read(&folder.data_dir)?.vkey()?),
        WitnessCommand::Serve(flags) => {
            logging::start_with(flags.log_format, &flags.log_level)?;
            runtime()?.block_on(serve_witness(flags))
        }
    }
}

/// Key and name of a witness.
struct Identity {
    name: String,
    key: SigningKey,
}

impl Identity {
    fn read(folder: &Path) -> Outcome<Self> {
        let path = folder.join(NAME_NAME);
        let name = fs::read_to_string(&path).map_err(|error| {
            let what = "there is no witness here; `treehead witness init` makes one";
            Failure::new(
                FailureKind::Key,
                format_args!("{}: {error}: {what}", path.display()),
            )
        })?;
        let key = key_file::read(
            &folder.join(KEY_NAME),
            &[KeyAlgorithm::Ed25519],
            &SystemRandom::new(),
        )
        .map_err(key_failure)?;
        Ok(Self {
            name: name.trim_end().to_owned(),
            key,
        })
    }

    fn vkey(&self) -> Outcome<WitnessKey> {
        WitnessKey::new(&self.name, self.key.verifying_key().clone())
            .explain(FailureKind::Usage, &self.name)
    }
}

/// Makes what is missing and replaces nothing. The name comes last: if we die before it, `init` may
/// be run again.
fn init(flags: &WitnessInit) -> Outcome<()> {
    let folder = data_folder::create(&flags.folder.data_dir)?;
    let path = folder.join(NAME_NAME);
    if path.exists() {
        let which = Identity::read(&folder)?.vkey()?;
        return Err(Failure::new(
            FailureKind::Key,
            format_args!("{} holds a witness already: {which}", folder.display()),
        ));
    }
    let (key, _) = key_file::read_or_make(
        &folder.join(KEY_NAME),
        &[KeyAlgorithm::Ed25519],
        &SystemRandom::new(),
    )
    .map_err(key_failure)?;
    let identity = Identity {
        name: flags.name.clone(),
        key,
    };
    let vkey = identity.vkey()?;
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    let written = file
        .and_then(|mut file| writeln!(file, "{}", identity.name).and_then(|()| file.sync_all()));
    written.explain(FailureKind::Other, path.display())?;
    banner::print(vkey)
}

async fn serve_witness(flags: &WitnessServe) -> Outcome<()> {
    let stop = stop::on_signal()?;
    let WitnessFolder { data_dir } = &flags.folder;
    let identity = Identity::read(data_dir)?;
    let vkey = identity.vkey()?;
    let folder = data_folder::create(data_dir)?;
    data_folder::warn_of_exposure(&folder)?;
    // Two processes on one state would race each other's memory of it, and a copied folder is a
    // second witness.
    let _lock = data_folder::lock(&folder)?;
    let logs =
        Logs::parse(&read_small(&flags.logs)?).explain(FailureKind::Usage, flags.logs.display())?;
    let listener = flags.listen.bind("listen").await?;
    let metrics_listener = flags.metrics_listen.bind("metrics-listen").await?;
    let path: PathBuf = folder.join(STATE_NAME);
    let state = State::open(&path)
        .await
        .explain(FailureKind::DatabaseUnusable, path.display())?;
    let clock = || u64::try_from(SystemClock.unix_millis() / 1_000).unwrap_or(0);
    let witness = Witness::new(&identity.name, identity.key, logs, state, Box::new(clock))
        .explain(FailureKind::Usage, &identity.name)?;
    let registry = Registry::new();
    log_lines::register(&registry).explain(FailureKind::Other, "metrics")?;
    let bound = |listener: &tokio::net::TcpListener| {
        listener
            .local_addr()
            .explain(FailureKind::Address, "listen")
    };
    let text = format!(
        "{vkey}\n{}",
        banner::witness_listening(bound(&listener)?, bound(&metrics_listener)?)
    );
    banner::show(text)?;
    tracing::info!(%vkey, "witnessing");
    notify::ready();
    let role = witness::role(witness, registry).explain(FailureKind::Other, "metrics")?;
    let served = host::serve(listener, metrics_listener, role, stop.cancelled(), async {});
    served.await.map_err(|error| serve::serve_failure(&error))
}

fn key_failure(error: KeyFileError) -> Failure {
    Failure::new(FailureKind::Key, error)
}
