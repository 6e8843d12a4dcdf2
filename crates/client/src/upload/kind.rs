//! Finds out the kind of an entry from the files that go into it, where no other kind fits.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// A kind of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A signature over a digest.
    Hashedrekord,
    /// A signature over an artifact that is sent along.
    Rekord,
    /// A DSSE envelope.
    Dsse,
    /// A DSSE envelope whose payload is kept.
    Intoto,
    /// A signed RPM package.
    Rpm,
    /// A signed Alpine package.
    Alpine,
    /// The provenance file of a Helm chart.
    Helm,
    /// A signed JAR archive.
    Jar,
    /// A COSE_Sign1 message.
    Cose,
    /// The answer of a time-stamp authority.
    Rfc3161,
    /// Metadata of The Update Framework.
    Tuf,
    /// A request in JSON, as the log takes it.
    Entry,
}

/// How a public key and its signatures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFormat {
    /// OpenPGP, armored or binary.
    Pgp,
    /// minisign or signify.
    Minisign,
    /// A line as in `authorized_keys`, and `ssh-keygen -Y sign`.
    Ssh,
    /// A key or certificate in PEM.
    X509,
    /// A root of The Update Framework.
    Tuf,
}

impl KeyFormat {
    /// Returns the name that entries and searches have.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pgp => "pgp",
            Self::Minisign => "minisign",
            Self::Ssh => "ssh",
            Self::X509 => "x509",
            Self::Tuf => "tuf",
        }
    }
}

/// Why the kind of a file is not known. The texts say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// Nothing tells it.
    #[error(
        "its kind cannot be told: give --key to sign it, --signature with --public-key, or --type"
    )]
    Unknown,
    /// The name says one thing and the bytes another.
    #[error("named as {named}, but {fault}: give --type")]
    Contradiction {
        /// The kind that the name says.
        named: Kind,
        /// What the bytes lack.
        fault: &'static str,
    },
    /// No format of keys.
    #[error("no public key: neither PEM, OpenPGP, minisign or signify, an SSH key, nor a TUF root")]
    Key,
    /// No kind has this name.
    #[error("no kind has this name; known are {}", Kind::ALL.map(Kind::name).join(", "))]
    Name,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Hashedrekord,
        Self::Rekord,
        Self::Dsse,
        Self::Intoto,
        Self::Rpm,
        Self::Alpine,
        Self::Helm,
        Self::Jar,
        Self::Cose,
        Self::Rfc3161,
        Self::Tuf,
        Self::Entry,
    ];

    /// Returns the name, as entries have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hashedrekord => "hashedrekord",
            Self::Rekord => "rekord",
            Self::Dsse => "dsse",
            Self::Intoto => "intoto",
            Self::Rpm => "rpm",
            Self::Alpine => "alpine",
            Self::Helm => "helm",
            Self::Jar => "jar",
            Self::Cose => "cose",
            Self::Rfc3161 => "rfc3161",
            Self::Tuf => "tuf",
            Self::Entry => "entry",
        }
    }

    /// Returns the ending of file names that have this kind and no other, without the dot.
    fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Rpm => Some("rpm"),
            Self::Jar => Some("jar"),
            Self::Helm => Some("prov"),
            Self::Rfc3161 => Some("tsr"),
            Self::Hashedrekord | Self::Rekord | Self::Dsse | Self::Intoto => None,
            // `.apk` is Android's as well.
            Self::Alpine | Self::Cose | Self::Tuf | Self::Entry => None,
        }
    }

    /// Says what a file of this kind would have, for one that is named so and lacks it.
    fn lack(self) -> &'static str {
        match self {
            Self::Rpm => "it does not begin as an RPM package",
            Self::Jar => "it is no archive with a signature in META-INF",
            Self::Helm => "it is no clear-signed text",
            Self::Rfc3161 => "it is no answer of a time-stamp authority",
            _ => "it is something else",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(name: &str) -> Result<Self, KindError> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or(KindError::Name)
    }
}

/// Finds out the kind of a file that carries its signature. `name` is its file name.
///
/// # Errors
///
/// The bytes are of no kind that is known by them, or contradict the name.
pub fn detect_file(name: &str, content: &[u8]) -> Result<Kind, KindError> {
    let found = of_content(content);
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    let named = Kind::ALL.into_iter().find(|kind| {
        let own = kind.suffix();
        own.is_some_and(|own| suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(own)))
    });
    match (found, named) {
        (found, Some(named)) if found != Some(named) => Err(KindError::Contradiction {
            named,
            fault: named.lack(),
        }),
        (Some(found), _) => Ok(found),
        (None, _) => Err(KindError::Unknown),
    }
}

