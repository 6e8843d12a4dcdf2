//! What a submitted key may cost.

use super::error::Error;

/// Packets in one submitted key. The most certified keys of the key servers have some 5,000 signatures.
pub(super) const MAX_PACKETS: usize = 10_000;
/// Signatures checked for one submitted key: what it says of itself. A check takes up to 4 ms (DSA with 3,072 bits; RSA
/// and elliptic curves take a tenth), so that all of them end within a second.
pub(super) const MAX_SIGNATURE_CHECKS: usize = 250;

/// What reading may still cost.
pub(super) struct Budget {
    packets: usize,
    checks: usize,
}

impl Budget {
    pub(super) fn of_one_key() -> Self {
        Self { packets: MAX_PACKETS, checks: MAX_SIGNATURE_CHECKS }
    }

    pub(super) fn take_packet(&mut self) -> Result<(), Error> {
        take(&mut self.packets, "packets", MAX_PACKETS)
    }

    pub(super) fn take_check(&mut self) -> Result<(), Error> {
        take(&mut self.checks, "signatures of a key by itself", MAX_SIGNATURE_CHECKS)
    }
}

fn take(left: &mut usize, what: &'static str, limit: usize) -> Result<(), Error> {
    *left = left.checked_sub(1).ok_or(Error::TooMany { what, limit })?;
    Ok(())
}
