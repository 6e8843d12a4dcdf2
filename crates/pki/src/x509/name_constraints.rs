//! Name constraints of certificate authorities (RFC 5280 section 4.2.1.10), with the rules of Go.

use std::net::IpAddr;

use super::der::{Elements, SEQUENCE, constructed, context};
use super::error::CertificateError;
use super::subjects::{self, Subjects};
use super::uri;
use crate::work::{TooCostly, Work};

/// The names that certificates below an authority may bear.
pub(super) struct NameConstraints<'a> {
    permitted: Names<'a>,
    excluded: Names<'a>,
    /// Whether names of other kinds are constrained, which no verifier in Go understands.
    pub(super) has_other_kinds: bool,
}

/// Subtrees of each kind of name.
#[derive(Default)]
struct Names<'a> {
    dns: Vec<&'a str>,
    emails: Vec<&'a str>,
    uri_hosts: Vec<&'a str>,
    /// Address and mask, of 4 or 16 bytes each.
    networks: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> NameConstraints<'a> {
    /// Reads the extension's value.
    pub(super) fn read(value: &'a [u8]) -> Result<Self, CertificateError> {
        Self::parse(value).ok_or(CertificateError::Not("invalid name constraints"))
    }

    fn parse(value: &'a [u8]) -> Option<Self> {
        let mut outer = Elements(value);
        let mut fields = outer.inside(SEQUENCE)?;
        let permitted = fields.optional(constructed(0))?.unwrap_or_default();
        let excluded = fields.optional(constructed(1))?.unwrap_or_default();
        if !outer.is_empty() || !fields.is_empty() || (permitted.is_empty() && excluded.is_empty())
        {
            return None;
        }
        let (permitted, has_other_permitted) = Names::parse(permitted)?;
        let (excluded, has_other_excluded) = Names::parse(excluded)?;
        Some(Self {
            permitted,
            excluded,
            has_other_kinds: has_other_permitted || has_other_excluded,
        })
    }

    /// Whether a certificate may bear all of these names. Each of them is compared with each
    /// subtree of its kind.
    pub(super) fn admit(&self, names: &Subjects, work: &mut Work) -> Result<bool, TooCostly> {
        for (names, subtrees) in [
            (
                Amount::of(&names.dns),
                Amount::of(&self.permitted.dns) + Amount::of(&self.excluded.dns),
            ),
            (
                Amount::of(&names.emails),
                Amount::of(&self.permitted.emails) + Amount::of(&self.excluded.emails),
            ),
            (
                Amount::of(&names.uris),
                Amount::of(&self.permitted.uri_hosts) + Amount::of(&self.excluded.uri_hosts),
            ),
            (
                Amount::of_addresses(names.addresses.len()),
                Amount::of_addresses(self.permitted.networks.len() + self.excluded.networks.len()),
            ),
        ] {
            work.take_comparisons(
                names.count * subtrees.count,
                names.bytes_compared_with(&subtrees),
            )?;
        }
        Ok(self.admit_each(names))
    }

    fn admit_each(&self, names: &Subjects) -> bool {
        let dns = |name: &String| {
            is_domain(name)
                && within(&self.permitted.dns, |tree| is_below(name, tree))
                && !self
                    .excluded
                    .dns
                    .iter()
                    .any(|tree| is_below(name, tree) || may_be_below(name, tree))
        };
        let email = |email: &String| {
            mailbox(email).is_some_and(|mailbox| {
                within(&self.permitted.emails, |tree| mailbox.is_below(tree))
                    && !self
                        .excluded
                        .emails
                        .iter()
                        .any(|tree| mailbox.is_below(tree))
            })
        };
        let uri = |uri: &String| {
            uri::host(uri).is_some_and(|host| {
                within(&self.permitted.uri_hosts, |tree| is_below(host, tree))
                    && !self
                        .excluded
                        .uri_hosts
                        .iter()
                        .any(|tree| is_below(host, tree))
            })
        };
        names.dns.iter().all(dns)
            && names.emails.iter().all(email)
            && names.uris.iter().all(uri)
            && names
                .addresses
                .iter()
                .all(|address| self.admit_address(*address))
    }

    fn admit_address(&self, address: IpAddr) -> bool {
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let is_in = |(network, mask): &(&[u8], &[u8])| {
            network.len() == bytes.len()
                && bytes
                    .iter()
                    .zip(*network)
                    .zip(*mask)
                    .all(|((byte, network), mask)| byte & mask == network & mask)
        };
        within(&self.permitted.networks, |network| is_in(network))
            && !self.excluded.networks.iter().any(is_in)
    }
}

