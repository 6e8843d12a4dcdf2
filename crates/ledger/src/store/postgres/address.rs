//! Database URLs: reading them, and warning of a way that is not safe.
//!
//! A URL may name several servers, as libpq reads them: `postgres://h1:5432,h2:5433/db`, or lists in
//! the parameters `host`, `hostaddr` and `port`. sqlx knows one server, so each gets a URL of its
//! own, in which everything else is the same.

use std::net::IpAddr;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::store::{StoreError, StoreResult};

/// Parses a URL. Returns the options of each server that it names, in its order; at least one. The
/// error names no part of the URL that could be secret.
pub(super) fn parse(url: &str) -> StoreResult<Vec<PgConnectOptions>> {
    let urls = urls_of_servers(url)?;
    urls.iter().map(|url| parse_one(url)).collect()
}

fn parse_one(url: &str) -> StoreResult<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| unusable(&format!("cannot be used: {error}")))?;
    // sqlx looks the brackets of an IPv6 address up as a part of a host name.
    let address = options
        .get_host()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .map(str::to_owned);
    Ok(match address {
        Some(address) => options.host(&address),
        None => options,
    })
}

fn unusable(reason: &str) -> StoreError {
    StoreError::Unusable(format!("the database URL {reason}"))
}

/// Returns a URL for each server.
fn urls_of_servers(url: &str) -> StoreResult<Vec<String>> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Ok(vec![url.to_owned()]);
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let tail = tail.split('#').next().unwrap_or_default();
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let hosts: Vec<&str> = hosts.split(',').collect();
    let parameters = parameters(query)?;
    let lists = parameters.iter().map(|(_, values)| values.len());
    let servers = lists.fold(hosts.len(), usize::max);
    let urls = (0..servers).map(|server| {
        let host = element(&hosts, server, servers)?;
        let mut url = format!("{scheme}://{user}{host}{path}");
        let mut mark = '?';
        for (name, values) in &parameters {
            let value = element(values, server, servers)?;
            url.push_str(&format!("{mark}{name}={value}"));
            mark = '&';
        }
        Ok(url)
    });
    urls.collect()
}

/// Returns the parameters, each with the list of its values: one, unless it may name several
/// servers.
fn parameters(query: &str) -> StoreResult<Vec<(&str, Vec<String>)>> {
    let mut parameters = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "host" | "hostaddr" | "port" => {
                let value = value.replace("%2C", ",").replace("%2c", ",");
                let values = value.split(',').map(str::to_owned);
                parameters.push((name, values.collect()));
            }
            // The primary is always looked for.
            "target_session_attrs" if matches!(value, "read-write" | "primary") => {}
            "target_session_attrs" => {
                return Err(unusable(
                    "has another target_session_attrs than read-write: a log is written to the primary, and commands that only \
                     read take any server without this parameter",
                ));
            }
            _ => parameters.push((name, vec![value.to_owned()])),
        }
    }
    Ok(parameters)
}

/// Returns the element of a list for this server. A list of one counts for all servers.
fn element<T: AsRef<str>>(list: &[T], server: usize, servers: usize) -> StoreResult<&str> {
    let element = match list {
        [one] => one.as_ref(),
        _ if list.len() == servers => list[server].as_ref(),
        _ => return Err(unusable("has lists of hosts or ports of different lengths")),
    };
    if list.len() > 1 && (element.is_empty() || element.starts_with(':')) {
        return Err(unusable("has an empty host in its list"));
    }
    Ok(element)
}

/// Returns the name of a server for messages.
pub(super) fn name(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// Warns where others on the way to the database could read or change what is sent.
pub(super) fn advise(options: &PgConnectOptions) {
    if let Some(advice) = advice(options) {
        tracing::warn!("{advice}");
    }
}

fn advice(options: &PgConnectOptions) -> Option<String> {
    let host = options.get_host();
    // Without a host sqlx takes the folder of the socket, if there is one.
    let is_here = host == "localhost"
        || host.starts_with('/')
        || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let is_verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
    if is_here || is_verified || options.get_socket().is_some() {
        return None;
    }
    Some(format!(
        "the connection to the database on {host} is not protected against others on the way (sslmode is {}): put \
         sslmode=verify-full into its URL, and sslrootcert=FILE if its certificate is not signed by a public authority",
        mode_name(options.get_ssl_mode())
    ))
}

fn mode_name(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(url: &str) -> Vec<String> {
        parse(url).unwrap().iter().map(name).collect()
    }

    #[test]
    fn an_ipv6_address_is_taken_out_of_its_brackets() {
        assert_eq!(
            servers("postgres://u@[2001:db8::1]:5433/d"),
            ["2001:db8::1:5433"]
        );
        assert_eq!(
            servers("postgres://u@db.example.org/d"),
            ["db.example.org:5432"]
        );
    }

    #[test]
    fn several_servers_are_read_as_libpq_reads_them() {
        for (url, wanted) in [
            (
                "postgres://u:p@h1,h2:5433,[::1]:5434/d",
                "h1:5432 h2:5433 ::1:5434",
            ),
            (
                "postgres://u@h1:1,h2:2/d?target_session_attrs=read-write&sslmode=require",
                "h1:1 h2:2",
            ),
            ("postgres:///d?host=h1,h2&port=5433,5434", "h1:5433 h2:5434"),
            ("postgres:///d?host=h1%2Ch2&port=5433", "h1:5433 h2:5433"),
            ("postgres:///d?host=/run/a,/run/b", "/run/a /run/b"),
            ("postgres://%2Frun%2Fa,h2:5433/d", "/run/a h2:5433"),
            ("postgres://u@h1/d?target_session_attrs=primary", "h1:5432"),
        ] {
            assert_eq!(servers(url).join(" "), wanted, "{url}");
        }
        let both = parse("postgres://u:p@h1,h2/d?sslmode=require#x").unwrap();
        for options in both {
            assert_eq!(options.get_username(), "u");
            assert_eq!(options.get_database(), Some("d"));
            assert!(matches!(options.get_ssl_mode(), PgSslMode::Require));
        }
    }

    #[test]
    fn lists_that_do_not_fit_and_other_targets_are_refused() {
        for (url, wanted) in [
            ("postgres://u@h1,/d", "empty host"),
            ("postgres://u@:1,h2:2/d", "empty host"),
            ("postgres:///d?host=h1,h2,h3&port=1,2", "different lengths"),
            (
                "postgres://u@h1,h2/d?target_session_attrs=standby",
                "read-write",
            ),
            (
                "postgres://u@h1,h2/d?target_session_attrs=any",
                "read-write",
            ),
            ("postgres://u@h1,h2:99999/d", "invalid port"),
        ] {
            let refused = parse(url).unwrap_err().to_string();
            assert!(refused.contains(wanted), "{url}: {refused}");
        }
    }

    #[test]
    fn a_way_that_others_share_asks_for_a_verified_certificate() {
        for (url, is_warned_of) in [
            ("postgres://u@db/d", true),
            ("postgres://u@db/d?sslmode=require", true),
            ("postgres://u@db/d?sslmode=verify-ca", true),
            ("postgres://u@db/d?sslmode=verify-full", false),
            ("postgres://u@localhost/d", false),
            ("postgres://u@127.0.0.1/d", false),
            ("postgres://u@[::1]/d", false),
            ("postgres:///d?host=/run/postgresql", false),
            ("postgres://u@%2Frun%2Fpostgresql/d", false),
        ] {
            assert_eq!(
                advice(&parse(url).unwrap()[0]).is_some(),
                is_warned_of,
                "{url}"
            );
        }
    }
}
