//! Extensions of Fulcio, Sigstore's certificate authority (`1.3.6.1.4.1.57264.1`), as far as
//! entries are searched by them.
//!
//! Rekor passes over them, so one that is not as Fulcio writes it makes no certificate unreadable:
//! it counts as absent.

use super::der::Elements;
use super::name;

/// `1.3.6.1.4.1.57264.1`; what follows is a number below 128, in one byte.
const FULCIO: [u8; 9] = [0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1];

/// Up to this number a value is bare text, beyond it DER.
const LAST_BARE: u8 = 6;

/// Whether this is one of Fulcio's extensions whose value is bare text.
pub(super) fn is_bare(id: &[u8]) -> bool {
    matches!(id.strip_prefix(&FULCIO), Some([..=LAST_BARE]))
}

/// The claims of a Fulcio certificate about its signer, each as the certificate writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The issuer of the token that the signer showed, a URL.
    pub issuer: Option<String>,
    /// The source repository: a URI, or `org/repo`.
    pub repository: Option<String>,
    /// The digest of the source commit.
    pub commit: Option<String>,
    /// The name of the workflow.
    pub workflow_name: Option<String>,
    /// `<URI>@<ref>` of the workflow that was run, and of the workflow of the job that signed; most
    /// often the same.
    pub workflow_files: [Option<String>; 2],
}

/// Fulcio's extensions in one certificate, by their number.
#[derive(Default)]
pub(super) struct ClaimExtensions<'a>(Vec<(u8, &'a [u8])>);

impl<'a> ClaimExtensions<'a> {
    /// Takes an extension if it is one of Fulcio's.
    pub(super) fn read(&mut self, id: &[u8], value: &'a [u8]) {
        if let Some([number]) = id.strip_prefix(&FULCIO) {
            self.0.push((*number, value));
        }
    }

    /// Newer extensions go before the older ones that they replace.
    pub(super) fn claims(&self) -> Claims {
        Claims {
            issuer: self.text(8).or_else(|| self.text(1)),
            repository: self.text(12).or_else(|| self.text(5)),
            commit: self.text(13).or_else(|| self.text(3)),
            workflow_name: self.text(4),
            workflow_files: [self.text(18), self.text(9)],
        }
    }

    fn text(&self, number: u8) -> Option<String> {
        let (_, value) = self.0.iter().find(|(found, _)| *found == number)?;
        match number {
            ..=LAST_BARE => String::from_utf8(value.to_vec()).ok(),
            _ => {
                let mut elements = Elements(value);
                let text = elements.any().filter(|_| elements.is_empty())?;
                name::text(text.tag, text.contents)
            }
        }
    }
}