impl<'a> Names<'a> {
    /// The subtrees of `GeneralSubtrees`, and whether there are others than those kept here.
    fn parse(contents: &'a [u8]) -> Option<(Self, bool)> {
        const DNS: u8 = context(2);
        const EMAIL: u8 = context(1);
        const URI: u8 = context(6);
        const ADDRESS: u8 = context(7);
        let mut subtrees = Elements(contents);
        let mut names = Self::default();
        let mut has_others = false;
        while !subtrees.is_empty() {
            let base = subtrees.inside(SEQUENCE)?.any()?;
            let text = || {
                std::str::from_utf8(base.contents)
                    .ok()
                    .filter(|text| text.is_ascii())
            };
            let domain = || text().filter(|text| is_domain(text.strip_prefix('.').unwrap_or(text)));
            match base.tag {
                DNS => names.dns.push(domain()?),
                EMAIL if base.contents.contains(&b'@') => {
                    names
                        .emails
                        .push(text().filter(|text| mailbox(text).is_some())?);
                }
                EMAIL => names.emails.push(domain()?),
                URI => names
                    .uri_hosts
                    .push(domain().filter(|host| host.parse::<IpAddr>().is_err())?),
                ADDRESS => names.networks.push(network(base.contents)?),
                _ => has_others = true,
            }
        }
        Some((names, has_others))
    }
}

/// How many names there are, and of how many bytes together.
#[derive(Clone, Copy)]
struct Amount {
    count: u64,
    bytes: u64,
}

impl Amount {
    fn of<Name: AsRef<str>>(names: &[Name]) -> Self {
        Self {
            count: names.len() as u64,
            bytes: names.iter().map(|name| name.as_ref().len() as u64).sum(),
        }
    }

    fn of_addresses(count: usize) -> Self {
        Self {
            count: count as u64,
            bytes: size_of::<u128>() as u64 * count as u64,
        }
    }

    /// The most bytes that are looked at where each name of one amount is compared with each of the
    /// other: of two names the shorter one's. Going over the names themselves is part of it.
    fn bytes_compared_with(self, others: &Self) -> u64 {
        self.bytes + (self.count * others.bytes).min(others.count * self.bytes)
    }
}

impl std::ops::Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// An e-mail address, taken apart.
struct Mailbox<'a> {
    local: &'a str,
    domain: &'a str,
}

impl Mailbox<'_> {
    fn is_below(&self, tree: &str) -> bool {
        match tree.rsplit_once('@') {
            Some((local, domain)) => {
                self.local == local && self.domain.eq_ignore_ascii_case(domain)
            }
            None => is_below(self.domain, tree),
        }
    }
}

/// Whether nothing is permitted explicitly, or something matches.
fn within<T>(permitted: &[T], matches: impl Fn(&T) -> bool) -> bool {
    permitted.is_empty() || permitted.iter().any(matches)
}

/// Whether `name` is `tree`, or ends with it at a label; with a leading period, only the latter.
fn is_below(name: &str, tree: &str) -> bool {
    let Some(at) = name.len().checked_sub(tree.len()) else {
        return false;
    };
    let is_at_label =
        tree.is_empty() || tree.starts_with('.') || at == 0 || name[..at].ends_with('.');
    is_at_label && name[at..].eq_ignore_ascii_case(tree)
}

