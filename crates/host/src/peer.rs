//! The client at the other end of a connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::Extensions;

/// Socket address of the client, as far as this server sees it. An extension of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The address by which limits count: an IPv4 address, or the /64 network of an IPv6 address,
/// because the owner of one address of such a network has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// The address of a request without a [`Peer`]: it is from this process.
    const OURS: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// Returns the address that a request came from.
    pub fn of(extensions: &Extensions) -> Self {
        extensions
            .get()
            .map_or(Self::OURS, |Peer(peer)| Self::from(*peer))
    }
}

impl From<SocketAddr> for Address {
    fn from(peer: SocketAddr) -> Self {
        match peer.ip().to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The address of a peer written as text, such as `192.0.2.1`.
    pub(crate) fn address(text: &str) -> Address {
        Address::from(SocketAddr::new(text.parse().expect("an address"), 1))
    }

    #[test]
    fn ipv6_counts_by_network_and_mapped_ipv4_as_ipv4() {
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::2"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }
}
