//! The command line. A flag and its environment variable are one definition; a command takes only
//! those that it uses.

use std::path::PathBuf;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use ledger::Api;

use crate::attest::AttestFlags;
use crate::audit::AuditFlags;
use crate::audit_pack::flags::AuditPackFlags;
use crate::check::flags::{GetFlags, HeadFlags, ProofFlags};
use crate::check::verify::flags::VerifyFlags;
use crate::config::{Given, LogFormat};
use crate::doctor::DoctorFlags;
use crate::failure::{Explain, FailureKind, Outcome};
use crate::listen::ListenAddress;
use crate::log_name::api;
use crate::monitor::MonitorFlags;
use crate::recover::RecoverFlags;
use crate::rotate::RotateFlags;
use crate::search::SearchFlags;
use crate::shell::{CompletionsFlags, ManFlags};
use crate::upload::UploadFlags;
use crate::verify_lock::LockFlags;

mod flags;
mod invocation;

/// A transparency log in one binary, compatible with Sigstore's Rekor.
#[derive(Debug, Parser)]
#[command(name = "treehead", version = crate::version::VERSION, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// The settings that flags and environment gave.
    #[arg(skip)]
    pub given: Given,
}

/// The command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the ledger; create it first if there is none
    Serve,
    /// Create a ledger with its logs without starting the server; fails if one exists
    Init,
    /// Print the newest head of any log, and check that it continues the head seen last. With
    /// `add`: change the logs of a ledger
    Log(LogArguments),
    /// Fetch entries of any log, by index, ID or artifact, and verify that they are in it
    Get(GetFlags),
    /// Prove that an entry is in any log, or that a log only grew, and show the path
    Proof(ProofFlags),
    /// Verify a Sigstore bundle, an attestation, an entry or a proof in a file, without a network; or
    /// ask a log for the entries of an artifact
    Verify(Box<VerifyFlags>),
    /// Check which artefacts of a lock file are in any log, and by whom, and whether other bytes were
    /// logged under their names
    VerifyLock(LockFlags),
    /// Explain a bundle, entry, checkpoint, trusted root, key or the log at a URL: what it is, and
    /// what would make clients refuse it. Without a document, examine the server on this machine
    Doctor(DoctorFlags),
    /// Find entries by what they are about and who signed them, and verify each
    Search(SearchFlags),
    /// Log files in any log of Rekor, and verify the answers. Keeps in a queue what could not be
    /// sent
    Upload(UploadFlags),
    /// State something about packages, sign and log it, and write what their ecosystem expects
    Attest(AttestFlags),
    /// Read a whole log, derive every search key anew, and compare with what its search answers
    Audit(AuditFlags),
    /// Write the entries of a period of any log into one file that an auditor checks with SHA-256 and
    /// openssl alone
    AuditPack(Box<AuditPackFlags>),
    /// Bring the schema of the database up to date, for servers whose database role may not change
    /// it
    Migrate,
    /// Recompute everything from the leaf bytes up, compare every table, and name what differs. May
    /// run beside `serve`
    Fsck,
    /// Freeze the active tree of a log and open the next one under a new key, while servers run
    Rotate(RotateFlags),
    /// Show the guard, which remembers the newest heads outside the database
    #[command(subcommand)]
    Guard(GuardCommand),
    /// Bring a database that went back forward again, or go on without what it lost. No server may
    /// use it meanwhile
    Recover(RecoverFlags),
    /// Check, show and explain the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Export the trust material that clients need
    #[command(subcommand)]
    Trust(Trust),
    /// Follow logs: check every head, tell somebody of entries that rules match, and raise alarms
    /// with evidence
    Monitor(MonitorFlags),
    /// Cosign other logs' checkpoints (C2SP tlog-witness)
    #[command(subcommand)]
    Witness(WitnessCommand),
    /// Print the completions of this program for a shell
    Completions(CompletionsFlags),
    /// Write the manual pages of this program, one for each command
    Man(ManFlags),
}

/// `log` alone reads a log; with a command it changes a ledger.
#[derive(Debug)]
pub(crate) enum LogArguments {
    Read(HeadFlags),
    Change(LogCommand),
}

