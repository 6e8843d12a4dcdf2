//! Where a database is, without ever showing the password.

use std::fmt;

use ledger::store::postgres::PostgresStore;
use serde::{Deserialize, Serialize};

/// Parameters of a URL that the store reads, but for `options[…]` and second spellings.
const PARAMETERS: [&str; 14] = [
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
    "target_session_attrs",
    "user",
];

/// A Postgres URL, which may hold a password. `Debug` and `Display` leave password and parameters
/// out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Only a Postgres URL names a database: SQLite is what the data folder holds, with its lock
    /// beside it.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.0.starts_with("postgres://") && !self.0.starts_with("postgresql://") {
            return Err(format!(
                "must start with postgres:// (got {self}); for SQLite leave it out and give data-dir"
            ));
        }
        let parts = self.parts();
        if parts.is_unclear() {
            return Err(format!(
                "{self} has an '@' after its host: a password with /, ? or # in it spells them %2F, %3F, %23"
            ));
        }
        self.check_parameters()?;
        PostgresStore::check_url(&self.0).map_err(|error| format!("{self}: {error}"))
    }

    /// sqlx would pass over a name that it does not know, and log its value: `sslmod=verify-full`
    /// would connect without TLS, `pasword=…` would be in the log.
    fn check_parameters(&self) -> Result<(), String> {
        for (name, _) in self.parts().parameters() {
            if !is_parameter(name) {
                let known = PARAMETERS.join(", ");
                // An unescaped `?` in a password would make a name of the rest of it.
                let is_name = name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'));
                let name = if is_name { name } else { "…" };
                return Err(format!(
                    "{self} has an unknown parameter {name:?}; known are {known}"
                ));
            }
        }
        Ok(())
    }

    /// Whether there is a password in it, wherever it stands.
    pub(crate) fn has_password(&self) -> bool {
        let parts = self.parts();
        let in_parameters = parts.parameters().any(|(name, _)| name == "password");
        in_parameters
            || parts
                .credentials
                .is_some_and(|credentials| credentials.contains(':'))
    }

    /// The whole URL. Not for printing.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> Parts<'_> {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (path, query) = tail.split_at(tail.find(['?', '#']).unwrap_or(tail.len()));
        // The last `@`: a password with an unescaped one must not leak its end.
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, authority),
        };
        Parts {
            scheme,
            credentials,
            host,
            path,
            query,
        }
    }
}

/// The parts of a URL, as written.
struct Parts<'a> {
    scheme: &'a str,
    credentials: Option<&'a str>,
    host: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    /// Whether a part that is shown may be the rest of a password with an unescaped `/`, `?` or `#`
    /// in it.
    fn is_unclear(&self) -> bool {
        let (query, fragment) = self.query.split_once('#').unwrap_or((self.query, ""));
        let is_in_query =
            query.contains('@') && !self.parameters().all(|(name, _)| is_parameter(name));
        self.path.contains('@') || fragment.contains('@') || is_in_query
    }

    /// Returns the hosts, but nothing after a port that is none: it may be the password of a URL whose
    /// host was forgotten.
    fn host_shown(&self) -> String {
        let mut shown = Vec::new();
        for host in self.host.split(',') {
            if let Some((name, port)) = host.rsplit_once(':')
                && !port.bytes().all(|byte| byte.is_ascii_digit())
                && !port.ends_with(']')
            {
                shown.push(format!("{name}:…"));
                break;
            }
            shown.push(host.to_owned());
        }
        shown.join(",")
    }

    fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let query = self.query.strip_prefix('?').unwrap_or_default();
        let query = query.split('#').next().unwrap_or_default();
        let pairs = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(|(name, _)| !name.is_empty())
    }
}

impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

