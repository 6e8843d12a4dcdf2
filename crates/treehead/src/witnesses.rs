//! From the witness policy to the ledger's way to its witnesses.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ledger::{WitnessAnswer, WitnessTransport, Witnessing};
use witness::Client;

use crate::config::Config;
use crate::failure::{Explain, FailureKind, Outcome};

/// How heads are witnessed; none without a policy.
pub(crate) fn witnessing(config: &Config) -> Outcome<Option<Witnessing>> {
    let Some(policy) = config.witness_policy()? else {
        return Ok(None);
    };
    let urls = policy
        .witnesses()
        .iter()
        .filter_map(|witness| witness.url.as_deref());
    let client = Client::new(urls).explain(FailureKind::Usage, "witness-policy")?;
    let fail_open_after = config.witness_fail_open_seconds.map(Duration::from_secs);
    Ok(Some(Witnessing {
        policy,
        transport: Arc::new(Http(client)),
        fail_open_after,
    }))
}

/// The ledger knows no HTTP, the client no ledger.
struct Http(Client);

#[async_trait]
impl WitnessTransport for Http {
    async fn add_checkpoint(
        &self,
        submission_prefix: &str,
        body: String,
    ) -> Result<WitnessAnswer, String> {
        let (status, body) = self.0.add_checkpoint(submission_prefix, body).await?;
        Ok(WitnessAnswer { status, body })
    }
}

#[cfg(test)]
mod tests {
    use tlog::WitnessPolicy;

    use super::*;

    #[test]
    fn the_sample_policy_is_one() {
        let policy = WitnessPolicy::parse(include_str!("../../../deploy/witness-policy")).unwrap();
        assert_eq!(policy.witnesses().len(), 3);
        assert!(policy.is_quorum(&[0, 2].into()) && !policy.is_quorum(&[1, 2].into()));
        // No https: this machine may have no root certificates.
        Client::new(
            policy
                .witnesses()
                .iter()
                .filter_map(|witness| witness.url.as_deref())
                .take(1),
        )
        .unwrap();
    }
}