/// Finds out the format of a public key, which is the one of its signatures.
///
/// # Errors
///
/// The text is of no format that logs read.
pub fn detect_key(key: &[u8]) -> Result<KeyFormat, KindError> {
    let text = trim_start(key);
    let begins = |beginnings: &[&str]| {
        let mut beginnings = beginnings.iter();
        beginnings.any(|beginning| text.starts_with(beginning.as_bytes()))
    };
    if begins(&["-----BEGIN PGP "]) || matches!(key, [0x98 | 0x99 | 0xc6, ..]) {
        Ok(KeyFormat::Pgp)
    } else if begins(&["-----BEGIN "]) {
        Ok(KeyFormat::X509)
    } else if begins(&["untrusted comment:", "RW"]) {
        Ok(KeyFormat::Minisign)
    } else if begins(&["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]) {
        Ok(KeyFormat::Ssh)
    } else if begins(&["{"]) {
        Ok(KeyFormat::Tuf)
    } else if begins(&["LS0tLS1CRUdJTi"]) {
        // The base64 of `-----BEGIN`, as cosign writes certificates.
        Ok(KeyFormat::X509)
    } else {
        Err(KindError::Key)
    }
}

fn of_content(content: &[u8]) -> Option<Kind> {
    const RPM: &[u8] = &[0xed, 0xab, 0xee, 0xdb];
    const ZIP: &[u8] = b"PK\x03\x04";
    const GZIP: &[u8] = &[0x1f, 0x8b];
    // A COSE_Sign1 message: tag 18 on an array of four.
    const COSE: &[u8] = &[0xd2, 0x84];
    if content.starts_with(RPM) {
        Some(Kind::Rpm)
    } else if content.starts_with(ZIP) {
        has_jar_signature(content).then_some(Kind::Jar)
    } else if content.starts_with(GZIP) {
        is_signed_apk(content).then_some(Kind::Alpine)
    } else if content.starts_with(COSE) {
        Some(Kind::Cose)
    } else if is_time_stamp_response(content) {
        Some(Kind::Rfc3161)
    } else if trim_start(content).starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----") {
        let has_files = content.windows(7).any(|window| window == b"\nfiles:");
        has_files.then_some(Kind::Helm)
    } else if trim_start(content).starts_with(b"{") {
        of_json(&serde_json::from_slice(content).ok()?)
    } else {
        None
    }
}

/// Returns whether the names of an archive include a signature file directly in META-INF. A name
/// stands in its file's local header and once more in the directory at the end.
fn has_jar_signature(archive: &[u8]) -> bool {
    const FOLDER: &[u8] = b"META-INF/";
    /// Longest name of a signature file: eight characters by the JAR specification, more in use.
    const MAX_NAME: usize = 100;
    let mut rest = archive;
    while let Some(at) = find(rest, FOLDER) {
        let name = &rest[at + FOLDER.len()..];
        let name = &name[..name.len().min(MAX_NAME)];
        let end = name.windows(3).position(|window| window == b".SF");
        if end.is_some_and(|end| {
            name[..end]
                .iter()
                .all(|b| b.is_ascii_graphic() && *b != b'/')
        }) {
            return true;
        }
        rest = &rest[at + FOLDER.len()..];
    }
    false
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Returns whether the first member of the gzip file is a tar archive that begins with a signature,
/// as `abuild-sign` puts it before a package.
fn is_signed_apk(gzip: &[u8]) -> bool {
    use std::io::Read;
    let mut name = [0; 6];
    let mut member = flate2::read::GzDecoder::new(gzip);
    member.read_exact(&mut name).is_ok() && name == *b".SIGN."
}

/// Returns whether the bytes begin as a `TimeStampResp` (RFC 3161) that was granted: a sequence of
/// a status and a signed message.
fn is_time_stamp_response(der: &[u8]) -> bool {
    /// The object identifier of signed data in CMS.
    const SIGNED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
    /// The status may have texts, which some authorities write.
    const MAX_STATUS: usize = 200;
    let [0x30, first, rest @ ..] = der else {
        return false;
    };
    let length = match first {
        0x82 => 2,
        0x81 => 1,
        _ => return false,
    };
    let rest = rest.get(length..).unwrap_or_default();
    let is_status = matches!(rest, [0x30, _, 0x02, 0x01, 0 | 1, ..]);
    is_status && find(&rest[..rest.len().min(MAX_STATUS)], SIGNED_DATA).is_some()
}

fn of_json(json: &Value) -> Option<Kind> {
    let has = |member: &str| json.get(member).is_some();
    let is_text = |path: &str| json.pointer(path).is_some_and(Value::is_string);
    if is_text("/payloadType") && is_text("/payload") && has("signatures") {
        Some(Kind::Dsse)
    } else if is_text("/signed/_type") && has("signatures") {
        Some(Kind::Tuf)
    } else if is_text("/kind") && is_text("/apiVersion") && has("spec")
        || has("hashedRekordRequestV002")
        || has("dsseRequestV002")
    {
        Some(Kind::Entry)
    } else {
        None
    }
}

fn trim_start(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.trim_ascii_start()
}

#[cfg(test)]
mod tests;
