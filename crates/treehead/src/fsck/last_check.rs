//! The record of the last `fsck`: a small file in the data folder, for `treehead doctor`.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ledger::store::TreeRow;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::version::VERSION;

const NAME: &str = "fsck.json";
/// The file has a line for each tree.
const MAX_BYTES: u64 = 1024 * 1024;

/// What an `fsck` that came to its end found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastCheck {
    /// When it ended, Unix seconds.
    pub time: i64,
    /// How many differences it found.
    pub differences: u64,
    /// The trees that it compared.
    trees: Vec<String>,
    /// The program that compared them.
    version: String,
}

impl LastCheck {
    pub(super) fn new(time: i64, differences: u64, trees: &[TreeRow]) -> Self {
        let trees = trees.iter().map(super::name_of);
        Self {
            time,
            differences,
            trees: trees.collect(),
            version: VERSION.to_owned(),
        }
    }

    /// Writes the record into the data folder, if there is one. That it cannot be written does not
    /// change what `fsck` found.
    pub(super) fn record(&self, folder: &Path) {
        if !folder.is_dir() {
            return;
        }
        if let Err(error) = self.write(folder) {
            let path = folder.join(NAME);
            tracing::warn!(
                "{} keeps an older result for `treehead doctor`: {error}",
                path.display()
            );
        }
    }

    /// A crash leaves the old file or the new one.
    fn write(&self, folder: &Path) -> io::Result<()> {
        let beside = folder.join(format!("{NAME}.new"));
        // A link would lead the write elsewhere.
        if beside.is_symlink() {
            return Err(io::Error::new(
                ErrorKind::AlreadyExists,
                "a symbolic link is in the way",
            ));
        }
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&beside, folder.join(NAME))?;
        File::open(folder)?.sync_all()
    }

    /// Reads the record, if there is one.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(folder.join(NAME)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text)?;
        Ok(Some(serde_json::from_str(&text)?))
    }
}

impl fmt::Display for LastCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at =
            OffsetDateTime::from_unix_timestamp(self.time).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (hour, minute, second) = at.to_hms();
        let found = match self.differences {
            0 => "no difference".to_owned(),
            1 => "1 difference".to_owned(),
            many => format!("{many} differences"),
        };
        let trees = self.trees.join(", ");
        let date = at.date();
        write!(
            f,
            "{date} {hour:02}:{minute:02}:{second:02} UTC, {found}: {trees}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_result_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(LastCheck::read(folder.path()).unwrap(), None);
        // What a crash left.
        fs::write(folder.path().join("fsck.json.new"), "half").unwrap();
        for differences in [0, 2] {
            let check = LastCheck {
                time: 1_795_384_279,
                differences,
                trees: vec!["a (v1 log, tree 7)".to_owned()],
                version: VERSION.to_owned(),
            };
            check.record(folder.path());
            assert_eq!(LastCheck::read(folder.path()).unwrap(), Some(check.clone()));
            assert!(
                check.to_string().starts_with("2026-11-22 21:51:19 UTC, "),
                "{check}"
            );
        }
        // A folder that is not there is not made.
        let absent = folder.path().join("absent");
        LastCheck::read(folder.path())
            .unwrap()
            .unwrap()
            .record(&absent);
        assert!(!absent.exists());
        fs::write(folder.path().join(NAME), "{").unwrap();
        LastCheck::read(folder.path()).unwrap_err();
    }
}
