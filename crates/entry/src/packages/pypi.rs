//! Names, versions and files of Python packages: PEP 503, PEP 440, and the names of wheels and
//! source distributions.

use super::purl::Purl;

/// Returns a name as PEP 503 normalises it.
pub(super) fn canonical_name(name: &str) -> String {
    let mut canonical = String::with_capacity(name.len());
    let mut is_separated = false;
    for letter in name.chars() {
        let is_separator = matches!(letter, '-' | '_' | '.');
        if !is_separator {
            canonical.push(letter.to_ascii_lowercase());
        } else if !is_separated {
            canonical.push('-');
        }
        is_separated = is_separator;
    }
    canonical
}

/// Returns a version in the normal form of PEP 440; `None` if it is none. Zeros at its end stay, as
/// in file names.
pub(super) fn canonical_version(version: &str) -> Option<String> {
    let version = version.trim().to_ascii_lowercase();
    let (public, local) = match version.split_once('+') {
        Some((public, local)) => (public, Some(canonical_local(local)?)),
        None => (version.as_str(), None),
    };
    let mut text = Text(public.strip_prefix('v').unwrap_or(public));
    let mut canonical = text.number()?;
    if text.takes("!") {
        canonical = match canonical.as_str() {
            "0" => text.number()?,
            epoch => format!("{epoch}!{}", text.number()?),
        };
    }
    while let Some(number) = text.number_after(".") {
        canonical = format!("{canonical}.{number}");
    }
    const PRE: [(&str, &str); 8] = [
        ("alpha", "a"),
        ("a", "a"),
        ("beta", "b"),
        ("b", "b"),
        ("preview", "rc"),
        ("pre", "rc"),
        ("rc", "rc"),
        ("c", "rc"),
    ];
    if let Some((letter, number)) = text.suffix(&PRE) {
        canonical = format!("{canonical}{letter}{number}");
    }
    if let Some((_, number)) = text.suffix(&[("post", ""), ("rev", ""), ("r", "")]) {
        canonical = format!("{canonical}.post{number}");
    } else if let Some(number) = text.number_after("-") {
        canonical = format!("{canonical}.post{number}");
    }
    if let Some((_, number)) = text.suffix(&[("dev", "")]) {
        canonical = format!("{canonical}.dev{number}");
    }
    if !text.0.is_empty() {
        return None;
    }
    Some(match local {
        Some(local) => format!("{canonical}+{local}"),
        None => canonical,
    })
}

/// Returns the local part of a version: letters and digits between dots.
fn canonical_local(local: &str) -> Option<String> {
    let parts = local.split(['.', '-', '_']).map(|part| {
        let is_part = !part.is_empty() && part.bytes().all(|letter| letter.is_ascii_alphanumeric());
        is_part.then(
            || match part.bytes().all(|letter| letter.is_ascii_digit()) {
                true => without_zeros(part).to_owned(),
                false => part.to_owned(),
            },
        )
    });
    let parts: Vec<String> = parts.collect::<Option<_>>()?;
    Some(parts.join("."))
}

/// The rest of a version.
struct Text<'v>(&'v str);

impl<'v> Text<'v> {
    fn takes(&mut self, prefix: &str) -> bool {
        let rest = self.0.strip_prefix(prefix);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn number(&mut self) -> Option<String> {
        let end = self.0.find(|letter: char| !letter.is_ascii_digit());
        let (digits, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        if digits.is_empty() {
            return None;
        }
        self.0 = rest;
        Some(without_zeros(digits).to_owned())
    }

    fn number_after(&mut self, prefix: &str) -> Option<String> {
        let mut rest = Text(self.0.strip_prefix(prefix)?);
        let number = rest.number()?;
        self.0 = rest.0;
        Some(number)
    }

    /// Takes one of some words, with its number, which is 0 where it has none.
    fn suffix<'w>(&mut self, words: &[(&str, &'w str)]) -> Option<(&'w str, String)> {
        let rest = self.0.strip_prefix(['.', '-', '_']).unwrap_or(self.0);
        let (word, canonical) = words.iter().find(|(word, _)| rest.starts_with(word))?;
        let mut rest = Text(&rest[word.len()..]);
        let separated = rest.0.strip_prefix(['.', '-', '_']);
        let mut after = Text(separated.unwrap_or(rest.0));
        let number = match after.number() {
            Some(number) => {
                rest = after;
                number
            }
            None => "0".to_owned(),
        };
        self.0 = rest.0;
        Some((canonical, number))
    }
}

fn without_zeros(digits: &str) -> &str {
    let number = digits.trim_start_matches('0');
    if number.is_empty() { "0" } else { number }
}

/// A distribution file of a package.
pub(super) struct File {
    name: String,
    version: String,
    /// Its name, in one spelling: the index takes only one of `a_b-1.0.tar.gz` and
    /// `A.B-1.0.tar.gz`.
    pub(super) file_name: String,
}

impl File {
    fn new(name: &str, version: String, rest: &str) -> Self {
        let name = canonical_name(name);
        let rest = rest.to_ascii_lowercase();
        Self {
            file_name: format!("{}-{version}{rest}", name.replace('-', "_")),
            name,
            version,
        }
    }

