//! `treehead guard show`: the heads at each place of the guard. Changes nothing, and may run beside
//! servers.

use std::fmt::Write as _;

use ledger::guard::{FilePlace, GuardedHead, GuardedHeads, Place, PlaceError, Source};
use time::OffsetDateTime;

use super::MAX_FILES;
use super::named::NamedPlace;
use super::peer::Peer;
use super::s3::S3Place;
use crate::config::Config;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::{banner, data_folder, logging, runtime};

/// What a place has.
pub(crate) type Found = Result<Option<GuardedHeads>, PlaceError>;

/// Prints the heads at each place. Fails after that if a place cannot be read.
pub(crate) fn show(config: &Config) -> Outcome<()> {
    logging::start(config)?;
    let found = places(config)?;
    let mut faults = 0;
    for (label, found) in &found {
        faults += usize::from(found.is_err());
        banner::print(described(label, found))?;
    }
    if faults == 0 {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Guard,
        format_args!("{faults} of {} places cannot be read", found.len()),
    ))
}

/// Reads every place. Changes nothing.
pub(crate) fn places(config: &Config) -> Outcome<Vec<(String, Found)>> {
    let mut found: Vec<(String, Found)> = Vec::new();
    let folder = std::path::absolute(&config.data_dir).unwrap_or(config.data_dir.clone());
    for path in data_folder::guards(&folder, MAX_FILES) {
        let is_first = found.is_empty();
        if is_first || path.exists() {
            found.push((path.display().to_string(), FilePlace::read_only(&path)));
        }
    }
    for named in config.guard_places()? {
        let label = named.to_string();
        found.push((label, read(named)));
    }
    Ok(found)
}

fn read(place: NamedPlace) -> Found {
    match place {
        NamedPlace::File(path) => FilePlace::read_only(&path),
        NamedPlace::Object(url) => S3Place::new(url)?.read(),
        NamedPlace::Peer(url) => {
            let runtime = runtime().map_err(|failure| PlaceError(failure.to_string()))?;
            runtime.block_on(async { Peer::new(url)?.read().await })
        }
    }
}

fn described(label: &str, found: &Found) -> String {
    match found {
        Err(error) => format!("{label}: {error}"),
        Ok(None) => format!("{label}: no heads yet"),
        Ok(Some(heads)) => {
            let mut text = format!("{label}: the ledger {}", heads.ledger);
            for head in &heads.heads {
                // Writing to a text cannot fail.
                let _ = write!(text, "\n  {}", line_of(head));
            }
            text
        }
    }
}

/// Describes a head in one line.
pub(crate) fn line_of(head: &GuardedHead) -> String {
    format!(
        "{} log, tree {}: {} entries, root {}{}",
        head.api,
        head.tree,
        head.size(),
        head.root(),
        since(head.time)
    )
}

/// Returns the end of a line that says when a head was made. An empty tree has no time.
pub(super) fn since(time: i64) -> String {
    match OffsetDateTime::from_unix_timestamp(time) {
        Ok(at) if time != 0 => {
            let (hour, minute, second) = at.to_hms();
            let date = at.date();
            format!(", {date} {hour:02}:{minute:02}:{second:02} UTC")
        }
        _ => String::new(),
    }
}
