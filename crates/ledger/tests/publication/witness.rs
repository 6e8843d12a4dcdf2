//! Witnesses in memory: honest ones as C2SP tlog-witness says, and those that are not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ledger::{WitnessAnswer, WitnessTransport};
use ring::rand::SystemRandom;
use tlog::{AddCheckpoint, Checkpoint, EMPTY_ROOT, Hash, SigningKey, TreeSize, WitnessKey};

use crate::store::SimStore;

/// The behaviour of a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Honest,
    /// No answer, at once.
    Dead,
    /// An answer after the log has given up.
    Slow,
    /// Takes the checkpoint; its answer is lost.
    Lost,
    /// Another key under its name.
    WrongKey,
    /// A cosignature over another text.
    OtherText,
    /// Says that it knows a larger tree.
    Ahead,
    /// A conflict with the very size that it was asked with.
    SameConflict,
    /// 422.
    Inconsistent,
    /// 200 with no signature lines.
    Nonsense,
}

struct Peer {
    key: SigningKey,
    behaviour: Behaviour,
    /// By origin.
    last: BTreeMap<String, (TreeSize, Hash)>,
}

#[derive(Clone)]
pub(crate) struct SimWitnesses {
    store: SimStore,
    peers: Arc<Mutex<Vec<Peer>>>,
    fault_every: Arc<Mutex<u64>>,
}

impl SimWitnesses {
    pub(crate) fn new(store: &SimStore, count: usize) -> Self {
        let peer = |_| Peer {
            key: new_key(),
            behaviour: Behaviour::Honest,
            last: BTreeMap::new(),
        };
        let peers = Arc::new(Mutex::new((0..count).map(peer).collect()));
        Self {
            store: store.clone(),
            peers,
            fault_every: Arc::new(Mutex::new(0)),
        }
    }

    /// Their lines in a policy.
    pub(crate) fn lines(&self) -> String {
        let peers = self.peers.lock().unwrap();
        let line = |(n, peer): (usize, &Peer)| {
            let key = WitnessKey::new(&name(n), peer.key.verifying_key().clone()).unwrap();
            format!("witness w{n} {key} {n}")
        };
        peers
            .iter()
            .enumerate()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }

    pub(crate) fn behave(&self, n: usize, behaviour: Behaviour) {
        self.peers.lock().unwrap()[n].behaviour = behaviour;
    }

    pub(crate) fn forget(&self, n: usize) {
        self.peers.lock().unwrap()[n].last.clear();
    }

    /// One request in so many is lost on the way there, on the way back, or takes too long.
    pub(crate) fn fail_one_in(&self, requests: u64) {
        *self.fault_every.lock().unwrap() = requests;
    }

    fn behaviour(&self, n: usize) -> Behaviour {
        let fault_every = *self.fault_every.lock().unwrap();
        let fault = self.store.with(|state| {
            let fails = fault_every > 0 && state.rng.below(fault_every) == 0;
            fails.then(|| {
                [Behaviour::Dead, Behaviour::Lost, Behaviour::Slow][state.rng.below(3) as usize]
            })
        });
        fault.unwrap_or(self.peers.lock().unwrap()[n].behaviour)
    }

    fn add(&self, n: usize, body: &str) -> WitnessAnswer {
        let mut peers = self.peers.lock().unwrap();
        let peer = &mut peers[n];
        let request = AddCheckpoint::parse(body).unwrap();
        let checkpoint = Checkpoint::parse(request.checkpoint.text()).unwrap();
        let (size, root) = peer
            .last
            .get(&checkpoint.origin)
            .copied()
            .unwrap_or((TreeSize(0), EMPTY_ROOT));
        if request.old_size != size {
            return answer(409, format!("{size}\n"));
        }
        tlog::verify_consistency(
            size,
            &root,
            checkpoint.size,
            &checkpoint.root,
            &request.proof,
        )
        .unwrap();
        peer.last
            .insert(checkpoint.origin, (checkpoint.size, checkpoint.root));
        cosigned(request.checkpoint.text(), n, &peer.key)
    }
}

#[async_trait]
impl WitnessTransport for SimWitnesses {
    async fn add_checkpoint(
        &self,
        submission_prefix: &str,
        body: String,
    ) -> Result<WitnessAnswer, String> {
        let n: usize = submission_prefix.parse().unwrap();
        tokio::task::yield_now().await;
        let request = || AddCheckpoint::parse(&body).unwrap();
        match self.behaviour(n) {
            Behaviour::Honest => Ok(self.add(n, &body)),
            Behaviour::Dead => Err("connection refused".into()),
            Behaviour::Slow => {
                tokio::time::sleep(Duration::from_secs(6)).await;
                Ok(self.add(n, &body))
            }
            Behaviour::Lost => {
                self.add(n, &body);
                Err("connection reset".into())
            }
            Behaviour::WrongKey => Ok(cosigned(request().checkpoint.text(), n, &new_key())),
            Behaviour::OtherText => Ok(cosigned(
                "log\n7\nAAAA\n",
                n,
                &self.peers.lock().unwrap()[n].key,
            )),
            Behaviour::Ahead => Ok(answer(409, "1000000\n".into())),
            Behaviour::SameConflict => Ok(answer(409, format!("{}\n", request().old_size))),
            Behaviour::Inconsistent => Ok(answer(422, String::new())),
            Behaviour::Nonsense => Ok(answer(200, "<html>".into())),
        }
    }
}

fn name(n: usize) -> String {
    format!("witness.example/{n}")
}

fn new_key() -> SigningKey {
    let rng = SystemRandom::new();
    SigningKey::from_pkcs8(&SigningKey::generate_ed25519_pkcs8(&rng).unwrap(), &rng).unwrap()
}

fn cosigned(text: &str, n: usize, key: &SigningKey) -> WitnessAnswer {
    let line = tlog::cosign(text, &name(n), key, 1_800_000_000, &SystemRandom::new()).unwrap();
    answer(200, format!("{line}\n"))
}

fn answer(status: u16, body: String) -> WitnessAnswer {
    WitnessAnswer { status, body }
}
