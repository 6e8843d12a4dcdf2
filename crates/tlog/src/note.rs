//! C2SP signed notes: a text, a blank line, and one line for each signature.

use std::fmt;
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SecureRandom;

use crate::{Hash, KeyAlgorithm, RandomnessError, SigningKey, VerifyingKey, sha256};

/// Largest note that is read, as in Go's `note` package, which monitors and witnesses run.
pub const MAX_NOTE_BYTES: usize = 1_000_000;
/// Most signatures that are read, likewise; C2SP asks for 16 at least.
pub const MAX_NOTE_SIGNATURES: usize = 100;
/// Longest key name: the length of a host name (RFC 1035), because the names of logs and witnesses
/// are host names or begin with one.
pub const MAX_KEY_NAME_BYTES: usize = 255;

/// The beginning of every signature line: an em dash and a space.
const SIGNATURE_PREFIX: &str = "— ";
/// Type bytes of C2SP signed-note.
const TYPE_ED25519: u8 = 0x01;
const TYPE_ECDSA: u8 = 0x02;

/// A signed note that was read. Its signatures are not checked before [`Note::verify`].
///
/// Formatting returns exactly the text that was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// First bytes of the hash of the key, see [`NoteKey::key_id`].
    pub key_id: [u8; 4],
    /// The bytes after the key ID: the signature, in a form that depends on the key.
    pub signature: Vec<u8>,
}

/// A public key under the name by which it signs notes. Its text is a C2SP vkey, `<name>+<key
/// ID>+<base64 of type and key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    key: VerifyingKey,
}

/// The reason why a note could not be made, read or verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than [`MAX_NOTE_BYTES`].
    #[error("the note has {0} bytes")]
    TooLarge(usize),
    /// More than [`MAX_NOTE_SIGNATURES`].
    #[error("the note has too many signatures")]
    TooManySignatures,
    /// The text does not end with one newline, or holds a control character.
    #[error("not the text of a note")]
    Text,
    /// No blank line before the signatures, or a signature line of another form.
    #[error("not a signed note")]
    Malformed,
    /// Empty, too long, or with a space, control character or `+`.
    #[error("not a key name")]
    KeyName,
    /// Not a vkey of an ECDSA P-256 or Ed25519 key, or its parts do not belong together.
    #[error("not a vkey of an ECDSA P-256 or Ed25519 key")]
    Vkey,
    /// A line that names a known key does not verify.
    #[error("a signature by a known key does not verify")]
    BadSignature,
    /// No line names a known key.
    #[error("no signature by a known key")]
    Unverified,
    /// Signing failed.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

/// Signs `text` as a note with one signature line of `name`. The text MUST end with a newline and
/// not with a blank line.
pub fn sign_note(
    text: &str,
    name: &str,
    key: &SigningKey,
    rng: &dyn SecureRandom,
) -> Result<String, NoteError> {
    let mut note = Note::new(text)?;
    note.sign(name, key, rng)?;
    Ok(note.to_string())
}

impl Note {
    /// Makes a note that has no signatures yet.
    pub fn new(text: &str) -> Result<Self, NoteError> {
        check_size(text)?;
        if !text.ends_with('\n')
            || text == "\n"
            || text.ends_with("\n\n")
            || text.chars().any(|c| c < ' ' && c != '\n')
        {
            return Err(NoteError::Text);
        }
        Ok(Self {
            text: text.to_owned(),
            signatures: Vec::new(),
        })
    }

