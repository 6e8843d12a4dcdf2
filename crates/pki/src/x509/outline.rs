//! A certificate as far as it can be read, for readers of logs that one odd certificate must not
//! stop.

use super::der::{Elements, INTEGER, SEQUENCE, constructed, dotted};
use super::extensions;
use super::fulcio::{self, ClaimExtensions, Claims};
use super::subjects::Subjects;
use super::{MAX_DER_BYTES, name, time};
use crate::time::UnixSeconds;

/// Names of one certificate that are kept: 32 times as many as any in use has. Each takes some
/// fifty bytes.
const MAX_NAMES: usize = 2_048;

/// All parts of a certificate that can be read. Nothing is verified or refused: a part that is
/// malformed is absent, and so is everything that only follows a malformed part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline<'a> {
    /// The serial number, big-endian two's complement.
    pub serial: Option<&'a [u8]>,
    /// When the certificate begins to be valid.
    pub not_before: Option<UnixSeconds>,
    /// The last second in which the certificate is valid.
    pub not_after: Option<UnixSeconds>,
    /// The `SubjectPublicKeyInfo` in DER.
    pub public_key_info: Option<&'a [u8]>,
    /// The names in the subject alternative name, in the order of [`super::Key::subjects`].
    pub names: Vec<String>,
    /// The claims in Fulcio's extensions.
    pub claims: Claims,
    /// The extensions whose values are text, as dotted object identifier and text: of Fulcio's,
    /// the numbers 1 to 6 are bare text, the later ones a string in DER.
    pub extensions: Vec<(String, String)>,
}

impl<'a> Outline<'a> {
    /// Reads DER. Bytes that are no certificate give an empty outline, and so does a certificate
    /// that [`super::Key`] refuses for its size.
    pub fn read(der: &'a [u8]) -> Self {
        let mut outline = Self::default();
        if der.len() <= MAX_DER_BYTES {
            outline.read_fields(der);
        }
        outline.names.truncate(MAX_NAMES);
        outline
    }

    /// Reads the fields in their order (RFC 5280 section 4.1); ends early where one is malformed.
    fn read_fields(&mut self, der: &'a [u8]) -> Option<()> {
        let mut certificate = Elements(der).inside(SEQUENCE)?;
        let mut fields = certificate.inside(SEQUENCE)?;
        let _version = fields.optional(constructed(0))?;
        self.serial = Some(fields.read(INTEGER)?);
        let _algorithm = fields.any()?;
        let _issuer = fields.any()?;
        let mut validity = fields.inside(SEQUENCE)?;
        self.not_before = read_time(&mut validity);
        self.not_after = read_time(&mut validity);
        let _subject = fields.any()?;
        let key = fields.any().filter(|element| element.tag == SEQUENCE)?;
        self.public_key_info = Some(key.whole);
        while !fields.is_empty() {
            let element = fields.any()?;
            if element.tag == constructed(3) {
                self.read_extensions(Elements(element.contents).inside(SEQUENCE)?);
            }
        }
        Some(())
    }

    fn read_extensions(&mut self, mut list: Elements<'a>) {
        let mut claims = ClaimExtensions::default();
        while let Some(mut extension) = list.inside(SEQUENCE) {
            let Some((id, value)) = extensions::id_and_value(&mut extension) else {
                continue;
            };
            if extensions::is_alternative_name(id) {
                self.names.extend(Subjects::salvage(value).into_list());
            }
            claims.read(id, value);
            if let (Some(id), Some(text)) = (dotted(id), text(id, value)) {
                self.extensions.push((id, text));
            }
        }
        self.claims = claims.claims();
    }
}

fn read_time(validity: &mut Elements<'_>) -> Option<UnixSeconds> {
    let time = time::read(validity)?;
    i64::try_from(time.as_secs()).ok().map(UnixSeconds)
}

/// The value of an extension if it is text: one string in DER, or bare UTF-8 without control
/// characters.
fn text(id: &[u8], value: &[u8]) -> Option<String> {
    let bare = || {
        let text = std::str::from_utf8(value).ok()?;
        let is_text = !text.is_empty() && !text.contains(char::is_control);
        is_text.then(|| text.to_owned())
    };
    if fulcio::is_bare(id) {
        return bare();
    }
    let mut elements = Elements(value);
    let string = elements.any().filter(|_| elements.is_empty());
    string
        .and_then(|string| name::text(string.tag, string.contents))
        .or_else(bare)
}

