//! Where a database is, without ever showing the password.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, FailureKind, Outcome};

/// Parameters of a URL that sqlx reads, but for `options[…]` and its second spellings.
const PARAMETERS: [&str; 13] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// A Postgres URL, which may hold a password. `Debug` and `Display` leave password and parameters out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Only a Postgres URL names a database: SQLite is what the data folder holds, with its lock beside it.
    pub(crate) fn check(&self) -> Outcome<()> {
        if self.0.starts_with("postgres://") || self.0.starts_with("postgresql://") {
            return self.check_parameters();
        }
        let remedy = "for SQLite leave it out and give data-dir";
        let message = format_args!("the database URL must start with postgres:// (got {self}); {remedy}");
        Err(Failure::new(FailureKind::Usage, message))
    }

    /// sqlx would pass over a name that it does not know, and log its value: `sslmod=verify-full` would connect without TLS,
    /// `pasword=…` would be in the log.
    fn check_parameters(&self) -> Outcome<()> {
        let query = self.0.split_once('?').map_or("", |(_, rest)| rest.split('#').next().unwrap_or_default());
        for name in query.split('&').filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty()) {
            let is_option = name.starts_with("options[") && name.ends_with(']');
            if !is_option && !PARAMETERS.contains(&name) {
                let known = PARAMETERS.join(", ");
                // An unescaped `?` in a password would make a name of the rest of it.
                let is_name = name.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'));
                let name = if is_name { name } else { "…" };
                let message =
                    format_args!("the database URL {self} has an unknown parameter {name:?}; known are {known}");
                return Err(Failure::new(FailureKind::Usage, message));
            }
        }
        Ok(())
    }

    /// The whole URL. Not for printing.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else { return f.write_str("(not a URL)") };
        let (rest, parameters) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        if !rest.contains('@') && parameters.contains('@') {
            // Perhaps an unescaped `?` or `#` in a password.
            return write!(f, "{scheme}://…");
        }
        // Everything before the last `@` is user and password: one with an unescaped `@` must not leak its end.
        let (user, host) = match rest.rsplit_once('@') {
            Some((credentials, host)) => (credentials.split(':').next(), host),
            None => (None, rest),
        };
        write!(f, "{scheme}://")?;
        user.filter(|user| !user.is_empty()).map_or(Ok(()), |user| write!(f, "{user}@"))?;
        f.write_str(host)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_parameters_are_refused_and_their_values_not_shown() {
        let check = |url: &str| DatabaseUrl(url.to_owned()).check().map_err(|failure| failure.to_string());
        for url in [
            "postgres://u@h/d",
            "postgres:///d?host=/run/postgresql&sslmode=verify-full&options[search_path]=x",
            "postgresql://h/d?#x=y",
        ] {
            assert_eq!(check(url), Ok(()));
        }
        let refused = check("postgres://u@h/d?sslmode=require&pasword=secret").unwrap_err();
        assert!(refused.contains("\"pasword\"") && !refused.contains("secret"), "{refused}");
        let refused = check("postgres://u:sec?ret@h/d").unwrap_err();
        assert!(!refused.contains("sec") && !refused.contains("ret"), "{refused}");
    }

    #[test]
    fn a_password_is_never_shown() {
        let cases = [
            ("postgres://u:secret@h:5432/d?password=secret", "postgres://u@h:5432/d"),
            ("postgres://u:se@secret@h/d", "postgres://u@h/d"),
            ("postgres://:secret@h/d#secret", "postgres://h/d"),
            ("postgres:///d?host=/tmp&password=secret", "postgres:///d"),
            ("postgres://u:sec?ret@h/d", "postgres://…"),
            ("postgres://u:sec#ret@h/d", "postgres://…"),
            ("secret", "(not a URL)"),
        ];
        for (url, shown) in cases {
            let url = DatabaseUrl(url.to_owned());
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }
}