    /// Reads a note. Signatures are split from the text at the last blank line.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        check_size(note)?;
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        // The first newline of the blank line ends the text.
        let mut parsed = Self::new(&note[..=text.len()])?;
        for line in lines
            .strip_suffix('\n')
            .ok_or(NoteError::Malformed)?
            .split('\n')
        {
            if parsed.signatures.len() == MAX_NOTE_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            parsed.signatures.push(line.parse()?);
        }
        Ok(parsed)
    }

    /// Signs the note and adds a signature line at the end. The log's own line MUST be the first,
    /// because clients take the first line as the log's.
    pub fn sign(
        &mut self,
        name: &str,
        key: &SigningKey,
        rng: &dyn SecureRandom,
    ) -> Result<(), NoteError> {
        let signer = NoteKey::new(name, key.verifying_key().clone())?;
        let signature = key.sign(self.text.as_bytes(), rng)?;
        self.add(NoteSignature {
            key_id: signer.key_id(),
            name: signer.name,
            signature,
        })
    }

    /// Adds a signature line of another signer at the end.
    pub fn add(&mut self, line: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.len() == MAX_NOTE_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures.push(line);
        Ok(())
    }

    /// Returns the signed text with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signature lines, in order.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Verifies the signature lines of `keys`, and returns those keys that signed, in the order of
    /// `keys`. At least one of them MUST have signed. Lines of other keys are ignored. One line of
    /// a known key that does not verify fails the note.
    pub fn verify<'k>(&self, keys: &'k [NoteKey]) -> Result<Vec<&'k NoteKey>, NoteError> {
        let mut verified = Vec::new();
        for key in keys {
            let key_id = key.key_id();
            let mut lines = self
                .signatures
                .iter()
                .filter(|line| line.name == key.name && line.key_id == key_id)
                .peekable();
            if lines.peek().is_none() {
                continue;
            }
            for line in lines {
                key.key
                    .verify(self.text.as_bytes(), &line.signature)
                    .map_err(|_| NoteError::BadSignature)?;
            }
            verified.push(key);
        }
        if verified.is_empty() {
            Err(NoteError::Unverified)
        } else {
            Ok(verified)
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    /// Reads a signature line without its newline.
    fn from_str(line: &str) -> Result<Self, NoteError> {
        let (name, blob) = line
            .strip_prefix(SIGNATURE_PREFIX)
            .and_then(|line| line.split_once(' '))
            .ok_or(NoteError::Malformed)?;
        check_key_name(name)?;
        let blob = STANDARD.decode(blob).map_err(|_| NoteError::Malformed)?;
        match blob.split_first_chunk() {
            Some((key_id, signature)) if !signature.is_empty() => Ok(Self {
                name: name.to_owned(),
                key_id: *key_id,
                signature: signature.to_vec(),
            }),
            _ => Err(NoteError::Malformed),
        }
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = STANDARD.encode([&self.key_id, self.signature.as_slice()].concat());
        write!(f, "{SIGNATURE_PREFIX}{} {blob}", self.name)
    }
}

impl NoteKey {
    /// Puts a key under a name.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        check_key_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            key,
        })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Returns the hash that identifies the key under this name. Untruncated, it is the log ID of
    /// Rekor v2.
    ///
    /// ECDSA: SHA-256(SPKI), the name does not count. Ed25519: SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key).
    pub fn key_hash(&self) -> Hash {
        match self.key.algorithm() {
            KeyAlgorithm::EcdsaP256 => self.key.log_id(),
            KeyAlgorithm::Ed25519 => {
                sha256(&[self.name.as_bytes(), b"\n", &self.typed_key()].concat())
            }
        }
    }

    /// Returns the first four bytes of the hash, which precede the signature in a note.
    pub fn key_id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.key_hash().0;
        [a, b, c, d]
    }

    fn typed_key(&self) -> Vec<u8> {
        match self.key.algorithm() {
            KeyAlgorithm::EcdsaP256 => [&[TYPE_ECDSA], self.key.spki()].concat(),
            KeyAlgorithm::Ed25519 => [&[TYPE_ED25519], self.key.raw()].concat(),
        }
    }
}

impl FromStr for NoteKey {
    type Err = NoteError;

    /// Reads a vkey.
    fn from_str(vkey: &str) -> Result<Self, NoteError> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(key_id), Some(typed_key)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(NoteError::Vkey);
        };
        let typed_key = STANDARD.decode(typed_key).map_err(|_| NoteError::Vkey)?;
        let key = match typed_key.split_first() {
            Some((&TYPE_ECDSA, spki)) => VerifyingKey::from_spki(spki)
                .ok()
                .filter(|key| key.algorithm() == KeyAlgorithm::EcdsaP256),
            Some((&TYPE_ED25519, key)) => VerifyingKey::from_ed25519(key).ok(),
            _ => None,
        };
        let key = Self::new(name, key.ok_or(NoteError::Vkey)?)?;
        // The hash catches a name or key that was mistyped.
        if key_id == hex(key.key_id()) {
            Ok(key)
        } else {
            Err(NoteError::Vkey)
        }
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}+{}+{}",
            self.name,
            hex(self.key_id()),
            STANDARD.encode(self.typed_key())
        )
    }
}

pub(crate) fn hex(key_id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(key_id))
}

fn check_size(note: &str) -> Result<(), NoteError> {
    if note.len() > MAX_NOTE_BYTES {
        Err(NoteError::TooLarge(note.len()))
    } else {
        Ok(())
    }
}

/// Checks a key name. C2SP: not empty, no Unicode space, no `+`. A note cannot contain a control
/// character either.
pub(crate) fn check_key_name(name: &str) -> Result<(), NoteError> {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.len() > MAX_KEY_NAME_BYTES || name.contains(is_bad) {
        return Err(NoteError::KeyName);
    }
    Ok(())
}
