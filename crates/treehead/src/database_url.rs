//! Where a database is, without ever showing the password.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, FailureKind, Outcome};

/// A Postgres URL, which may hold a password. `Debug` and `Display` leave password and parameters out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Only a Postgres URL names a database: SQLite is what the data folder holds, with its lock beside it.
    pub(crate) fn check(&self) -> Outcome<()> {
        if self.0.starts_with("postgres://") || self.0.starts_with("postgresql://") {
            return Ok(());
        }
        let remedy = "for SQLite leave it out and give data-dir";
        let message = format_args!("the database URL must start with postgres:// (got {self}); {remedy}");
        Err(Failure::new(FailureKind::Usage, message))
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
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
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
    fn a_password_is_never_shown() {
        let cases = [
            ("postgres://u:secret@h:5432/d?password=secret", "postgres://u@h:5432/d"),
            ("postgres://u:se@secret@h/d", "postgres://u@h/d"),
            ("postgres://:secret@h/d#secret", "postgres://h/d"),
            ("postgres:///d?host=/tmp&password=secret", "postgres:///d"),
            ("secret", "(not a URL)"),
        ];
        for (url, shown) in cases {
            let url = DatabaseUrl(url.to_owned());
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }
}
