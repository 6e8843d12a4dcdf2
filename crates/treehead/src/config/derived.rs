//! The types of the libraries, made from the texts and files of the settings.

use std::path::Path;

use host::{PublicUrl, PublicUrlError};
use ledger::Api;
use server::trust::{Others, TrustSettings};
use tlog::WitnessPolicy;

use super::fields::Config;
use super::layers::read_small;
use crate::database_url::DatabaseUrl;
use crate::failure::Outcome;
use crate::guard::named::NamedPlace;
use crate::subscriptions::Subscriptions;

/// The facts from which new logs of a ledger are made, beside their keys.
pub(crate) struct NewLogs<'a> {
    /// The name of the ledger.
    pub name: &'a str,
    /// The API of each log.
    pub apis: Vec<&'static Api>,
}

impl Config {
    /// Returns the database URL, from whichever of the two settings gives it. Without one the ledger
    /// is in SQLite.
    pub(crate) fn database_url(&self) -> Outcome<Option<DatabaseUrl>> {
        let Some(path) = &self.database_file else {
            return Ok(self.database.clone());
        };
        let text = self.read("database-file", path)?;
        let line = text.lines().next().unwrap_or_default();
        let url = DatabaseUrl::from(line.trim().to_owned());
        let checked = url.check();
        checked.map_err(|why| self.wrong_file("database-file", path, why))?;
        Ok(Some(url))
    }

    /// Returns the places of the guard beside the one in the data folder.
    pub(crate) fn guard_places(&self) -> Outcome<Vec<NamedPlace>> {
        let mut places: Vec<NamedPlace> = Vec::with_capacity(self.guard.len());
        for text in &self.guard {
            let place = text.parse();
            let place = place.map_err(|why: String| self.wrong("guard", why))?;
            if places.contains(&place) {
                return Err(self.wrong("guard", format_args!("{place} is named twice")));
            }
            places.push(place);
        }
        Ok(places)
    }

    /// Returns what a new ledger is made from. Its names never change, so more of them are refused
    /// here than for a ledger that exists.
    pub(crate) fn new_ledger(&self) -> Outcome<NewLogs<'_>> {
        let name = self.name.as_deref().unwrap_or(ledger::DEFAULT_NAME);
        ledger::check_new_name(name).map_err(|error| self.wrong("name", error))?;
        self.new_v2_name()?;
        let given = self.given_logs()?;
        let apis = given.unwrap_or_else(|| ledger::APIS.to_vec());
        Ok(NewLogs { name, apis })
    }

    /// Returns the host name of a new log for v2, if it has one of its own.
    pub(crate) fn new_v2_name(&self) -> Outcome<Option<&str>> {
        if let Some(name) = &self.v2_name {
            ledger::check_new_name(name).map_err(|error| self.wrong("v2-name", error))?;
        }
        Ok(self.v2_name.as_deref())
    }

    /// Returns the APIs of `logs`, if they are given, in the order in which logs are shown.
    pub(crate) fn given_logs(&self) -> Outcome<Option<Vec<&'static Api>>> {
        let Some(names) = &self.logs else {
            return Ok(None);
        };
        if let Some(name) = names.iter().find(|name| Api::by_name(name).is_none()) {
            let known = ledger::APIS.map(|api| api.name).join(", ");
            let unknown = format_args!("{name:?} is not a log; known are {known}");
            return Err(self.wrong("logs", unknown));
        }
        let is_named = |api: &&Api| names.iter().any(|name| name == api.name);
        Ok(Some(ledger::APIS.into_iter().filter(is_named).collect()))
    }

    /// Returns which entries are accepted.
    pub(crate) fn policy(&self) -> Outcome<entry::Policy> {
        let policy = entry::Policy::from_names(&self.client_signing_algorithms)
            .map_err(|error| self.wrong("client-signing-algorithms", error))?;
        match &self.enabled_entry_types {
            None => Ok(policy),
            Some(kinds) => policy
                .with_kinds(kinds)
                .map_err(|error| self.wrong("enabled-entry-types", error)),
        }
    }

    /// Returns the origins of web pages that may write.
    pub(crate) fn cors_origins(&self) -> Outcome<Vec<host::Origin>> {
        let origins = self.cors_origins.iter().map(|origin| origin.parse());
        let origins: Result<_, host::OriginError> = origins.collect();
        origins.map_err(|error| {
            let remedy = "public = true lets pages of all origins read";
            self.wrong("cors-origins", format_args!("{error}; {remedy}"))
        })
    }

    /// Returns the operations of the APIs that are served.
    pub(crate) fn operations(&self) -> Outcome<server::Operations> {
        match &self.enabled_api_endpoints {
            None => Ok(server::Operations::default()),
            Some(names) => server::Operations::from_names(names)
                .map_err(|error| self.wrong("enabled-api-endpoints", error)),
        }
    }

    /// Reads the witness policy.
    pub(crate) fn witness_policy(&self) -> Outcome<Option<WitnessPolicy>> {
        let Some(path) = &self.witness_policy else {
            return Ok(None);
        };
        let policy = WitnessPolicy::parse(&self.read("witness-policy", path)?);
        let policy = policy.map_err(|error| self.wrong_file("witness-policy", path, error))?;
        Ok(Some(policy))
    }

    /// Reads the descriptions of services that others run.
    pub(crate) fn others(&self) -> Outcome<Others> {
        let mut others = Others::default();
        if let Some(path) = &self.trusted_root_base {
            let text = self.read("trusted-root-base", path)?;
            let with_root = others.with_trusted_root(&text);
            others =
                with_root.map_err(|error| self.wrong_file("trusted-root-base", path, error))?;
        }
        if let Some(path) = &self.signing_config_base {
            let text = self.read("signing-config-base", path)?;
            let with_config = others.with_signing_config(&text);
            others =
                with_config.map_err(|error| self.wrong_file("signing-config-base", path, error))?;
        }
        Ok(others)
    }

    /// Reads the rules about new entries and the channels, with the secrets that they name.
    pub(crate) fn subscriptions(&self) -> Outcome<Option<Subscriptions>> {
        let Some(path) = &self.subscriptions else {
            return Ok(None);
        };
        let read = Subscriptions::read(path, &self.read("subscriptions", path)?);
        let read = read.map_err(|why| self.wrong_file("subscriptions", path, why))?;
        Ok(Some(read))
    }

    /// Returns the settings of the trust material for a ledger of this name whose APIs are at this port.
    pub(crate) fn trust(&self, others: Others, name: &str, port: u16) -> Outcome<TrustSettings> {
        let is_local = name == ledger::DEFAULT_NAME;
        let public_url = self
            .given_url()?
            .or_else(|| is_local.then(|| PublicUrl::http(name, port)));
        Ok(TrustSettings { public_url, others })
    }

    /// Returns `public-url`, if it is given.
    pub(super) fn given_url(&self) -> Outcome<Option<PublicUrl>> {
        let url = self.public_url.as_deref().map(str::parse).transpose();
        url.map_err(|error: PublicUrlError| self.wrong("public-url", error))
    }

    /// Reads the file of a setting.
    fn read(&self, setting: &str, path: &Path) -> Outcome<String> {
        read_small(path).map_err(|failure| self.wrong(setting, failure))
    }
}