impl Args for LogArguments {
    fn augment_args(command: clap::Command) -> clap::Command {
        let command = LogCommand::augment_subcommands(HeadFlags::augment_args(command));
        command
            .args_conflicts_with_subcommands(true)
            .subcommand_negates_reqs(true)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LogArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand_name() {
            Some(_) => LogCommand::from_arg_matches(matches).map(Self::Change),
            None => HeadFlags::from_arg_matches(matches).map(Self::Read),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The command for the logs of a ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Create a log that the ledger lacks, with its keys. Servers serve it after a restart
    Add(LogAdd),
}

/// Flags of `log add`.
#[derive(Debug, Args)]
pub(crate) struct LogAdd {
    /// The API by which the log takes entries: v1 or v2
    #[arg(value_name = "LOG", value_parser = api)]
    pub api: &'static Api,
}

/// The commands for the guard.
#[derive(Debug, Subcommand)]
pub(crate) enum GuardCommand {
    /// Print the newest head of each log at each place of the guard. May run beside `serve`
    Show,
    /// Accept the database as the newest there is, after its heads were typed; for when nothing is
    /// left that knows how far its logs had come. Stop the server first
    Accept,
}

/// The command for the trust material.
#[derive(Debug, Subcommand)]
pub(crate) enum Trust {
    /// Write it into files, as `serve` answers it below /trust/. May run beside `serve`
    Export(Export),
}

/// Flags of `trust export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Folder for the files, created if it is absent
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub out: PathBuf,
}

/// The command for the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration file and the files that it names
    Check {
        /// The file, which is read as `--config` would read it
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print every setting with its value and where it comes from: flag, environment, file or
    /// default
    Show,
    /// Print a configuration file that explains every setting and shows its default
    Sample,
}

/// The witness role.
#[derive(Debug, Subcommand)]
pub(crate) enum WitnessCommand {
    /// Create a witness: its folder and its Ed25519 key; prints its vkey
    Init(WitnessInit),
    /// Print the vkey of a witness, for the policies of logs
    Vkey(WitnessFolder),
    /// Cosign the checkpoints of trusted logs
    Serve(WitnessServe),
}

/// Where a witness is.
#[derive(Debug, Args)]
pub(crate) struct WitnessFolder {
    /// Folder of its key and its state
    #[arg(
        long,
        env = "TREEHEAD_WITNESS_DIR",
        value_name = "FOLDER",
        default_value = "./treehead-witness"
    )]
    pub data_dir: PathBuf,
}

/// Flags of `witness init`.
#[derive(Debug, Args)]
pub(crate) struct WitnessInit {
    #[command(flatten)]
    pub folder: WitnessFolder,
    /// Name of the witness, a URL without scheme; it is in every cosignature and never changes
    #[arg(long, env = "TREEHEAD_WITNESS_NAME", value_name = "NAME")]
    pub name: String,
}

/// Flags of `witness serve`.
#[derive(Debug, Args)]
pub(crate) struct WitnessServe {
    #[command(flatten)]
    pub folder: WitnessFolder,
    /// File with the vkey of each trusted log, one a line, and its origin after a space where that
    /// is not the key's name
    #[arg(long, env = "TREEHEAD_WITNESS_LOGS", value_name = "FILE")]
    pub logs: PathBuf,
    /// Host and port of the witness
    #[arg(
        long,
        env = "TREEHEAD_WITNESS_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:3010"
    )]
    pub listen: ListenAddress,
    /// Host and port of the Prometheus metrics
    #[arg(
        long,
        env = "TREEHEAD_WITNESS_METRICS_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:2113"
    )]
    pub metrics_listen: ListenAddress,
    /// Log format (stderr)
    #[arg(long, env = "TREEHEAD_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// error, warn, info, debug or trace, or a list such as info,sqlx=warn
    #[arg(
        long,
        env = "TREEHEAD_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub log_level: String,
}

impl Cli {
    /// Reads the command line and the environment. Ends the process after `--help` and `--version`.
    pub(crate) fn read() -> Outcome<Self> {
        let command = command();
        let matches = invocation::parse(command.clone())?;
        let given = Given {
            warnings: invocation::unknown_variables(&command),
            ..invocation::given(&matches)
        };
        let cli = Self::from_arg_matches(&matches).explain(FailureKind::Usage, "flags")?;
        Ok(Self { given, ..cli })
    }
}

/// Returns the definitions of all commands and flags, for completions and manual pages.
pub(crate) fn definitions() -> clap::Command {
    command()
}

fn command() -> clap::Command {
    invocation::with_defaults(flags::with_settings(Cli::command(), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_hold_together() {
        command().debug_assert();
    }

    #[test]
    fn every_setting_is_a_flag_of_serve_and_of_config_show() {
        let config = command().find_subcommand("config").unwrap().clone();
        let show = config.find_subcommand("show").unwrap().clone();
        for command in [command().find_subcommand("serve").unwrap(), &show] {
            for setting in &crate::config::SETTINGS {
                let arg = command
                    .get_arguments()
                    .find(|arg| arg.get_long() == Some(setting.flag))
                    .unwrap();
                assert_eq!(arg.get_env().unwrap(), setting.variable().as_str());
            }
        }
    }
}
