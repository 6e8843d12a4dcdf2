//! E-mail addresses as a search term: a mailbox of RFC 5322 section 3.4, `addr-spec` or `Name
//! <addr-spec>`.

/// Whether `text` is one mailbox. Comments and obsolete forms are refused.
pub(crate) fn is_mailbox(text: &str) -> bool {
    let text = text.trim();
    match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
        Some((name, address)) => is_display_name(name.trim()) && is_addr_spec(address),
        None => is_addr_spec(text),
    }
}

fn is_display_name(name: &str) -> bool {
    is_quoted(name)
        || name
            .split_ascii_whitespace()
            .all(|word| word.split('.').all(|atom| atom.chars().all(is_atext)))
}

fn is_addr_spec(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    let literal = domain
        .strip_prefix('[')
        .and_then(|domain| domain.strip_suffix(']'));
    let domain_is_valid = match literal {
        Some(literal) => literal
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '[' | ']' | '\\')),
        None => is_dot_atom(domain),
    };
    domain_is_valid && (is_dot_atom(local) || is_quoted(local))
}

fn is_dot_atom(text: &str) -> bool {
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// A quoted string with at least one character in it.
fn is_quoted(text: &str) -> bool {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .filter(|text| !text.is_empty())
    else {
        return false;
    };
    let mut escaped = false;
    for c in inner.chars() {
        match c {
            _ if c.is_control() => return false,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return false,
            _ => {}
        }
    }
    !escaped
}

/// Atom characters, those of RFC 6532 included.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(c)
        || (!c.is_ascii() && !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes() {
        for text in [
            "a@b.co",
            "signer.name@example.com",
            "SIGNER.NAME@EXAMPLE.COM",
            "a+b_c@localhost",
            "Name <a@b>",
            "\"Last, First\" <a@b>",
            "<a@b>",
            "\"a b\"@c",
            "a@[127.0.0.1]",
            "jürgen@exämple.de",
        ] {
            assert!(is_mailbox(text), "{text}");
        }
    }

    #[test]
    fn others() {
        for text in [
            "",
            "x",
            "not-an-email",
            "@b",
            "a@",
            "a b@c",
            "a@b c",
            ".a@b",
            "a..b@c",
            "a@b.",
            "a@b>",
            "<a@b",
            "a@b, c@d",
            "\"\"@c",
            "a@b\u{0}",
        ] {
            assert!(!is_mailbox(text), "{text:?}");
        }
    }
}
