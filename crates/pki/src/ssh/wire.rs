//! The data types of the SSH protocol (RFC 4251 section 5).

use crate::error::Error;

/// Reads fields from the beginning.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(too_short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn number(&mut self) -> Result<u32, Error> {
        self.bytes(4)?
            .try_into()
            .map(u32::from_be_bytes)
            .map_err(|_| too_short())
    }

    pub(super) fn string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.number()?;
        self.bytes(length as usize)
    }

    pub(super) fn strings<const N: usize>(&mut self) -> Result<[&'a [u8]; N], Error> {
        let mut strings = [&[][..]; N];
        for string in &mut strings {
            *string = self.string()?;
        }
        Ok(strings)
    }

    /// A number above 0 as its bytes, in the one form that it has.
    pub(super) fn positive(&mut self) -> Result<&'a [u8], Error> {
        match self.string()? {
            [0, digits @ ..] if digits.first().is_some_and(|first| *first >= 0x80) => Ok(digits),
            digits @ [1..0x80, ..] => Ok(digits),
            _ => Err(Error::Invalid(
                "ssh: a number is not positive or not in its shortest form".to_owned(),
            )),
        }
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        match self.0 {
            [] => Ok(()),
            _ => Err(Error::Invalid(
                "ssh: unmarshal error: trailing bytes".to_owned(),
            )),
        }
    }
}

/// Appends a string.
pub(super) fn write(string: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(string.len() as u32).to_be_bytes());
    out.extend_from_slice(string);
}

fn too_short() -> Error {
    Error::Invalid("ssh: short read".to_owned())
}
