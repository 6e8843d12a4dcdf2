//! Lines of JSON, in a file or on the standard output.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::{SendError, in_background, write_line};

/// Where the lines go.
#[derive(Debug)]
pub(super) enum JsonLines {
    StandardOutput,
    File(Arc<Mutex<File>>),
}

impl JsonLines {
    /// Opens the file, and ends a line that a crash cut short.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, String> {
        let Some(path) = path else {
            return Ok(Self::StandardOutput);
        };
        let file = open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self::File(Arc::new(Mutex::new(file))))
    }

    /// Appends a line. On success a file has it durably, and otherwise not at all.
    pub(super) async fn write(&self, line: String) -> Result<(), SendError> {
        let Self::File(file) = self else {
            return write_line(line).await;
        };
        let file = Arc::clone(file);
        in_background(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let length = file.metadata()?.len();
            // Dies here: the file has a part of the line. The next start ends it, and writes the
            // whole line as a repeated one.
            let written = append(&mut file, &line);
            if written.is_err()
                && let Err(error) = file.set_len(length)
            {
                tracing::error!("a line that was not written whole cannot be cut off: {error}");
            }
            written
        })
        .await
    }
}

fn append(file: &mut File, line: &str) -> std::io::Result<()> {
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).read(true).open(path)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}
