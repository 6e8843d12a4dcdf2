//! Whether the values of a configuration make sense, and whether the files that it names are there.

use std::ops::RangeInclusive;
use std::path::Path;

use super::bytes::Bytes;
use super::fields::Config;
use super::values::{Uniqueness, Unjudged};
use crate::banner::print;
use crate::failure::Outcome;
use crate::logging;

/// Most that `max-body-bytes` may be, 1 GiB: room for a whole body is taken at once where its
/// length is declared.
const MAX_BODY_BYTES: u64 = 1024 * 1024 * 1024;
/// Most that `max-connections` may be: as many descriptors as Linux gives one process
/// (`fs.nr_open`).
const MAX_CONNECTIONS: usize = 1024 * 1024;
/// Later than that, writes are refused anyway.
const FAIL_OPEN_SECONDS: RangeInclusive<u64> = 1..=ledger::MAX_UNPUBLISHED_TIME.as_secs();

/// `config check`: says on stdout that the file is in order, or fails with what is wrong and where.
/// It warns of what only some commands would refuse.
pub(crate) fn check_file(path: &Path) -> Outcome<()> {
    let config = Config::from_file(path)?;
    for warning in config.check_surroundings()? {
        print(format_args!("warning: {warning}"))?;
    }
    print(format_args!("{}: OK", path.display()))
}

impl Config {
    /// Looks at the values alone.
    pub(super) fn check(&self) -> Outcome<()> {
        if self.database.is_some() && self.database_file.is_some() {
            return Err(self.wrong(
                "database-file",
                "database is given as well: give one of the two",
            ));
        }
        if let Some(url) = &self.database {
            url.check().map_err(|why| self.wrong("database", why))?;
        }
        if let Some(name) = &self.name {
            ledger::check_name(name).map_err(|error| self.wrong("name", error))?;
        }
        if let Some(name) = &self.v2_name {
            ledger::check_name(name).map_err(|error| self.wrong("v2-name", error))?;
        }
        if self.metrics_listen.excludes(&self.listen) {
            let taken = format_args!(
                "{} is the address of listen: metrics need a port of their own",
                self.metrics_listen
            );
            return Err(self.wrong("metrics-listen", taken));
        }
        if self.unique_packages == Uniqueness::Off
            && self.unique_packages_unjudged == Unjudged::Refuse
        {
            return Err(self.wrong(
                "unique-packages-unjudged",
                "nothing is judged while unique-packages is off",
            ));
        }
        self.check_lists()?;
        self.given_logs()?;
        self.guard_places()?;
        self.policy()?;
        self.given_url()?;
        self.operations()?;
        self.check_limits()?;
        self.cors_origins()?;
        logging::filter(&self.log_level)
            .map(drop)
            .map_err(|why| self.wrong("log-level", why))
    }

    /// A list of nothing would refuse every entry or every request, which nobody means.
    fn check_lists(&self) -> Outcome<()> {
        let lists = [
            ("logs", self.logs.as_ref(), "for all logs"),
            (
                "client-signing-algorithms",
                Some(&self.client_signing_algorithms),
                "for Rekor's default",
            ),
            (
                "enabled-entry-types",
                self.enabled_entry_types.as_ref(),
                "to accept all kinds",
            ),
            (
                "enabled-api-endpoints",
                self.enabled_api_endpoints.as_ref(),
                "to serve all operations",
            ),
        ];
        for (setting, list, meaning) in lists {
            if list.is_some_and(Vec::is_empty) {
                return Err(self.wrong(
                    setting,
                    format_args!("the list is empty; leave the setting out {meaning}"),
                ));
            }
        }
        Ok(())
    }

    fn check_limits(&self) -> Outcome<()> {
        let Bytes(body) = self.max_body_bytes;
        if !(1..=MAX_BODY_BYTES).contains(&body) {
            return Err(self.wrong(
                "max-body-bytes",
                format_args!("{body}: 1 to {MAX_BODY_BYTES} expected"),
            ));
        }
        let (Bytes(attestation), most) = (
            self.max_attestation_bytes,
            server::settings::MAX_ATTESTATION_BYTES,
        );
        if attestation > most {
            return Err(self.wrong(
                "max-attestation-bytes",
                format_args!("{attestation}: 0 to {most} expected"),
            ));
        }
        for (setting, connections) in [
            ("max-connections", self.max_connections),
            (
                "max-connections-per-address",
                self.max_connections_per_address,
            ),
        ] {
            if !(1..=MAX_CONNECTIONS).contains(&connections) {
                return Err(self.wrong(
                    setting,
                    format_args!("{connections}: 1 to {MAX_CONNECTIONS} expected"),
                ));
            }
        }
        let Some(seconds) = self.witness_fail_open_seconds else {
            return Ok(());
        };
        if !FAIL_OPEN_SECONDS.contains(&seconds) {
            return Err(self.wrong(
                "witness-fail-open-seconds",
                format_args!("{seconds}: 1 to 10 expected"),
            ));
        }
        if self.witness_policy.is_none() {
            return Err(self.wrong(
                "witness-fail-open-seconds",
                "there is no witness-policy, whose quorum it is about",
            ));
        }
        Ok(())
    }

    /// Looks at what `serve` would find besides: the files that are named, and whether a new ledger
    /// could have the name. Returns the warnings.
    fn check_surroundings(&self) -> Outcome<Vec<String>> {
        let mut warnings = Vec::new();
        if let Err(failure) = self.new_ledger() {
            warnings.push(format!(
                "{failure}; a ledger that has this name is served all the same"
            ));
        }
        self.witness_policy()?;
        self.others()?;
        self.subscriptions()?;
        self.database_url()?;
        if let Some(folder) = &self.key_dir {
            let shown = folder.display();
            if !folder.exists() {
                let absent = format_args!("{shown} is not there; `treehead rotate` makes it");
                warnings.push(self.wrong("key-dir", absent).to_string());
            } else if !folder.is_dir() {
                return Err(self.wrong("key-dir", format_args!("{shown} is no folder")));
            }
        }
        Ok(warnings)
    }
}
