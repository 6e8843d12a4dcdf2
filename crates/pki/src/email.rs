//! E-mail addresses in keys.

/// The address in an OpenPGP user ID, `Full Name (Comment) <name@host>`, or the user ID if it is
/// nothing else. Whether it is an address is for [`is_email`] to say.
pub(super) fn of_user_id(text: &str) -> &str {
    // In a comment a bracket is nothing.
    let (name, after_name) = match text.find(['(', '<']) {
        Some(at) if text[at..].starts_with('(') => {
            let after_comment = text[at..].split_once(')').map_or("", |(_, after)| after);
            (
                &text[..at],
                after_comment.split_once('<').map(|(_, after)| after),
            )
        }
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let address = after_name.map_or("", |after| {
        after
            .split_once('>')
            .map_or(after, |(address, _)| address)
            .trim()
    });
    match (address, name.trim()) {
        ("", name) if name.contains('@') => name,
        (address, _) => address,
    }
}

/// Whether Rekor takes `text` for an address and indexes it: dotted words, `@`, a host with a dot.
/// Quoted local parts, of which Rekor takes those of one letter and nobody has any in a key, are
/// none here.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else {
        return false;
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let Some((labels, top)) = host.rsplit_once('.') else {
        return false;
    };
    local
        .split('.')
        .all(|word| !word.is_empty() && word.chars().all(is_of_word))
        && is_framed(labels, is_alphanumeric, |letter| {
            is_alphanumeric(letter) || "-._~".contains(letter)
        })
        && is_framed(top, is_letter, |letter| {
            is_alphanumeric(letter) || "-_~".contains(letter)
        })
}

/// Whether `text` begins and ends with the one kind of character and has the other between.
fn is_framed(text: &str, is_end: fn(char) -> bool, is_inner: fn(char) -> bool) -> bool {
    text.starts_with(is_end) && text.ends_with(is_end) && text.chars().all(is_inner)
}

fn is_of_word(letter: char) -> bool {
    is_alphanumeric(letter) || "!#$%&'*+-/=?^_`{|}~".contains(letter)
}

fn is_alphanumeric(letter: char) -> bool {
    letter.is_ascii_digit() || is_letter(letter)
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphabetic()
        || matches!(letter, '\u{a0}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{ffef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_user_ids() {
        for (text, address) in [
            (
                "Full Name (Comment) <name@host.example>",
                "name@host.example",
            ),
            ("name@host.example", "name@host.example"),
            (" name@host.example ", "name@host.example"),
            ("<name@host.example>", "name@host.example"),
            ("Name < name@host.example > more", "name@host.example"),
            ("Name <name@host.example", "name@host.example"),
            ("Name (a <b@c.de>) <name@host.example>", "name@host.example"),
            ("Name (comment <b@c.de>", ""),
            ("Name (comment)", ""),
            ("Name <>", ""),
            ("a@b.c <>", "a@b.c"),
            ("a@b.c (comment)", "a@b.c"),
            ("Name", ""),
            ("", ""),
        ] {
            assert_eq!(of_user_id(text), address, "{text:?}");
        }
    }

    #[test]
    fn addresses() {
        for address in [
            "a@b.cd",
            "first.last+tag@sub-domain.host.example",
            "a@b.cd.",
            "ü@müller.example",
            "a@1.c",
            "a@b..c.de",
            "!#$@b.c",
        ] {
            assert!(is_email(address), "{address:?}");
        }
        for other in [
            "",
            "a",
            "a@b",
            "@b.c",
            "a@.c",
            "a@-b.c",
            "a@b.c1",
            "a@b.1",
            "a.@b.c",
            ".a@b.c",
            "a b@c.de",
            "a@b c.de",
            "<a@b.cd>",
            "a@b@c.de",
            "a@b.c\u{fffd}",
        ] {
            assert!(!is_email(other), "{other:?}");
        }
    }
}
