//! A file that another server keeps, as a source of the guard.

use std::path::PathBuf;

use async_trait::async_trait;
use ledger::guard::{FilePlace, GuardedHeads, PlaceError, Source};

/// The heads in a file that another server keeps, or kept. It is read without its lock.
pub(super) struct KeptFile(pub(super) PathBuf);

#[async_trait]
impl Source for KeptFile {
    fn label(&self) -> String {
        self.0.display().to_string()
    }

    async fn read(&self) -> Result<Option<GuardedHeads>, PlaceError> {
        FilePlace::read_only(&self.0)
    }
}
