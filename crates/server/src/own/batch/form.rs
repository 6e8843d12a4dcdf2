//! The API that a proposed entry is written for. It decides the log, and the form of the result.

use std::sync::Arc;

use entry::ProposedEntry;
use http::Uri;
use ledger::{Appended, Log, LoggedEntry};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::failure::NoLog;
use crate::operation::Operation;
use crate::v1::entries::CreateError;
use crate::v2::error::Error;
use crate::{v1, v2};

/// An API with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    V1,
    V2,
}

/// Why an entry is not in the log, as its API says it.
pub(super) enum Refused {
    V1(CreateError),
    V2(Error),
}

impl Form {
    /// Returns the log of this API.
    pub(super) fn log(self, app: &App) -> Result<&Log, NoLog> {
        match self {
            Self::V1 => app.v1(),
            Self::V2 => app.v2(),
        }
    }

    /// Returns the places in the queue of that log.
    pub(super) fn places(self, app: &App) -> &Arc<Semaphore> {
        match self {
            Self::V1 => &app.v1_batch_places,
            Self::V2 => &app.v2_batch_places,
        }
    }

    pub(super) fn parse(self, json: &[u8]) -> Result<ProposedEntry, entry::Refusal> {
        match self {
            Self::V1 => ProposedEntry::from_json(json),
            Self::V2 => ProposedEntry::from_v2_json(json),
        }
    }

    /// Returns an error in the words of this API.
    pub(super) fn refuse<E>(self, error: E) -> Refused
    where
        CreateError: From<E>,
        Error: From<E>,
    {
        match self {
            Self::V1 => Refused::V1(error.into()),
            Self::V2 => Refused::V2(error.into()),
        }
    }

    /// Returns the entry to answer with, and counts it if it is new.
    ///
    /// # Errors
    ///
    /// The entry was in the log already, and this API answers that with a conflict.
    pub(super) fn conflict_or_entry(
        self,
        app: &App,
        appended: Appended,
    ) -> Result<LoggedEntry, Refused> {
        match self {
            Self::V1 => {
                let uri = Uri::from_static(Operation::CreateLogEntry.path());
                v1::entries::conflict_or_entry(app, appended, &uri).map_err(Refused::V1)
            }
            Self::V2 => v2::entries::conflict_or_entry(app, appended).map_err(Refused::V2),
        }
    }
}