#[cfg(test)]
mod tests {
    use super::super::der::{OBJECT_IDENTIFIER, OCTET_STRING};
    use super::*;

    fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = contents.len();
        let header = match length {
            0..=0x7f => vec![tag, length as u8],
            0x80..=0xff => vec![tag, 0x81, length as u8],
            _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        };
        [header, contents.to_vec()].concat()
    }

    fn extension(id: &[u8], value: &[u8]) -> Vec<u8> {
        let fields = [element(OBJECT_IDENTIFIER, id), element(OCTET_STRING, value)];
        element(SEQUENCE, &fields.concat())
    }

    fn certificate(extensions: &[Vec<u8>]) -> Vec<u8> {
        let validity = [
            element(0x17, b"260101000000Z"),
            element(0x17, b"not a time at"),
        ];
        let fields = [
            element(constructed(0), &[2, 1, 2]),
            element(INTEGER, &[7]),
            element(SEQUENCE, &[]),
            element(SEQUENCE, b"\xff odd issuer"),
            element(SEQUENCE, &validity.concat()),
            element(SEQUENCE, &[]),
            element(SEQUENCE, b"odd key"),
            element(constructed(3), &element(SEQUENCE, &extensions.concat())),
        ];
        element(SEQUENCE, &element(SEQUENCE, &fields.concat()))
    }

    const FULCIO: [u8; 9] = [0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1];

    fn fulcio(number: u8) -> Vec<u8> {
        [&FULCIO[..], &[number]].concat()
    }

    #[test]
    fn what_is_well_formed_is_read_from_an_odd_certificate() {
        let names = element(
            SEQUENCE,
            &[
                element(0x81, b"a@example.com"),
                element(0x82, b"\xff"),
                element(0x86, "https://ex\u{e4}mple.com/%7e".as_bytes()),
                element(0x87, &[1, 2, 3]),
            ]
            .concat(),
        );
        let der = certificate(&[
            extension(&[0x55, 0x1d, 17], &names),
            element(SEQUENCE, b"no extension"),
            extension(&fulcio(1), b"https://old.example.com"),
            extension(&fulcio(8), &element(0x0c, b"https://issuer.example.com")),
            extension(&fulcio(11), b"written without DER"),
            extension(&[0x2a, 3, 4], &element(0x16, b"other")),
            extension(&[0x2a, 3, 5], &[0x30, 0]),
        ]);
        let outline = Outline::read(&der);
        assert_eq!(
            outline.names,
            ["a@example.com", "https://ex\u{e4}mple.com/%7e"]
        );
        let issuer = outline.claims.issuer.as_deref();
        assert_eq!(issuer, Some("https://issuer.example.com"));
        let extensions: Vec<(&str, &str)> = outline
            .extensions
            .iter()
            .map(|(id, text)| (&**id, &**text))
            .collect();
        assert_eq!(
            extensions,
            [
                ("1.3.6.1.4.1.57264.1.1", "https://old.example.com"),
                ("1.3.6.1.4.1.57264.1.8", "https://issuer.example.com"),
                ("1.3.6.1.4.1.57264.1.11", "written without DER"),
                ("1.2.3.4", "other"),
            ]
        );
        let times = (outline.not_before, outline.not_after);
        assert_eq!(times, (Some(UnixSeconds(1_767_225_600)), None));
        assert_eq!(outline.serial, Some(&[7][..]));
    }

    #[test]
    fn a_certificate_that_is_cut_keeps_what_comes_before() {
        let der = certificate(&[extension(&fulcio(1), b"https://issuer.example.com")]);
        assert!(Outline::read(&der).claims.issuer.is_some());
        for length in 0..der.len() {
            // The outer lengths no longer fit, so nothing can be read.
            assert_eq!(Outline::read(&der[..length]), Outline::default());
        }
        assert_eq!(Outline::read(b"text"), Outline::default());
    }
}
