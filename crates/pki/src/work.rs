//! The work that one request may cause. Each piece is counted before it is done.
//!
//! The unit is a nanosecond of one core. A piece of work has a price here if its cost can grow
//! faster than the bytes that cause it: signature checks, bytes that are hashed or decompressed
//! once more, comparisons of names. Code that only goes over its input a few times (JSON, base64,
//! DER, PEM) pays nothing; [`PER_BYTE`] leaves room for it.
//!
//! The prices are estimates, meant as upper bounds. `scripts/prices` counts instructions beside
//! them with valgrind.

use crate::algorithms::{Curve, KeyKind};

/// Work that any request may cause: with what is not counted, 20 ms. Of the signatures that keys
/// and certificates check, this buys 30 with P-521 or 200 with P-256.
const BASE: u64 = 16_000_000;
/// Work for each byte of a request: with what is not counted, 40 ns.
const PER_BYTE: u64 = 32;

/// Hashing a byte, by the slowest of the hash functions in use (SHA-1 that looks for collisions,
/// SHA-3).
const HASHING: u64 = 4;
/// Hashing a byte with the fastest libraries: plain SHA-1, SHA-2 and MD5.
const FAST_HASHING: u64 = 2;
/// Decompressing: a byte that is read, and a byte that comes out and goes through CRC-32.
const INFLATING_FROM: u64 = 6;
const INFLATING_TO: u64 = 1;
/// Comparing two names, and a byte of the shorter one.
const COMPARISON: u64 = 12;
const COMPARISON_PER_BYTE: u64 = 1;
/// Reading a line of attributes, whose names go into a map.
const LINE: u64 = 200;
/// Going over a byte of JSON once more than its length pays for.
const SCANNING: u64 = 2;

/// The work that one request may still cause.
///
/// ```
/// use pki::Work;
///
/// let mut work = Work::of_request(100);
/// work.take_hashing(1_000_000)?;
/// assert!(work.spent() < work.limit());
/// // A gigabyte is more than a request of 100 bytes may hash.
/// assert!(work.take_hashing(1_000_000_000).is_err());
/// assert!(work.is_exhausted());
/// # Ok::<(), pki::TooCostly>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Work {
    limit: u64,
    spent: u64,
    is_exhausted: bool,
}

/// The request asks for more work than [`Work`] allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "checking this takes longer than anything of its size may take: it has too many signatures, names, or bytes to hash \
     or to decompress"
)]
pub struct TooCostly;

impl Work {
    /// The work that a request of so many bytes may cause.
    pub fn of_request(bytes: usize) -> Self {
        Self {
            limit: BASE + PER_BYTE * bytes as u64,
            spent: 0,
            is_exhausted: false,
        }
    }

    /// Unlimited work, for an entry that the log accepted earlier: its work was bounded then.
    pub fn of_accepted() -> Self {
        Self {
            limit: u64::MAX,
            spent: 0,
            is_exhausted: false,
        }
    }

    /// Work done so far, in nanoseconds.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// The most that [`Work::spent`] can become.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether some work was not done because it would have been too much. The result of the rest
    /// MUST NOT be accepted.
    pub fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    /// Takes the price of work that is about to be done. After the first failure every call fails.
    pub fn take(&mut self, price: u64) -> Result<(), TooCostly> {
        match self.spent.checked_add(price) {
            Some(spent) if spent <= self.limit && !self.is_exhausted => {
                self.spent = spent;
                Ok(())
            }
            _ => {
                self.is_exhausted = true;
                Err(TooCostly)
            }
        }
    }

    /// Takes the price of checking one signature with a key of this kind.
    pub fn take_signature(&mut self, key: KeyKind) -> Result<(), TooCostly> {
        self.take(match key {
            KeyKind::Ecdsa(Curve::P256) => 80_000,
            KeyKind::Ecdsa(Curve::P384) => 300_000,
            KeyKind::Ecdsa(Curve::P521) => 500_000,
            // Nothing verifies with it.
            KeyKind::Ecdsa(Curve::P224) => 0,
            KeyKind::Ed25519 => 60_000,
            KeyKind::Rsa { bytes } => rsa(bytes),
        })
    }

    /// Takes the price of checking one RSASSA-PSS signature with a salt of any length, whose
    /// arithmetic is ten times slower.
    pub fn take_pss(&mut self, modulus_bytes: usize) -> Result<(), TooCostly> {
        self.take(10 * rsa(modulus_bytes))
    }

    /// Takes the price of hashing so many bytes.
    pub fn take_hashing(&mut self, bytes: usize) -> Result<(), TooCostly> {
        self.take(HASHING.saturating_mul(bytes as u64))
    }

    /// Takes the price of hashing so many bytes with so many of the fast hash functions, SHA-1 and
    /// SHA-2.
    pub fn take_hashing_by(&mut self, bytes: u64, functions: usize) -> Result<(), TooCostly> {
        self.take(
            FAST_HASHING
                .saturating_mul(bytes)
                .saturating_mul(functions as u64),
        )
    }

    /// Takes the price of decompressing `from` bytes to `to` bytes.
    pub fn take_inflating(&mut self, from: usize, to: u64) -> Result<(), TooCostly> {
        self.take(
            INFLATING_FROM
                .saturating_mul(from as u64)
                .saturating_add(INFLATING_TO.saturating_mul(to)),
        )
    }

    /// Takes the price of comparing so many pairs of names. `bytes` is the length of the shorter
    /// name, summed over the pairs.
    pub fn take_comparisons(&mut self, count: u64, bytes: u64) -> Result<(), TooCostly> {
        self.take(
            COMPARISON
                .saturating_mul(count)
                .saturating_add(COMPARISON_PER_BYTE.saturating_mul(bytes)),
        )
    }

    /// Takes the price of reading the lines of a text, each of which may define a name.
    pub fn take_lines(&mut self, text: &[u8]) -> Result<(), TooCostly> {
        let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.take(LINE * lines)
    }

    /// Takes the price of scanning so many bytes of JSON once more.
    pub fn take_scanning(&mut self, bytes: usize) -> Result<(), TooCostly> {
        self.take(SCANNING * bytes as u64)
    }
}

/// The price of a check by an RSA key with so many bytes and a short exponent, which is all that
/// are taken.
fn rsa(modulus_bytes: usize) -> u64 {
    let bytes = modulus_bytes as u64;
    10_000 + 3 * bytes * bytes / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exhausted_work_stays_exhausted() {
        let mut work = Work::of_request(0);
        assert_eq!(work.take(BASE - 1), Ok(()));
        assert_eq!((work.take(2), work.spent()), (Err(TooCostly), BASE - 1));
        assert_eq!((work.take(1), work.is_exhausted()), (Err(TooCostly), true));
        assert_eq!(Work::of_request(1).take(u64::MAX), Err(TooCostly));
        assert_eq!(Work::of_accepted().take(u64::MAX / 2), Ok(()));
    }

    #[test]
    fn longer_requests_may_cost_more() {
        assert_eq!(
            Work::of_request(1_000).limit() - Work::of_request(0).limit(),
            1_000 * PER_BYTE
        );
    }
}
