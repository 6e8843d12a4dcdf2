//! The flags of `doctor`.

use std::path::PathBuf;

use clap::Args;

use crate::check::flags::Format;

/// What is examined.
#[derive(Debug, Args)]
pub(crate) struct DoctorFlags {
    /// File with a document to explain (- is standard input), or URL of a log or of a document.
    /// Without it the server on this machine is examined, by the settings below
    #[arg(value_name = "FILE|URL")]
    pub document: Option<String>,
    /// File with keys with which entries and checkpoints of the document are verified: a trusted
    /// root (JSON), public keys in PEM, or vkeys. May be given several times
    #[arg(
        long,
        env = "TREEHEAD_TRUST",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub trust: Vec<PathBuf>,
    /// Text for people, or one JSON document
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}
