//! The judgements about a lock file, put together with the entries that they name.

use std::collections::HashMap;

use client::lock::{Artefact, Judgement, Lock, Verdict};
use client::lookup::{KeyHit, SearchApi};
use entry::Signer;

use super::known::{Known, Shown};

/// Everything that is reported.
pub(super) struct Report<'a> {
    /// The lock file, as it was named.
    pub(super) file: &'a str,
    pub(super) url: &'a str,
    pub(super) lock: &'a Lock,
    /// One for each artefact.
    pub(super) judgements: &'a [Judgement],
    pub(super) known: &'a HashMap<String, Known>,
    pub(super) search: SearchApi,
    /// Whether the word of the log's index is enough.
    pub(super) trusts_index: bool,
}

/// How many artefacts have which status. One that is contradicted has another status as well.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) logged: usize,
    pub(super) indexed: usize,
    pub(super) absent: usize,
    pub(super) not_checkable: usize,
    pub(super) contradicted: usize,
}

/// An artefact with its judgement.
pub(super) type Line<'a> = (&'a Artefact, &'a Judgement);

impl<'a> Report<'a> {
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        self.lock.artefacts.iter().zip(self.judgements)
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for judgement in self.judgements {
            match judgement.verdict {
                Verdict::Logged(_) => counts.logged += 1,
                Verdict::Indexed(_) => counts.indexed += 1,
                Verdict::Absent => counts.absent += 1,
                Verdict::NotCheckable(_) => counts.not_checkable += 1,
            }
            counts.contradicted += usize::from(!judgement.contradicting.is_empty());
        }
        counts
    }

    /// Returns the entry that a judgement names.
    pub(super) fn known(&self, hit: &KeyHit) -> Option<&'a Known> {
        self.known.get(&hit.uuid)
    }

    /// Returns what shows that an entry is about an artefact.
    pub(super) fn shown(&self, artefact: &Artefact, hit: &KeyHit) -> Shown {
        let known = self.known(hit);
        known.map_or(Shown::ByIndex, |known| known.shows(&artefact.digest_keys()))
    }

    /// Returns the signers of some entries, each once.
    pub(super) fn signers(&self, hits: &[KeyHit]) -> String {
        let mut names = Vec::new();
        for known in hits.iter().filter_map(|hit| self.known(hit)) {
            for signer in &known.summary.signers {
                let name = name_of(signer);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        match names.is_empty() {
            true => "nobody that the entries name".to_owned(),
            false => names.join("; "),
        }
    }

    /// Returns the sentence about an artefact that is in no entry, that only the index ties to one,
    /// or that entries contradict.
    pub(super) fn finding(&self, (artefact, judgement): Line<'a>) -> Option<String> {
        if !judgement.contradicting.is_empty() {
            let ids = ids(&judgement.contradicting);
            let signers = self.signers(&judgement.contradicting);
            let also = match judgement.verdict {
                Verdict::Absent => ", and the locked one is not in the log",
                _ => "",
            };
            return Some(format!(
                "{} was logged with another digest, in {ids} by {signers}{also}",
                title(artefact)
            ));
        }
        match judgement.verdict {
            Verdict::Absent => Some(format!("{} is not in the log", title(artefact))),
            Verdict::Indexed(_) if !self.trusts_index => Some(format!(
                "{} is in the log by the log's index alone: no entry shows it",
                title(artefact)
            )),
            _ => None,
        }
    }
}

/// Returns name, version and file of an artefact.
pub(super) fn title(artefact: &Artefact) -> String {
    let version = match artefact.version.as_str() {
        "" => String::new(),
        version => format!(" {version}"),
    };
    let file = artefact.file.as_ref().map(|file| format!(" ({file})"));
    format!("{}{version}{}", artefact.name, file.unwrap_or_default())
}

/// Returns IDs of entries for a sentence.
pub(super) fn ids(hits: &[KeyHit]) -> String {
    let ids: Vec<&str> = hits.iter().map(|hit| hit.uuid.as_str()).collect();
    ids.join(", ")
}

/// Returns whom a signer names, or its key. The log does not check who made a certificate.
fn name_of(signer: &Signer) -> String {
    let issuer = signer
        .certificate
        .as_ref()
        .and_then(|certificate| certificate.issuer.as_ref());
    let issuer = issuer
        .map(|issuer| format!(" ({issuer})"))
        .unwrap_or_default();
    match signer.names.is_empty() {
        true => format!(
            "key {}{issuer}",
            signer.spki_sha256.as_ref().unwrap_or(&signer.key_hash)
        ),
        false => format!("{}{issuer}", signer.names.join(", ")),
    }
}
