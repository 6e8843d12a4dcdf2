//! Trees against two other implementations: the recursive definitions of RFC 6962 and the
//! `tlog_tiles` crate.

// `cfg(test)` says so to clippy as well: what fails here is a test.
#[cfg(test)]
mod edge;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod proof;
#[cfg(test)]
mod reference;
