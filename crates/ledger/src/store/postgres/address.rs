//! Database URLs: reading them, and warning of a way that is not safe.

use std::net::IpAddr;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::store::{StoreError, StoreResult};

/// Parses a URL. The error names no part of it.
pub(super) fn parse(url: &str) -> StoreResult<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        StoreError::Unusable(format!("the database URL cannot be used: {error}"))
    })?;
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
        name(options.get_ssl_mode())
    ))
}

fn name(mode: PgSslMode) -> &'static str {
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

    #[test]
    fn an_ipv6_address_is_taken_out_of_its_brackets() {
        let options = parse("postgres://u@[2001:db8::1]:5433/d").unwrap();
        assert_eq!(
            (options.get_host(), options.get_port()),
            ("2001:db8::1", 5433)
        );
        assert_eq!(
            parse("postgres://u@db.example.org/d").unwrap().get_host(),
            "db.example.org"
        );
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
                advice(&parse(url).unwrap()).is_some(),
                is_warned_of,
                "{url}"
            );
        }
    }
}
