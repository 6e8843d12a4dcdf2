//! The recorded answers of a log of two shards: one frozen with 96 entries, one active with none
//! and then one.

use ledger::TreeId;

use crate::case::{ACTIVE_HEX, Case, Peer, Recordings, TREE_DECIMAL, TREE_HEX, in_tree};
use crate::golden::Differences;
use crate::lists;
use crate::mask::Mask;
use crate::proposal::Signer;
use crate::support::Answer;
use crate::{Judge, SAME_LEAVES, found, public_log};

const FROZEN_SIZE: u64 = 96;

/// In the recorded order: the one that was empty, the entry, and what came then in any.
const FIRST: [&str; 2] = ["sharding-loginfo-empty-active", "sharding-post-into-active"];

const ENTRIES: &str = "/api/v1/log/entries";

/// The two trees of our log.
struct Trees {
    frozen: TreeId,
    active: TreeId,
}

impl Trees {
    fn ours(&self, text: &str) -> String {
        in_tree(text, self.frozen).replace(ACTIVE_HEX, &format!("{:016x}", self.active.0))
    }

    fn theirs(&self, text: &str) -> String {
        text.replace(&format!("{:016x}", self.frozen.0), TREE_HEX)
            .replace(&format!("{:016x}", self.active.0), ACTIVE_HEX)
    }

    /// The answer as if our trees were the recorded ones.
    fn recorded(&self, mut answer: Answer) -> Answer {
        answer.body = self.theirs(&answer.body);
        for name in ["location", "etag"] {
            let value = self.theirs(answer.header(name));
            if let Some(header) = answer.headers.get_mut(name) {
                *header = value.parse().expect("a value");
            }
        }
        answer
    }
}

#[tokio::test]
async fn answers_of_two_shards_match_the_recordings() {
    replay_shards(Peer::Old).await;
    replay_shards(Peer::Newest).await;
}

async fn replay_shards(peer: Peer) {
    let Some(recordings) = Recordings::load(peer) else {
        return;
    };
    let judge = Judge {
        peer,
        differences: Differences::read(),
    };
    let log = public_log().await;
    for (_, entry) in recordings.entries.range(..SAME_LEAVES) {
        assert_eq!(log.post(ENTRIES, &entry.body).await.status, 201);
    }
    // The entry that both shards have, and any others.
    let both = recordings.named(FIRST[1]);
    assert_eq!(log.send(both.request(&log)).await.status, 201);
    let signer = Signer::new();
    for artifact in log.v1().head().size.0..FROZEN_SIZE {
        assert_eq!(
            log.post(ENTRIES, &signer.proposal(&artifact.to_be_bytes()))
                .await
                .status,
            201
        );
    }
    let frozen = log.v1().tree().id;
    log.rotate_v1().await;
    let trees = Trees {
        frozen,
        active: log.v1().tree().id,
    };

    let of_shards = recordings
        .cases
        .iter()
        .filter(|case| lists::is_multi_shard(&case.name));
    let (first, then): (Vec<&Case>, Vec<&Case>) =
        of_shards.partition(|case| FIRST.contains(&case.name.as_str()));
    let mut failures = Vec::new();
    for case in FIRST
        .iter()
        .flat_map(|name| first.iter().filter(move |case| case.name == *name))
        .chain(&then)
    {
        let answer = log.send(case.request_to(|text| trees.ours(text))).await;
        // The active tree has the recorded leaf and no other.
        let mask = if is_of_frozen_tree(case) {
            Mask::Tree
        } else {
            Mask::Keys
        };
        let (found, details) = found(case, &trees.recorded(answer), mask);
        failures.extend(judge.verdict(case, &found, &details));
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Whether something of the frozen tree is asked for or answered.
fn is_of_frozen_tree(case: &Case) -> bool {
    let texts = [&case.target, &case.body, &case.expected.body];
    texts
        .iter()
        .any(|text| [TREE_HEX, TREE_DECIMAL].iter().any(|id| text.contains(id)))
}