fn is_parameter(name: &str) -> bool {
    PARAMETERS.contains(&name) || (name.starts_with("options[") && name.ends_with(']'))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        let Parts {
            scheme,
            credentials,
            path,
            ..
        } = parts;
        if scheme.is_empty() {
            return f.write_str("(not a URL)");
        }
        if parts.is_unclear() {
            return write!(f, "{scheme}://…");
        }
        let user = credentials
            .and_then(|credentials| credentials.split(':').next())
            .unwrap_or_default();
        let at = if user.is_empty() { "" } else { "@" };
        write!(f, "{scheme}://{user}{at}{}{path}", parts.host_shown())
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
        let check = |url: &str| DatabaseUrl(url.to_owned()).check();
        for url in [
            "postgres://u@h/d",
            "postgres:///d?host=/run/postgresql&sslmode=verify-full&options[search_path]=x",
            "postgresql://h/d?#x=y",
            "postgres://u:p@[::1]:5432/d",
            "postgres://h:5432/d?user=me@provider",
            "postgres://u:p@h1:5432,h2:5432/d?target_session_attrs=read-write",
        ] {
            assert_eq!(check(url), Ok(()));
        }
        let refused = check("postgres://u@h/d?sslmode=require&pasword=secret").unwrap_err();
        assert!(
            refused.contains("\"pasword\"") && !refused.contains("secret"),
            "{refused}"
        );
        let refused = check("postgres://u:sec?ret@h/d").unwrap_err();
        assert!(
            !refused.contains("sec") && !refused.contains("ret"),
            "{refused}"
        );
    }

    #[test]
    fn a_url_that_leads_nowhere_is_refused_before_it_is_used() {
        for (url, wanted) in [
            ("postgres://u:secret@h:99999/d", "postgres://u@h:99999/d: "),
            (
                "postgres://u:secret@h1,h2/d?target_session_attrs=any",
                "postgres://u@h1,h2/d: ",
            ),
            ("postgres://u:secret@h1,,h2/d", "empty host"),
            ("postgres://u:sec/ret@h/d", "%2F"),
            ("postgres://u:secret/d", "invalid port"),
            ("postgres://u:secret@[::1/d", "postgres://u@[::1/d: "),
            ("postgres://u:secret@h/d?sslmode=secure", "secure"),
        ] {
            let refused = DatabaseUrl(url.to_owned()).check().unwrap_err();
            assert!(
                refused.contains(wanted) && !refused.contains("secret"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_password_is_found_wherever_it_stands() {
        for (url, has) in [
            ("postgres://u:secret@h/d", true),
            ("postgres://h/d?user=u&password=secret", true),
            ("postgres://u@h:5432/d", false),
            ("postgres:///d?host=/run/postgresql", false),
        ] {
            assert_eq!(DatabaseUrl(url.to_owned()).has_password(), has, "{url}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let cases = [
            (
                "postgres://u:secret@h:5432/d?password=secret",
                "postgres://u@h:5432/d",
            ),
            ("postgres://u:se@secret@h/d", "postgres://u@h/d"),
            ("postgres://:secret@h/d#secret", "postgres://h/d"),
            ("postgres:///d?host=/tmp&password=secret", "postgres:///d"),
            ("postgres://u:sec?ret@h/d", "postgres://…"),
            ("postgres://u:sec#ret@h/d", "postgres://…"),
            ("postgres://u:a@sec?ret@h/d", "postgres://…"),
            ("postgres://u:sec/ret@h/d", "postgres://…"),
            ("postgres://u:secret/d", "postgres://u:…/d"),
            ("postgres://u:secret", "postgres://u:…"),
            ("postgres://u:sec,ret/d", "postgres://u:…/d"),
            (
                "postgres://u:secret@h1:1,h2:2/d",
                "postgres://u@h1:1,h2:2/d",
            ),
            ("postgres://u:p?secret=x@h/d", "postgres://…"),
            (
                "postgres://u:secret@[::1]:5432/d",
                "postgres://u@[::1]:5432/d",
            ),
            ("secret", "(not a URL)"),
        ];
        for (url, shown) in cases {
            let url = DatabaseUrl(url.to_owned());
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }
}
