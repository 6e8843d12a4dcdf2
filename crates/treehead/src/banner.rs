//! The text that a start prints on stdout: where everything is, and lines to try it with.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use host::PublicUrl;
use ledger::TreeId;
use tlog::VerifyingKey;

use crate::failure::{Explain, FailureKind, Outcome};
use crate::version::VERSION;

/// Facts about an open log.
pub(crate) struct Facts<'a> {
    pub name: &'a str,
    pub tree_id: TreeId,
    pub key: &'a VerifyingKey,
    pub key_path: &'a Path,
    /// The database, without its password.
    pub database: &'a dyn Display,
    /// Whether this start created the log.
    pub history: History,
}

/// Whether this start created the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    /// This start created the log.
    New,
    /// The log existed.
    Known,
}

/// Writes a text to stdout.
pub(crate) fn print(text: impl Display) -> Outcome<()> {
    writeln!(io::stdout(), "{text}").explain(FailureKind::Other, "stdout")
}

/// Writes a text to stdout in the background: a server must serve even if nobody reads its stdout.
pub(crate) fn show(text: String) -> Outcome<()> {
    let write = move || {
        if let Err(error) = print(text) {
            tracing::warn!(%error, "the banner cannot be printed");
        }
    };
    thread::Builder::new()
        .name("banner".to_owned())
        .spawn(write)
        .map(drop)
        .explain(FailureKind::Other, "threads")
}

impl Display for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = match self.history {
            History::New => "created a new log",
            History::Known => "opened the log",
        };
        writeln!(f, "treehead {VERSION} {made}:")?;
        writeln!(f, "  name        {}", self.name)?;
        writeln!(f, "  tree ID     {}", self.tree_id)?;
        writeln!(f, "  log ID      {}", self.key.log_id())?;
        writeln!(f, "  database    {}", self.database)?;
        writeln!(f, "  log key     {}", self.key_path.display())?;
        write!(f, "{}", self.key.to_pem())?;
        if self.history == History::New {
            writeln!(
                f,
                "Keep a copy of the log key in a safe place: without it nobody can continue this log."
            )?;
            if self.name == ledger::DEFAULT_NAME {
                writeln!(
                    f,
                    "This name is for trying things out. A log's name is given once, when the log is created, and never changes:"
                )?;
                writeln!(
                    f,
                    "  treehead serve --name log.example.org --data-dir another-folder"
                )?;
            }
        }
        Ok(())
    }
}

/// Returns where the server listens. Programs may read the addresses from these two lines.
pub(crate) fn listening(api: SocketAddr, metrics: SocketAddr) -> String {
    format!("API      http://{api}\nmetrics  http://{metrics}/metrics")
}

/// Returns where a witness listens, likewise.
pub(crate) fn witness_listening(witness: SocketAddr, metrics: SocketAddr) -> String {
    format!("witness  http://{witness}\nmetrics  http://{metrics}/metrics")
}

/// Returns three ways to log an entry. Each block can be pasted into any shell as it is, creates a
/// throw-away key in a folder of its own, and needs no network but the log. cosign signs where the
/// trust material of the log sends it: at `public_url`.
pub(crate) fn examples(api: SocketAddr, public_url: &PublicUrl) -> String {
    let url = client_url(api);
    let signed =
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out hello.key &&
 openssl pkey -in hello.key -pubout -out hello.pub &&
 openssl dgst -sha256 -sign hello.key -out hello.sig hello.txt";
    format!(
        r#"Try it: paste any of these blocks into a shell. cosign signs at {public_url}.

With curl:

(cd "$(mktemp -d)" && date > hello.txt &&
 {signed} &&
 printf '{{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{{"data":{{"hash":{{"algorithm":"sha256","value":"%s"}}}},"signature":{{"content":"%s","publicKey":{{"content":"%s"}}}}}}}}' \
  "$(openssl dgst -sha256 -r hello.txt | cut -c1-64)" "$(openssl base64 -A -in hello.sig)" "$(openssl base64 -A -in hello.pub)" |
 curl -sS -H 'Content-Type: application/json' --data-binary @- {url}/api/v1/log/entries)

With rekor-cli:

(cd "$(mktemp -d)" && date > hello.txt &&
 {signed} &&
 rekor-cli upload --rekor_server {url} --artifact hello.txt --signature hello.sig --public-key hello.pub --pki-format x509)

With cosign 3:

(cd "$(mktemp -d)" && date > hello.txt && export COSIGN_PASSWORD= &&
 curl -sS -O {url}/trust/signing_config.v0.2.json -O {url}/trust/trusted_root.json &&
 cosign generate-key-pair &&
 cosign sign-blob --yes --key cosign.key --signing-config signing_config.v0.2.json --trusted-root trusted_root.json \
  --bundle hello.bundle hello.txt &&
 cosign verify-blob --key cosign.pub --trusted-root trusted_root.json --bundle hello.bundle hello.txt)
"#
    )
}

/// Returns the URL for clients on this machine. They compare the log's name with the host of the
/// URL, so a server on this machine is `localhost`.
fn client_url(api: SocketAddr) -> String {
    let ip = api.ip();
    let is_here = ip.is_loopback() || ip.is_unspecified();
    if is_here {
        format!("http://localhost:{}", api.port())
    } else {
        format!("http://{api}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_a_host_that_they_can_reach() {
        for (api, url) in [
            ("127.0.0.1:3000", "http://localhost:3000"),
            ("0.0.0.0:3001", "http://localhost:3001"),
            ("[::]:3000", "http://localhost:3000"),
            ("192.0.2.7:3000", "http://192.0.2.7:3000"),
            ("[2001:db8::1]:3000", "http://[2001:db8::1]:3000"),
        ] {
            assert_eq!(client_url(api.parse().unwrap()), url);
        }
    }

    #[test]
    fn examples_name_the_log() {
        let public_url = PublicUrl::https("log.example.org");
        let text = examples("127.0.0.1:3210".parse().unwrap(), &public_url);
        assert_eq!(text.matches("http://localhost:3210").count(), 4);
        assert!(text.contains("signs at https://log.example.org.\n"));
        assert!(text.contains(r#"'{"apiVersion":"0.0.1","kind":"hashedrekord","#));
    }
}
