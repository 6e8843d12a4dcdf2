//! C2SP signed notes.

use crate::SigningKey;
use ring::rand::SecureRandom;

/// Signs `text` (which MUST end with a newline and hold no blank line at its end) as a note with one signature line of `name`.
pub fn sign_note(_text: &str, _name: &str, _key: &SigningKey, _rng: &dyn SecureRandom) -> String {
    todo!()
}
