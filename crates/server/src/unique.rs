//! Unique packages: one package URL, one digest.
//!
//! The ledger compares, and knows neither packages nor digests. Entries claim them here.

use entry::{PackageClaims, Refusal, VerifiedEntry};
use ledger::store::{ClaimRules, OnContradiction, OnIncomparable};
use ledger::{EntryClaims, NewClaim, shown_name};

use crate::metrics::Metrics;

/// Whether a package may have two digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UniquePackages {
    /// What follows if an entry gives a package another digest than an earlier one.
    pub second_digest: OnSecondDigest,
    /// What follows if an entry cannot be judged.
    pub unjudged: OnUnjudged,
}

/// What follows if an entry gives a package another digest than an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnSecondDigest {
    /// Nothing: digests are not compared.
    #[default]
    Ignored,
    /// The entry is logged, can be searched for, and is counted.
    Reported,
    /// The entry is refused.
    Refused,
}

/// What follows if an entry cannot be judged: it names no package in a version, or one without a
/// digest, or with a digest of an algorithm in which the first entry of the package has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnjudged {
    /// The entry is logged, and counted.
    #[default]
    Accepted,
    /// The entry is refused.
    Refused,
}

impl UniquePackages {
    /// Returns the rules for the ledger.
    fn rules(self) -> ClaimRules {
        ClaimRules {
            contradictory: match self.second_digest {
                OnSecondDigest::Ignored => OnContradiction::Ignored,
                OnSecondDigest::Reported => OnContradiction::Marked,
                OnSecondDigest::Refused => OnContradiction::Refused,
            },
            incomparable: match self.unjudged {
                OnUnjudged::Accepted => OnIncomparable::Accepted,
                OnUnjudged::Refused => OnIncomparable::Refused,
            },
        }
    }

    /// Returns what a verified entry claims.
    ///
    /// # Errors
    ///
    /// The entry cannot be judged, or gives one package two digests by itself, and is refused for
    /// that.
    pub(crate) fn claims(
        self,
        verified: &VerifiedEntry,
        metrics: &Metrics,
    ) -> Result<EntryClaims, Refusal> {
        let claims = verified.package_claims();
        if self.second_digest != OnSecondDigest::Ignored {
            self.judge(claims, metrics)?;
        }
        let list = claims.claims.iter().map(|claim| NewClaim {
            name: claim.purl.clone(),
            values: claim.digests.clone(),
        });
        Ok(EntryClaims {
            list: list.collect(),
            rules: self.rules(),
        })
    }

    /// Judges an entry by itself.
    fn judge(self, claims: &PackageClaims, metrics: &Metrics) -> Result<(), Refusal> {
        if let Some(package) = &claims.contradictory {
            let package = shown_name(package);
            if self.second_digest == OnSecondDigest::Refused {
                return Err(Refusal::Invalid(format!(
                    "the entry gives {package} two digests"
                )));
            }
            tracing::warn!(%package, "an entry gives a package two digests by itself");
        }
        if claims.is_complete {
            return Ok(());
        }
        metrics.unjudged_entries.inc();
        match self.unjudged {
            OnUnjudged::Accepted => Ok(()),
            OnUnjudged::Refused => Err(Refusal::Invalid(
                "this log takes only entries that name a package in a version, with its digest: \
                 in-toto statements in a DSSE envelope whose subjects are package URLs, for example"
                    .to_owned(),
            )),
        }
    }
}
