//! Asking witnesses for cosignatures (C2SP tlog-witness, the log's side).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tlog::{
    AddCheckpoint, Hash, Note, NoteSignature, ProofError, TreeSize, WitnessKey, WitnessPolicy,
};
use tokio::time::timeout;

use super::head::Head;
use super::tile_set::fresh_tiles;
use crate::ids::TreeId;
use crate::metrics::{COSIGNED, Metrics};
use crate::store::{Store, StoreError};

/// How long one witness may take with all its tries. Well below the 10 s after which writes are
/// refused.
pub const WITNESS_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests to one witness for one head. The first ones may only teach us which size the witness
/// knows.
const MAX_TRIES: u32 = 3;

/// Carries requests to witnesses.
#[async_trait]
pub trait WitnessTransport: Send + Sync + 'static {
    /// POSTs the body of an `add-checkpoint` to a witness's submission prefix. The caller stops it
    /// if that takes too long.
    ///
    /// MUST bound the answer that it reads. `Err` says in a few words why there is no answer.
    async fn add_checkpoint(
        &self,
        submission_prefix: &str,
        body: String,
    ) -> Result<WitnessAnswer, String>;
}

/// The answer of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body. Empty if it is not text.
    pub body: String,
}

/// A policy, and the sizes that its witnesses are known to have cosigned.
pub(crate) struct Witnesses {
    policy: WitnessPolicy,
    pub(super) peers: Vec<Peer>,
    pub(super) transport: Arc<dyn WitnessTransport>,
}

/// A witness of the policy that can be asked.
pub(super) struct Peer {
    /// Position in the policy.
    pub(super) place: usize,
    pub(super) name: String,
    key: WitnessKey,
    pub(super) url: String,
    /// The size that it cosigned last, as far as this process knows. Its answers correct that.
    cosigned: AtomicU64,
}

/// Cosignatures of one head.
pub(crate) struct Cosigned {
    pub(crate) lines: Vec<NoteSignature>,
    pub(crate) is_quorum: bool,
    /// Whether another server had a larger head cosigned by one of the witnesses.
    pub(crate) is_overtaken: bool,
    /// Whether one of the witnesses has cosigned another history of the log.
    pub(crate) is_contradicted: bool,
}

/// Why a witness gave no cosignature.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no answer: {0}")]
    Unreachable(String),
    #[error("no answer within {} s", WITNESS_TIMEOUT.as_secs())]
    Timeout,
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("its answer makes no sense: {0}")]
    Malformed(&'static str),
    #[error("its answer has no valid cosignature by its key")]
    Signature,
    #[error("another server had size {0} cosigned")]
    Overtaken(TreeSize),
    #[error(
        "it has cosigned size {0}, which this log does not have: was the database put back to an older copy?"
    )]
    Ahead(TreeSize),
    #[error(
        "it has another tree: the proof from the size that it cosigned does not lead to our root"
    )]
    Inconsistent,
    #[error("no proof for it: {0}")]
    Store(#[from] StoreError),
    #[error("no proof for it: {0}")]
    Proof(#[from] ProofError),
}

impl Refusal {
    /// Returns the label in the metrics, one of [`crate::metrics::WITNESS_RESULTS`].
    fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::Status(_) => "refused",
            Self::Malformed(_) => "malformed",
            Self::Signature => "bad_signature",
            Self::Overtaken(_) => "overtaken",
            Self::Ahead(_) => "ahead",
            Self::Inconsistent => "inconsistent",
            Self::Store(_) | Self::Proof(_) => "no_proof",
        }
    }
}

impl Witnesses {
    /// Returns `None` if the witnesses that have a URL cannot make the quorum.
    pub(crate) fn new(policy: WitnessPolicy, transport: Arc<dyn WitnessTransport>) -> Option<Self> {
        let peers: Vec<Peer> = policy
            .witnesses()
            .iter()
            .enumerate()
            .filter_map(|(place, witness)| {
                Some(Peer {
                    place,
                    name: witness.name.clone(),
                    key: witness.key.clone(),
                    url: witness.url.clone()?,
                    cosigned: AtomicU64::new(0),
                })
            })
            .collect();
        let reachable = peers.iter().map(|peer| peer.place).collect();
        policy.is_quorum(&reachable).then_some(Self {
            policy,
            peers,
            transport,
        })
    }

    /// Returns whether the witnesses at these positions of the policy make its quorum. Nobody makes
    /// the quorum `none`.
    pub(super) fn is_quorum(&self, places: &HashSet<usize>) -> bool {
        !self.policy.is_quorum(&HashSet::new()) && self.policy.is_quorum(places)
    }