    /// Reads the name of a wheel or of a source distribution.
    pub(super) fn parse(file: &str) -> Option<Self> {
        Self::wheel(file).or_else(|| Self::source(file))
    }

    /// Reads the name of a wheel, `name-1.0.0-1-py3-none-any.whl`, with or without the build number.
    pub(super) fn wheel(file: &str) -> Option<Self> {
        let parts: Vec<&str> = file.strip_suffix(".whl")?.split('-').collect();
        let (name, version, build) = match parts.as_slice() {
            [name, version, _, _, _] => (*name, *version, None),
            [name, version, build, _, _, _] => (*name, *version, Some(*build)),
            _ => return None,
        };
        let is_word = |text: &&str| {
            let is_of_word =
                |letter: u8| letter.is_ascii_alphanumeric() || b"._+!".contains(&letter);
            !text.is_empty() && text.bytes().all(is_of_word)
        };
        let is_number = |build: &str| build.starts_with(|first: char| first.is_ascii_digit());
        if !parts.iter().all(is_word) || !is_name(name) || !build.is_none_or(is_number) {
            return None;
        }
        let version = canonical_version(version)?;
        let rest = format!("-{}.whl", parts[2..].join("-"));
        Some(Self::new(name, version, &rest))
    }

    /// Reads the name of a source distribution, `name-1.0.0.tar.gz`.
    fn source(file: &str) -> Option<Self> {
        let endings = [".tar.gz", ".zip"];
        let (stem, ending) = endings
            .into_iter()
            .find_map(|ending| Some((file.strip_suffix(ending)?, ending)))?;
        let (name, version) = stem.rsplit_once('-')?;
        let version = canonical_version(version)?;
        is_name(name).then(|| Self::new(name, version, ending))
    }

    /// Returns the package URL of the file.
    pub(super) fn purl(self) -> Option<Purl> {
        let selectors = [("file_name", self.file_name)];
        Purl::new("pypi", &self.name, Some(&self.version), &selectors)
    }
}

/// Returns whether it is a name that the index takes (PEP 508).
fn is_name(name: &str) -> bool {
    let is_inside = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
    let is_end = |letter: Option<u8>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    let mut bytes = name.bytes();
    is_end(name.bytes().next()) && is_end(name.bytes().next_back()) && bytes.all(is_inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_the_normal_form_of_pep_440() {
        for (version, expected) in [
            ("1.0", "1.0"),
            ("v1.00.0", "1.0.0"),
            ("0!1.0", "1.0"),
            ("2!1.0", "2!1.0"),
            ("1.1.ALPHA-1", "1.1a1"),
            ("1.1.beta", "1.1b0"),
            ("1.1preview2", "1.1rc2"),
            ("1.1c2", "1.1rc2"),
            ("1.2.post2", "1.2.post2"),
            ("1.2-2", "1.2.post2"),
            ("1.2rev", "1.2.post0"),
            ("1.2-DEV4", "1.2.dev4"),
            ("1.2a1.post2.dev3", "1.2a1.post2.dev3"),
            ("1.0+Ubuntu-01", "1.0+ubuntu.1"),
        ] {
            assert_eq!(
                canonical_version(version).as_deref(),
                Some(expected),
                "{version}"
            );
        }
        for version in [
            "", "x", "1.0-", "1.0+", "1..0", "1.0a1b2", "1.0 2", "1.0+a..b",
        ] {
            assert_eq!(canonical_version(version), None, "{version}");
        }
    }

    #[test]
    fn files_of_distributions_name_their_package() {
        for (file, expected) in [
            (
                "sampleproject-4.0.0-py3-none-any.whl",
                "pkg:pypi/sampleproject@4.0.0?file_name=sampleproject-4.0.0-py3-none-any.whl",
            ),
            (
                "Zope.Interface-5.0_1-1-cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                "none",
            ),
            (
                "Zope.Interface-5.0-1-cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                "pkg:pypi/zope-interface@5.0?file_name=zope_interface-5.0-1-cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            ),
            (
                "a_b-1.0.tar.gz",
                "pkg:pypi/a-b@1.0?file_name=a_b-1.0.tar.gz",
            ),
            (
                "A.B-1.0.tar.gz",
                "pkg:pypi/a-b@1.0?file_name=a_b-1.0.tar.gz",
            ),
            ("a-b-01.0.zip", "pkg:pypi/a-b@1.0?file_name=a_b-1.0.zip"),
            ("-1.0.tar.gz", "none"),
            ("a-latest.tar.gz", "none"),
            ("dist/a-1.0.tar.gz", "none"),
            ("a-1.0-none-any.whl", "none"),
            ("a-1.0-x1-py3-none-any.whl", "none"),
            ("a.whl", "none"),
        ] {
            let found = File::parse(file).and_then(File::purl);
            let found = found.map_or("none".to_owned(), |purl| purl.exact());
            assert_eq!(found, expected, "{file}");
        }
    }
}
