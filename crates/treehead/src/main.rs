//! treehead: a transparency log in one binary. Only wiring: what the commands do is in the crates
//! beside this one.

use std::panic;
use std::process::ExitCode;

use crate::cli::{Cli, Command, ConfigCommand, GuardCommand, LogArguments, LogCommand, Trust};
use crate::failure::{Explain, Failure, FailureKind, Outcome};

mod attest;
mod audit;
mod audit_pack;
mod banner;
mod check;
mod cli;
mod config;
mod create_ledger;
mod data_folder;
mod database;
mod database_url;
mod doctor;
mod failure;
mod file_digest;
mod fsck;
mod guard;
mod http_client;
mod init;
mod key_files;
mod listen;
mod log_add;
mod log_lines;
mod log_name;
mod logging;
mod migrate;
mod monitor;
mod notify;
mod open_ledger;
mod progress;
mod recover;
mod rotate;
mod search;
mod serve;
mod shell;
mod side_by_side;
mod stop;
mod subscriptions;
mod trust;
mod upload;
mod verify_lock;
mod version;
mod witness_role;
mod witnesses;

/// musl's own allocator is slow and fragments under many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    logging::report_panics();
    let outcome = panic::catch_unwind(|| Cli::read().and_then(run));
    let outcome = outcome.unwrap_or_else(|_| Err(Failure::new(FailureKind::Bug, "ended by a bug")));
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log_lines::line(format_args!("treehead: {failure}"));
            failure.exit_code()
        }
    };
    log_lines::finish();
    code
}

fn run(cli: Cli) -> Outcome<()> {
    let Cli { command, given } = cli;
    match command {
        Command::Serve => serve::run(&given.config()?),
        Command::Init => init::run(&given.config()?),
        Command::Log(LogArguments::Read(flags)) => check::head(&flags),
        Command::Log(LogArguments::Change(LogCommand::Add(flags))) => {
            log_add::run(&given.config()?, flags.api)
        }
        Command::Get(flags) => check::get(&flags),
        Command::Proof(flags) => check::proof(&flags),
        Command::Verify(flags) => check::verify(&flags),
        Command::VerifyLock(flags) => verify_lock::run(&flags),
        Command::Doctor(flags) => doctor::run(given, &flags),
        Command::Search(flags) => search::run(&flags),
        Command::Upload(flags) => upload::run(&flags),
        Command::Attest(flags) => attest::run(&flags),
        Command::Audit(flags) => audit::run(&flags),
        Command::AuditPack(flags) => audit_pack::run(&flags),
        Command::Migrate => migrate::run(&given.config()?),
        Command::Rotate(flags) => rotate::run(&given.config()?, &flags),
        Command::Recover(flags) => recover::run(&given.config()?, &flags),
        Command::Fsck => fsck::run(&given.config()?),
        Command::Guard(GuardCommand::Show) => guard::show::show(&given.config()?),
        Command::Guard(GuardCommand::Accept) => guard::accept::accept(&given.config()?),
        Command::Config(ConfigCommand::Check { file }) => config::check_file(&file),
        Command::Config(ConfigCommand::Show) => config::show(&given.config()?),
        Command::Config(ConfigCommand::Sample) => config::sample(),
        Command::Trust(Trust::Export(flags)) => trust::export(&given.config()?, &flags.out),
        Command::Monitor(flags) => monitor::run(&flags),
        Command::Witness(command) => witness_role::run(&command),
        Command::Completions(flags) => shell::completions(flags.shell),
        Command::Man(flags) => shell::man(&flags.out),
    }
}

/// Worker threads as many as there are processors: signature checks are what they do most.
fn runtime() -> Outcome<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .explain(FailureKind::Other, "threads")
}
