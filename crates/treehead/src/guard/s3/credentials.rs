//! The credentials for an object store, where its other tools look for them as well.

use std::path::Path;
use std::{env, fmt, fs};

/// The names of the values, in variables in upper case and in files in lower case.
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
/// The variable that names the file, and the section in it.
const FILE: &str = "AWS_SHARED_CREDENTIALS_FILE";
const PROFILE: &str = "AWS_PROFILE";
/// A file of credentials has some 200 bytes for each section.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// An access key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) key_id: String,
    pub(super) secret: String,
    /// Of credentials that last for hours only.
    pub(super) token: Option<String>,
}

/// Shows no secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.key_id)
    }
}

impl Credentials {
    /// Finds the credentials in the environment, or in the file that it names. The file is read
    /// each time, because another program may renew them.
    pub(super) fn find() -> Result<Self, String> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        if let (Some(key_id), Some(secret)) = (variable(KEY_ID), variable(SECRET)) {
            return Ok(Self {
                key_id,
                secret,
                token: variable(TOKEN),
            });
        }
        let Some(path) = variable(FILE) else {
            return Err(format!(
                "no credentials: set {KEY_ID} and {SECRET}, or {FILE}"
            ));
        };
        let profile = variable(PROFILE).unwrap_or_else(|| "default".to_owned());
        let failed = |why: String| format!("the credentials in {path}: {why}");
        let text = read(Path::new(&path)).map_err(failed)?;
        Self::in_file(&text, &profile).ok_or_else(|| {
            let (id, secret) = (KEY_ID.to_lowercase(), SECRET.to_lowercase());
            failed(format!("[{profile}] has no {id} and {secret}"))
        })
    }

    /// Returns the credentials of a section of a file.
    fn in_file(text: &str, profile: &str) -> Option<Self> {
        let header = format!("[{profile}]");
        let lines = text.lines().map(str::trim);
        let section = lines.skip_while(|line| *line != header).skip(1);
        let (mut key_id, mut secret, mut token) = (None, None, None);
        for line in section.take_while(|line| !line.starts_with('[')) {
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            let value = Some(value.trim().to_owned());
            match name.trim().to_uppercase().as_str() {
                KEY_ID => key_id = value,
                SECRET => secret = value,
                TOKEN => token = value,
                _ => {}
            }
        }
        Some(Self {
            key_id: key_id?,
            secret: secret?,
            token,
        })
    }
}

fn read(path: &Path) -> Result<String, String> {
    let size = path.metadata().map_err(|error| error.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("larger than {MAX_FILE_BYTES} bytes"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_section_for_each_profile() {
        let text = "# note\n[default]\naws_access_key_id = A\naws_secret_access_key=s=1\n\n[other]\n\
                    aws_access_key_id = B\naws_secret_access_key = t\naws_session_token = u\n[half]\n\
                    aws_access_key_id = C\n";
        let found = Credentials::in_file(text, "default").unwrap();
        assert_eq!((found.key_id.as_str(), found.secret.as_str()), ("A", "s=1"));
        assert_eq!(found.token, None);
        let found = Credentials::in_file(text, "other").unwrap();
        assert_eq!(found.token.as_deref(), Some("u"));
        assert_eq!(format!("{found:?}"), "Credentials(B)");
        assert_eq!(Credentials::in_file(text, "half"), None);
        assert_eq!(Credentials::in_file(text, "none"), None);
    }
}
