//! `treehead completions` and `treehead man`: files for shells and for `man`, made from the
//! definitions of the command line.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::Shell;

use crate::cli;
use crate::failure::{Explain as _, FailureKind, Outcome};

/// Flags of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsFlags {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManFlags {
    /// Folder for the pages, created if it is absent
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub out: PathBuf,
}

/// Prints the completions for a shell.
pub(crate) fn completions(shell: Shell) -> Outcome<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::definitions(), "treehead", &mut script);
    let written = std::io::stdout().write_all(&script);
    written.explain(FailureKind::Other, "stdout")
}

/// Writes one page for each command.
pub(crate) fn man(folder: &Path) -> Outcome<()> {
    fs::create_dir_all(folder).explain(FailureKind::Other, folder.display())?;
    let pages = clap_mangen::generate_to(cli::definitions(), folder);
    pages.explain(FailureKind::Other, folder.display())
}
