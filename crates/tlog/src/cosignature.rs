//! C2SP tlog-cosignature, version 1 with Ed25519: the signature of a witness over a checkpoint and
//! the time.

use std::fmt;
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SecureRandom;

use crate::note::{check_key_name, hex};
use crate::{
    KeyAlgorithm, MAX_NOTE_SIGNATURES, Note, NoteError, NoteSignature, SigningKey, VerifyingKey,
    sha256,
};

/// Type byte of C2SP signed-note.
const TYPE_COSIGNATURE: u8 = 0x04;
/// Type byte of a plain Ed25519 key, with which several witnesses publish the key that they cosign
/// with.
const TYPE_ED25519: u8 = 0x01;
/// Bytes of the time before the signature.
const TIME_BYTES: usize = 8;
/// Bytes of an Ed25519 signature.
const SIGNATURE_BYTES: usize = 64;

/// The Ed25519 key of a witness under its name. Its text is a C2SP vkey of type 0x04; type 0x01 is
/// read as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    name: String,
    key: VerifyingKey,
}

impl WitnessKey {
    /// Puts a key under a name. Fails with [`NoteError::Vkey`] unless it is an Ed25519 key.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        check_key_name(name)?;
        match key.algorithm() {
            KeyAlgorithm::Ed25519 => Ok(Self {
                name: name.to_owned(),
                key,
            }),
            KeyAlgorithm::EcdsaP256 => Err(NoteError::Vkey),
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Returns the first four bytes of SHA-256(name ‖ 0x0A ‖ 0x04 ‖ key).
    pub fn key_id(&self) -> [u8; 4] {
        key_id(&self.name, &self.typed_key())
    }

    /// Returns whether a line names this key.
    pub fn is_named_by(&self, line: &NoteSignature) -> bool {
        line.name == self.name && line.key_id == self.key_id()
    }

    /// Verifies a line that names this key over the text of a note. Returns the time of the
    /// signature, Unix seconds.
    pub fn verify(&self, text: &str, line: &NoteSignature) -> Result<u64, NoteError> {
        if !self.is_named_by(line) {
            return Err(NoteError::Unverified);
        }
        let (time, signature) = line
            .signature
            .split_first_chunk::<TIME_BYTES>()
            .ok_or(NoteError::BadSignature)?;
        let time = u64::from_be_bytes(*time);
        // POSIX seconds fit in 63 bits.
        if signature.len() != SIGNATURE_BYTES || i64::try_from(time).is_err() {
            return Err(NoteError::BadSignature);
        }
        self.key
            .verify(signed_message(text, time).as_bytes(), signature)
            .map_err(|_| NoteError::BadSignature)?;
        Ok(time)
    }

    /// Returns the time of the newest cosignature by this key in a note; `None` if there is no such
    /// cosignature.
    ///
    /// One line of this key that does not verify fails the note, as it does for every known key.
    pub fn cosigned(&self, note: &Note) -> Result<Option<u64>, NoteError> {
        let lines = note
            .signatures()
            .iter()
            .filter(|line| self.is_named_by(line));
        lines
            .map(|line| self.verify(note.text(), line))
            .try_fold(None, |newest, time| Ok(newest.max(Some(time?))))
    }

    fn typed_key(&self) -> Vec<u8> {
        [&[TYPE_COSIGNATURE], self.key.raw()].concat()
    }
}

fn key_id(name: &str, typed_key: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&[name.as_bytes(), b"\n", typed_key].concat()).0;
    [a, b, c, d]
}

/// Cosigns the text of a checkpoint. The cosignature states that at `time` this was the largest
/// tree of its origin that the witness had seen.
///
/// The caller MUST have made that state durable before.
pub fn cosign(
    text: &str,
    name: &str,
    key: &SigningKey,
    time: u64,
    rng: &dyn SecureRandom,
) -> Result<NoteSignature, NoteError> {
    let witness = WitnessKey::new(name, key.verifying_key().clone())?;
    if i64::try_from(time).is_err() {
        return Err(NoteError::Text);
    }
    let signature = key.sign(signed_message(text, time).as_bytes(), rng)?;
    let signature = [time.to_be_bytes().as_slice(), &signature].concat();
    Ok(NoteSignature {
        key_id: witness.key_id(),
        name: witness.name,
        signature,
    })
}

/// Reads signature lines without their note, as a witness returns them: at least one, each with its
/// newline.
pub fn parse_signature_lines(lines: &str) -> Result<Vec<NoteSignature>, NoteError> {
    let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
    if lines.split('\n').count() > MAX_NOTE_SIGNATURES {
        return Err(NoteError::TooManySignatures);
    }
    lines.split('\n').map(str::parse).collect()
}

fn signed_message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

impl FromStr for WitnessKey {
    type Err = NoteError;

    /// Reads a vkey of type 0x04 or 0x01. Both are the same key, and the lines of its cosignatures
    /// name it as 0x04.
    fn from_str(vkey: &str) -> Result<Self, NoteError> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(named_id), Some(typed_key)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(NoteError::Vkey);
        };
        let typed_key = STANDARD.decode(typed_key).map_err(|_| NoteError::Vkey)?;
        let Some((&(TYPE_COSIGNATURE | TYPE_ED25519), raw)) = typed_key.split_first() else {
            return Err(NoteError::Vkey);
        };
        let key = Self::new(
            name,
            VerifyingKey::from_ed25519(raw).map_err(|_| NoteError::Vkey)?,
        )?;
        // The hash catches a name or key that was mistyped.
        if named_id == hex(key_id(name, &typed_key)) {
            Ok(key)
        } else {
            Err(NoteError::Vkey)
        }
    }
}

impl fmt::Display for WitnessKey {
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