/// Whether one of the names that the wildcard `name` stands for is below `tree`.
fn may_be_below(name: &str, tree: &str) -> bool {
    match (
        name.strip_prefix('*').map(|_| name.find('.')),
        tree.find('.'),
    ) {
        (Some(Some(name_at)), Some(tree_at)) => {
            name[name_at..].eq_ignore_ascii_case(&tree[tree_at..])
        }
        _ => false,
    }
}

/// Go's check of domain names: printable characters, no empty label; nothing is a domain name, too.
fn is_domain(name: &str) -> bool {
    name.is_empty()
        || (name.bytes().all(|byte| byte.is_ascii_graphic())
            && name.split('.').all(|label| !label.is_empty()))
}

/// Reads an e-mail address whose local part is made of atoms. Quoted local parts, which Go reads
/// too, are refused.
fn mailbox(email: &str) -> Option<Mailbox<'_>> {
    let (local, domain) = email.split_once('@')?;
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    (local.split('.').all(is_atom) && is_domain(domain)).then_some(Mailbox { local, domain })
}

/// Splits a constraint into address and mask. The mask MUST be ones and then zeros. The address
/// MUST NOT be IPv4 in IPv6.
fn network(contents: &[u8]) -> Option<(&[u8], &[u8])> {
    let (address, mask) = match contents.len() {
        8 | 32 => contents.split_at(contents.len() / 2),
        _ => return None,
    };
    let mut after_ones = mask.iter().skip_while(|byte| **byte == 0xff);
    let is_contiguous = after_ones
        .next()
        .is_none_or(|byte| byte.leading_ones() == byte.count_ones())
        && after_ones.all(|byte| *byte == 0);
    let is_mapped =
        <[u8; 16]>::try_from(address).is_ok_and(|address| subjects::is_mapped(address.into()));
    (is_contiguous && !is_mapped).then_some((address, mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_match_at_labels() {
        for (name, tree) in [
            ("example.com", "example.com"),
            ("A.Example.com", "example.com"),
            ("a.b", ".b"),
            ("a", ""),
        ] {
            assert!(is_below(name, tree), "{name} {tree}");
        }
        for (name, tree) in [
            ("badexample.com", "example.com"),
            ("com", "example.com"),
            ("b", ".b"),
            ("a.b.c", "a.b"),
        ] {
            assert!(!is_below(name, tree), "{name} {tree}");
        }
        assert!(may_be_below("*.example.com", "a.example.com"));
        assert!(!may_be_below("*.example.com", "example.com"));
        assert!(!may_be_below("a.example.com", "b.example.com"));
    }

    #[test]
    fn masks_are_contiguous() {
        for mask in [[0xff; 4], [0; 4], [0xff, 0xfe, 0, 0], [0xff, 0xff, 0, 0]] {
            assert!(
                network(&[[1, 2, 3, 4], mask].concat()).is_some(),
                "{mask:x?}"
            );
        }
        for mask in [
            [0xff, 0, 0xff, 0],
            [0xfd, 0, 0, 0],
            [0x7f, 0xff, 0, 0],
            [0xf0, 1, 0, 0],
        ] {
            assert!(
                network(&[[1, 2, 3, 4], mask].concat()).is_none(),
                "{mask:x?}"
            );
        }
        assert!(network(&[0; 16]).is_none());
        let of_mapped = [&[0; 10][..], &[0xff; 2], &[192, 0, 2, 0], &[0xff; 15], &[0]].concat();
        assert!(network(&of_mapped).is_none());
        assert!(network(&[&[1], &of_mapped[1..]].concat()).is_some());
    }

    #[test]
    fn mailboxes() {
        let tree = |email, tree| mailbox(email).is_some_and(|mailbox| mailbox.is_below(tree));
        assert!(tree("a.b@Example.com", "example.com") && tree("a@EXAMPLE.com", "a@example.com"));
        assert!(
            !tree("A@example.com", "a@example.com") && !tree("a@badexample.com", "example.com")
        );
        for email in [
            "", "a", "@b", ".a@b", "a..b@c", "a@b..c", "a b@c", "\"a\"@b",
        ] {
            assert!(mailbox(email).is_none(), "{email}");
        }
    }
}
