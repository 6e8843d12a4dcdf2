//! Where a listener is to be: `127.0.0.1:3000`, `[::1]:3000`, `localhost:3000`, or `:3000` for all
//! addresses of the machine.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::failure::{Explain, FailureKind, Outcome};

/// A host and a port. Names are resolved when the listener is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct ListenAddress {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// All addresses of the machine, of both families where there are two.
    All,
    Address(IpAddr),
    Name(String),
}

impl ListenAddress {
    /// This machine alone can reach it.
    pub(crate) const fn local(port: u16) -> Self {
        Self {
            host: Host::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port,
        }
    }

    /// The port; 0 takes a free one.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns where this machine reaches the listener.
    pub(crate) fn to_connect(&self) -> String {
        match &self.host {
            Host::Address(ip) if !ip.is_unspecified() => {
                SocketAddr::new(*ip, self.port).to_string()
            }
            Host::Name(name) => format!("{name}:{}", self.port),
            Host::All | Host::Address(_) => format!("localhost:{}", self.port),
        }
    }

    /// Whether no two listeners can have these addresses at once.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        let same_host = self.host == other.host || self.host.is_all() || other.host.is_all();
        self.port != 0 && self.port == other.port && same_host
    }

    /// Opens the listener of the setting called `setting`.
    pub(crate) async fn bind(&self, setting: &str) -> Outcome<TcpListener> {
        let doing = format_args!("{setting} {self}");
        let addresses = self.resolve().await.explain(FailureKind::Address, doing)?;
        let mut outcome = Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name has no address",
        ));
        for address in addresses {
            outcome = listen(address);
            if outcome.is_ok() {
                break;
            }
        }
        outcome.explain(FailureKind::Address, doing)
    }

    /// Addresses to try, in this order. IPv4 goes first, because a server on `localhost` is looked
    /// for at 127.0.0.1.
    async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let with_port = |ip: IpAddr| SocketAddr::new(ip, self.port);
        match &self.host {
            // One listener on `::` serves both families; a machine without IPv6 has no such
            // address.
            Host::All => Ok(vec![
                with_port(Ipv6Addr::UNSPECIFIED.into()),
                with_port(Ipv4Addr::UNSPECIFIED.into()),
            ]),
            Host::Address(ip) => Ok(vec![with_port(*ip)]),
            Host::Name(name) => {
                let mut addresses: Vec<SocketAddr> =
                    lookup_host((name.as_str(), self.port)).await?.collect();
                addresses.sort_by_key(SocketAddr::is_ipv6);
                Ok(addresses)
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // The port of a server that stopped a moment ago.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(host::limits::BACKLOG)
}

impl Host {
    fn is_all(&self) -> bool {
        match self {
            Self::All => true,
            Self::Address(ip) => ip.is_unspecified(),
            Self::Name(_) => false,
        }
    }
}

/// Why a text is no address to listen on, and what to write.
#[derive(Debug)]
pub(crate) struct ListenError(String);

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ListenError {}

impl FromStr for ListenAddress {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let refused = |message: String| Err(ListenError(message));
        if let Some((_, rest)) = text.split_once("://") {
            let rest = rest.split('/').next().unwrap_or_default();
            return refused(format!("no scheme and no path belong to it: write {rest}"));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return refused(format!(
                "the port is missing: write [{text}]:{EXAMPLE_PORT}"
            ));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            let is_port = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            return refused(match is_port {
                true => format!(
                    "the host is missing: write 127.0.0.1:{text}, or :{text} for all addresses"
                ),
                false => format!(
                    "a host and a port are wanted, such as 127.0.0.1:{EXAMPLE_PORT} or :{EXAMPLE_PORT}"
                ),
            });
        };
        let Ok(port) = port.parse() else {
            return refused(format!(
                "the port {port:?} is not a number from 0 to {}",
                u16::MAX
            ));
        };
        let host = match host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(inner) => inner
                .parse()
                .map(|ip: Ipv6Addr| Host::Address(ip.into()))
                .ok(),
            None => host_of(host),
        };
        match host {
            Some(host) => Ok(Self { host, port }),
            None => refused(format!(
                "the host is an IP address, one of IPv6 in brackets, or a host name, such as 127.0.0.1:{port} or [::1]:{port}"
            )),
        }
    }
}

/// The port in messages: Rekor's.
const EXAMPLE_PORT: u16 = 3000;

fn host_of(text: &str) -> Option<Host> {
    if text.is_empty() {
        return Some(Host::All);
    }
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Some(Host::Address(ip.into()));
    }
    let is_name = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    is_name.then(|| Host::Name(text.to_owned()))
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::All => write!(f, ":{}", self.port),
            Host::Address(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map_err(|error: ListenError| format!("{text:?} is no address to listen on: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ListenAddress {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_and_names_are_written_back_as_they_are() {
        for text in [
            "127.0.0.1:3000",
            "[::1]:3000",
            ":3000",
            "localhost:0",
            "log-1.example.org:65535",
        ] {
            assert_eq!(parsed(text).to_string(), text);
        }
    }

    #[test]
    fn a_wrong_address_says_what_to_write() {
        for (text, wanted) in [
            ("3000", "write 127.0.0.1:3000, or :3000"),
            ("localhost", "such as 127.0.0.1:3000"),
            ("", "such as 127.0.0.1:3000"),
            ("::1", "write [::1]:3000"),
            ("fe80::1%eth0:3000", "in brackets"),
            ("http://localhost:3000/", "write localhost:3000"),
            (
                "127.0.0.1:99999",
                "\"99999\" is not a number from 0 to 65535",
            ),
            ("127.0.0.1:", "\"\" is not a number"),
            ("[x]:3000", "in brackets"),
        ] {
            let refused = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(refused.contains(wanted), "{text}: {refused}");
        }
    }

    #[test]
    fn one_port_is_not_for_two_listeners() {
        for (one, other, excludes) in [
            ("127.0.0.1:3000", "127.0.0.1:3000", true),
            ("0.0.0.0:3000", "127.0.0.1:3000", true),
            (":3000", "localhost:3000", true),
            ("127.0.0.1:3000", "127.0.0.2:3000", false),
            ("127.0.0.1:3000", "127.0.0.1:2112", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            assert_eq!(
                parsed(one).excludes(&parsed(other)),
                excludes,
                "{one} {other}"
            );
        }
    }

    #[tokio::test]
    async fn names_and_all_addresses_are_listened_on() {
        let local = parsed("localhost:0").bind("listen").await.unwrap();
        assert!(local.local_addr().unwrap().ip().is_loopback());
        let all = parsed(":0").bind("listen").await.unwrap();
        assert!(all.local_addr().unwrap().ip().is_unspecified());
        let refused = parsed("no-such-host.invalid:0")
            .bind("listen")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            refused.starts_with("listen no-such-host.invalid:0: "),
            "{refused}"
        );
    }
}
