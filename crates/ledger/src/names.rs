//! The names of logs and the origins of trees.
//!
//! A name is the host name of the log: v2 clients compare it with the host of the URL that they
//! were given, and it is in every checkpoint, so it never changes. Earlier releases took any text;
//! logs that were made then keep their names.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::open_error::OpenError;

/// Longest name in bytes (RFC 1035, without the final dot).
const MAX_NAME: usize = 253;
/// Longest part of a name between two dots (RFC 1035).
const MAX_LABEL: usize = 63;

/// Whether a stored log can have this name: what a C2SP key name allows, at most 253 bytes.
pub fn check_name(name: &str) -> Result<(), OpenError> {
    let is_sound = !name
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == '+');
    if is_sound && (1..=MAX_NAME).contains(&name.len()) {
        Ok(())
    } else {
        Err(OpenError::BadName(name.to_owned()))
    }
}

/// Whether a new log or a new tree can have this name: a host name in lower case, or an IPv4
/// address in its usual form.
///
/// The error names the host name that was probably meant.
pub fn check_new_name(name: &str) -> Result<(), OpenError> {
    let Some(why) = fault(name) else {
        return Ok(());
    };
    let instead = host_in(name)
        .unwrap_or_else(|| "the host name that clients use, such as log.example.org".to_owned());
    Err(OpenError::NotHostName {
        name: name.to_owned(),
        why,
        instead,
    })
}

/// How a text differs from the name of a new log. The first difference counts, so the parts of a
/// URL come first.
fn fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.contains("://") {
        return Some("it has a scheme");
    }
    if name.contains(['/', '?', '#']) {
        return Some("it has a path");
    }
    if name.contains('@') {
        return Some("it has user info");
    }
    if name.contains(['[', ']']) || name.parse::<Ipv6Addr>().is_ok() {
        return Some("it is an IPv6 address");
    }
    if name.contains(':') {
        return Some("it has a port");
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("it has capitals");
    }
    if !name.is_ascii() {
        return Some("it has characters outside ASCII, which a host name spells in its xn-- form");
    }
    if name.len() > MAX_NAME {
        return Some("it has more than 253 characters");
    }
    if name.ends_with('.') {
        return Some("it ends in a dot");
    }
    name.split('.')
        .find_map(fault_of_label)
        .or_else(|| fault_of_address(name))
}

fn fault_of_label(label: &str) -> Option<&'static str> {
    if label.is_empty() {
        return Some("two dots stand together, or one stands first");
    }
    if label.len() > MAX_LABEL {
        return Some("a part of it has more than 63 characters");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Some("a part of it begins or ends with '-'");
    }
    // The underscore is no character of host names, but resolvers and URLs take it, and container
    // networks use it.
    let is_plain = label
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
    if is_plain {
        None
    } else {
        Some("it has a character that no host name has")
    }
}

/// Clients read a host whose last label is a number as an IPv4 address, some of them in octal or
/// with fewer than four parts.
fn fault_of_address(name: &str) -> Option<&'static str> {
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_number = is_hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    match name.parse::<Ipv4Addr>() {
        Err(_) => Some("clients would read it as an IP address"),
        Ok(address)
            if address.is_unspecified() || address.is_broadcast() || address.is_multicast() =>
        {
            Some("it is an address that no client can reach")
        }
        Ok(_) => None,
    }
}

/// The host name in a URL or something like it.
fn host_in(text: &str) -> Option<String> {
    let text = text.trim();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = host_and_port.split(':').next().unwrap_or_default();
    let host = host.trim_matches(['.', '-']).to_ascii_lowercase();
    fault(&host).is_none().then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_refused_and_its_host_is_offered() {
        for given in [
            "https://log.example.org",
            "https://log.example.org/rekor",
            "log.example.org/rekor",
            "log.example.org:3000",
            "user:secret@log.example.org",
            "LOG.Example.org",
            "HTTPS://LOG.example.org:3000/?x#y",
            "log.example.org.",
            ".log.example.org",
            "-log.example.org",
            "log.example.org-",
        ] {
            let refused = check_new_name(given).unwrap_err().to_string();
            assert!(refused.ends_with("; write log.example.org"), "{refused}");
        }
    }

    #[test]
    fn names_that_are_not_host_names_are_refused() {
        let long_label = "a".repeat(64);
        let long_name = ["a"; 128].join(".");
        for given in [
            "",
            "a b",
            "a+b",
            "log..example",
            "log.-x.example",
            "[::1]",
            "2001:db8::1",
            "https://[::1]:3000",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "127.1",
            "log.example.0x7f",
            "010.0.0.1",
            "l\u{f6}g.example",
            "log*.example",
            &long_label,
            &long_name,
        ] {
            let refused = check_new_name(given).unwrap_err().to_string();
            assert!(refused.contains("such as log.example.org"), "{refused}");
        }
    }

    #[test]
    fn host_names_are_taken() {
        for given in [
            "localhost",
            "log.example.org",
            "xn--lg-eka.example",
            "rekor_1",
            "3com.example",
            "192.168.1.4",
        ] {
            check_new_name(given).unwrap();
        }
    }

    #[test]
    fn logs_with_names_of_old_are_still_known() {
        for stored in [
            "https://log.example.org/rekor",
            "LOG.example",
            "[::1]",
            "-x",
        ] {
            check_name(stored).unwrap();
        }
    }
}
