//! Why certificates are refused.

use crate::error::KeyError;
use crate::work::TooCostly;

/// Why DER is not a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It breaks RFC 5280.
    #[error("x509: malformed certificate: {0}")]
    Not(&'static str),
    /// Its key is refused.
    #[error("x509: {0}")]
    Key(KeyError),
}

/// Why certificates are not a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A critical extension is not known.
    #[error("x509: unhandled critical extension")]
    UnknownCritical,
    /// A certificate was not valid when the leaf became valid.
    #[error("x509: certificate has expired or is not yet valid")]
    Expired,
    /// No path leads from the leaf to the last certificate.
    #[error("x509: certificate signed by unknown authority")]
    UnknownAuthority,
    /// A certificate has policy rules.
    #[error("x509: chains with policy mappings or policy constraints are not verified here")]
    PolicyRules,
    /// The check would cost too much.
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
}
