//! `treehead migrate`: brings the schema up to date, with a database role that may change it.

use crate::config::Config;
use crate::failure::Outcome;
use crate::open::Place;
use crate::{banner, logging, runtime};

/// Migrates, and makes no log. A SQLite database must be there, and no server may use it.
pub(crate) fn run(config: &Config) -> Outcome<()> {
    logging::start(config)?;
    Place::existing(config)?;
    let place = Place::claim(config)?;
    runtime()?.block_on(place.open())?;
    banner::print(format_args!("{place}: the schema is up to date"))
}