    /// Asks all witnesses at once, until the quorum is met, all have answered, or `patience` runs
    /// out.
    ///
    /// `head` is signed and not published: the witnesses are the first to see it.
    pub(crate) async fn cosign(
        &self,
        store: &dyn Store,
        metrics: &Metrics,
        head: &Head,
        note: &Note,
        patience: Duration,
    ) -> Cosigned {
        let mut asked: FuturesUnordered<_> = self
            .peers
            .iter()
            .map(|peer| async move {
                let asked = timeout(
                    WITNESS_TIMEOUT,
                    peer.ask(store, head, note, self.transport.as_ref()),
                )
                .await;
                (peer, asked.unwrap_or(Err(Refusal::Timeout)))
            })
            .collect();
        let patience = tokio::time::sleep(patience);
        tokio::pin!(patience);
        let (mut lines, mut cosigned) = (Vec::new(), HashSet::new());
        let (mut is_overtaken, mut is_contradicted) = (false, false);
        while !self.policy.is_quorum(&cosigned) {
            let answer = tokio::select! {
                biased;
                answer = asked.next() => answer,
                () = &mut patience => None,
            };
            let Some((peer, outcome)) = answer else {
                return Cosigned {
                    lines,
                    is_quorum: false,
                    is_overtaken,
                    is_contradicted,
                };
            };
            let label = match outcome {
                Ok(line) => {
                    cosigned.insert(peer.place);
                    lines.push(line);
                    COSIGNED
                }
                Err(refusal) => {
                    match &refusal {
                        Refusal::Overtaken(_) => is_overtaken = true,
                        Refusal::Ahead(_) | Refusal::Inconsistent => {
                            is_contradicted = true;
                            tracing::error!(witness = peer.name, %refusal, size = head.size.0, "a witness contradicts this log");
                        }
                        _ => {
                            tracing::warn!(witness = peer.name, %refusal, size = head.size.0, "no cosignature")
                        }
                    }
                    refusal.label()
                }
            };
            metrics
                .witness_requests
                .with_label_values(&[peer.name.as_str(), label])
                .inc();
        }
        Cosigned {
            lines,
            is_quorum: true,
            is_overtaken,
            is_contradicted,
        }
    }
}

impl Peer {
    /// Asks for the cosignature of a head.
    async fn ask(
        &self,
        store: &dyn Store,
        head: &Head,
        note: &Note,
        transport: &dyn WitnessTransport,
    ) -> Result<NoteSignature, Refusal> {
        for _ in 0..MAX_TRIES {
            let old_size = TreeSize(self.cosigned.load(Ordering::Relaxed).min(head.size.0));
            let proof = consistency_proof(store, head, old_size).await?;
            let body = AddCheckpoint {
                old_size,
                proof,
                checkpoint: note.clone(),
            }
            .to_string();
            let answer = transport
                .add_checkpoint(&self.url, body)
                .await
                .map_err(Refusal::Unreachable)?;
            match answer.status {
                200 => {
                    let line = self.cosignature(note, &answer.body)?;
                    self.cosigned.store(head.size.0, Ordering::Relaxed);
                    return Ok(line);
                }
                409 => match tlog::parse_cosigned_size(&answer.body) {
                    Some(size) if size > head.size => {
                        return Err(match stored_size(store, head.tree.id).await? >= size {
                            true => Refusal::Overtaken(size),
                            false => Refusal::Ahead(size),
                        });
                    }
                    // It cosigned another root at this very size (C2SP tlog-witness); it need not
                    // repeat the size.
                    size if old_size == head.size && size.is_none_or(|size| size == old_size) => {
                        return Err(Refusal::Inconsistent);
                    }
                    Some(size) if size == old_size => {
                        return Err(Refusal::Malformed("a conflict with its own size"));
                    }
                    Some(size) => self.cosigned.store(size.0, Ordering::Relaxed),
                    None => return Err(Refusal::Malformed("a conflict without a size")),
                },
                422 => return Err(Refusal::Inconsistent),
                status => return Err(Refusal::Status(status)),
            }
        }
        Err(Refusal::Malformed("a conflict again and again"))
    }

    fn cosignature(&self, note: &Note, answer: &str) -> Result<NoteSignature, Refusal> {
        let lines = tlog::parse_signature_lines(answer)
            .map_err(|_| Refusal::Malformed("no signature lines"))?;
        let line = lines
            .into_iter()
            .find(|line| self.key.verify(note.text(), line).is_ok());
        line.ok_or(Refusal::Signature)
    }
}

/// Returns the size of the newest stored head.
async fn stored_size(store: &dyn Store, tree: TreeId) -> Result<TreeSize, StoreError> {
    let newest = store.reader().newest_head(tree).await?;
    Ok(newest.map_or(TreeSize(0), |row| row.size))
}

/// Returns the consistency proof from `first` to a head that need not be published.
async fn consistency_proof(
    store: &dyn Store,
    head: &Head,
    first: TreeSize,
) -> Result<Vec<Hash>, Refusal> {
    let ids = tlog::tiles_for_consistency(first, head.size);
    let tiles = fresh_tiles(store.reader().as_mut(), head.tree.id, head.view(), &ids).await?;
    Ok(tlog::consistency_proof(first, head.size, &tiles)?)
}
