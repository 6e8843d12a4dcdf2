//! The text that a start prints on stdout: where everything is, and lines to try it with.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use ledger::{HeadForm, Tree};
use tlog::NoteKey;

use crate::failure::{Explain, FailureKind, Outcome};
use crate::version::VERSION;

pub(crate) use examples::examples;

mod examples;

/// Facts about a ledger.
pub(crate) struct Facts<'a> {
    pub name: &'a str,
    /// The database, without its password.
    pub database: &'a dyn Display,
    /// Whether this start created the ledger.
    pub history: History,
    pub logs: Vec<LogFacts>,
}

/// Facts about a log.
pub(crate) struct LogFacts {
    /// The active tree.
    pub tree: Arc<Tree>,
    /// The files of its keys, or the folder that holds them.
    pub log_key: PathBuf,
    pub checkpoint_key: PathBuf,
}

/// Whether this start created the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    /// This start created the ledger.
    New,
    /// The ledger existed.
    Known,
}

/// Writes a text to stdout.
pub(crate) fn print(text: impl Display) -> Outcome<()> {
    writeln!(io::stdout(), "{text}").explain(FailureKind::Other, "stdout")
}

/// Writes a text to stdout in the background: a server must serve even if nobody reads its stdout.
pub(crate) fn show(text: String) -> Outcome<()> {
    let write = move || {
        if let Err(error) = print(text) {
            tracing::warn!(%error, "the banner cannot be printed");
        }
    };
    thread::Builder::new()
        .name("banner".to_owned())
        .spawn(write)
        .map(drop)
        .explain(FailureKind::Other, "threads")
}

impl Display for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = match self.history {
            History::New => "created a new ledger",
            History::Known => "opened the ledger",
        };
        writeln!(f, "treehead {VERSION} {made}:")?;
        writeln!(f, "  name            {}", self.name)?;
        writeln!(f, "  database        {}", self.database)?;
        self.logs.iter().try_for_each(|log| write!(f, "{log}"))?;
        if self.history == History::New {
            writeln!(
                f,
                "Keep a copy of each key file in a safe place: without it nobody can continue its log."
            )?;
            if self.name == ledger::DEFAULT_NAME {
                writeln!(
                    f,
                    "This name is for trying things out. A ledger's name is given once, when it is created, and never changes:"
                )?;
                writeln!(
                    f,
                    "  treehead serve --name log.example.org --data-dir another-folder"
                )?;
            }
        }
        Ok(())
    }
}

impl Display for LogFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tree = &self.tree;
        writeln!(f, "{} log", tree.api)?;
        writeln!(f, "  tree ID         {}", tree.id)?;
        writeln!(f, "  log ID          {}", tree.log_id)?;
        writeln!(f, "  log key         {}", self.log_key.display())?;
        if tree.api.heads == HeadForm::RekorV1 {
            write!(f, "{}", tree.public_key_pem)?;
            writeln!(f, "  checkpoint key  {}", self.checkpoint_key.display())?;
        }
        // A stored origin is the name of a key, or the tree could not be read.
        if let Ok(vkey) = NoteKey::new(&tree.origin, tree.checkpoint_key.clone()) {
            writeln!(f, "  vkey            {vkey}")?;
        }
        Ok(())
    }
}

/// Returns where the server listens. Programs may read the addresses from these two lines.
pub(crate) fn listening(api: SocketAddr, metrics: SocketAddr) -> String {
    format!("API      http://{api}\nmetrics  http://{metrics}/metrics")
}

/// Returns where a witness listens, likewise.
pub(crate) fn witness_listening(witness: SocketAddr, metrics: SocketAddr) -> String {
    format!("witness  http://{witness}\nmetrics  http://{metrics}/metrics")
}
