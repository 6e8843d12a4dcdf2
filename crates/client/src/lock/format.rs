//! The formats of lock files, and why one cannot be read.

/// Most artefacts of one file: some ten times the largest lock files in public repositories.
pub const MAX_ARTEFACTS: usize = 200_000;

/// The format of a lock file, which its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockFormat {
    /// `package-lock.json` or `npm-shrinkwrap.json`.
    Npm,
    /// `pnpm-lock.yaml`.
    Pnpm,
    /// `Cargo.lock`.
    Cargo,
    /// `uv.lock`.
    Uv,
    /// `poetry.lock`.
    Poetry,
    /// `go.sum`.
    Go,
}

/// Why a lock file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The name says no format.
    #[error(
        "the name of a lock file is package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml, Cargo.lock, uv.lock, poetry.lock or go.sum"
    )]
    Name,
    /// The file is not in the format that its name says.
    #[error("it is not a {format}, or it is cut short: {reason}")]
    Content {
        /// The usual name of such a file.
        format: &'static str,
        /// The reason, from the parser.
        reason: String,
    },
    /// The file has more artefacts than are read.
    #[error("it has more than {MAX_ARTEFACTS} artefacts, the limit")]
    TooMany,
}

impl LockFormat {
    /// Returns the format that the name of a file says.
    ///
    /// # Errors
    ///
    /// The name is not one of a lock file.
    pub fn of_name(name: &str) -> Result<Self, LockError> {
        Ok(match name {
            "package-lock.json" | "npm-shrinkwrap.json" => Self::Npm,
            "pnpm-lock.yaml" => Self::Pnpm,
            "Cargo.lock" => Self::Cargo,
            "uv.lock" => Self::Uv,
            "poetry.lock" => Self::Poetry,
            "go.sum" => Self::Go,
            _ => return Err(LockError::Name),
        })
    }

    /// Returns the usual name of such a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Npm => "package-lock.json",
            Self::Pnpm => "pnpm-lock.yaml",
            Self::Cargo => "Cargo.lock",
            Self::Uv => "uv.lock",
            Self::Poetry => "poetry.lock",
            Self::Go => "go.sum",
        }
    }

    /// Returns the package URL of a version of a package.
    pub(super) fn purl(self, name: &str, version: &str) -> String {
        let kind = match self {
            Self::Npm | Self::Pnpm => "npm",
            Self::Cargo => "cargo",
            Self::Uv | Self::Poetry => "pypi",
            Self::Go => "golang",
        };
        format!("pkg:{kind}/{name}@{version}")
    }
}
