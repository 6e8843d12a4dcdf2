//! The flags of the commands that log something.

use std::path::PathBuf;

use clap::Args;
use client::upload::Kind;

use crate::check::flags::LogFlags;

/// Flags of `upload`.
#[derive(Debug, Args)]
pub(crate) struct UploadFlags {
    /// Files to log. None: what the queue holds
    #[arg(value_name = "FILE", required_unless_present = "queue")]
    pub files: Vec<PathBuf>,
    /// Kind of the entries: hashedrekord, rekord, dsse, intoto, rpm, alpine, helm, jar, cose,
    /// rfc3161, tuf, or entry for a request in JSON. Unset: found out from the files
    #[arg(long = "type", value_name = "KIND")]
    pub kind: Option<Kind>,
    /// Signature over the file; one for each file, in their order
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub signature: Vec<PathBuf>,
    /// Public key of the signature or package: PEM, OpenPGP, minisign, SSH, or a TUF root
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "certificate"])]
    pub public_key: Option<PathBuf>,
    #[command(flatten)]
    pub signing: SigningFlags,
    /// Write a Sigstore bundle of the only file here
    #[arg(long, value_name = "FILE", conflicts_with = "bundle_dir")]
    pub bundle: Option<PathBuf>,
    /// Write a Sigstore bundle of each file into this folder, as NAME.sigstore.json
    #[arg(long, value_name = "FOLDER")]
    pub bundle_dir: Option<PathBuf>,
    #[command(flatten)]
    pub to: LogToFlags,
}

/// Who signs.
#[derive(Debug, Args)]
pub(crate) struct SigningFlags {
    /// Sign with this private key in PEM: ECDSA P-256 or P-384, or Ed25519
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Certificate of the signer in PEM, with its chain or without
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// Put a time stamp (RFC 3161) of this authority into the bundle: a certificate in Rekor v2
    /// needs one
    #[arg(long, value_name = "URL")]
    pub timestamp_url: Option<String>,
}

/// Where entries are sent.
#[derive(Debug, Args)]
pub(crate) struct LogToFlags {
    /// Folder that keeps entries until they are in the log. What an earlier call left there is sent
    /// too
    #[arg(long, env = "TREEHEAD_QUEUE", value_name = "FOLDER")]
    pub queue: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogFlags,
}
