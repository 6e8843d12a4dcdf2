//! What a log's entries say about what is locked.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Lock;
use super::artefact::{Artefact, Locked};
use super::format::LockFormat;
use crate::lookup::{KeyHit, KeyHits};

/// What a log says about one artefact. Entries are those that its search finds; whoever calls this
/// verifies that they are in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it is in the log.
    pub verdict: Verdict,
    /// Entries about the same version, or about a file of this name, under none of the locked
    /// digests: somebody logged other bytes under this name.
    pub contradicting: Vec<KeyHit>,
    /// Entries about the same version under none of the locked digests, which may be about another
    /// file of it, or state a digest of another algorithm.
    pub beside: Vec<KeyHit>,
}

/// Whether an artefact is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// These entries are under one of its digests, the newest of each log first. At least one shows
    /// by itself that it is.
    Logged(Vec<KeyHit>),
    /// The search finds these entries under one of its digests, and none of them shows by itself
    /// that it is: the log's index says so alone.
    Indexed(Vec<KeyHit>),
    /// No entry is.
    Absent,
    /// The lock file does not say enough to ask. The text says why.
    NotCheckable(&'static str),
}

impl Judgement {
    /// Returns whether the artefact is in the log, as far as that can be asked, and nothing
    /// contradicts it. `trusts_index` says whether the word of the log's index is enough.
    pub fn is_good(&self, trusts_index: bool) -> bool {
        let is_in_log = match self.verdict {
            Verdict::Logged(_) | Verdict::NotCheckable(_) => true,
            Verdict::Indexed(_) => trusts_index,
            Verdict::Absent => false,
        };
        is_in_log && self.contradicting.is_empty()
    }
}

/// Judges each artefact of a lock file, in its order. `hits` are the entries under each of
/// [`Artefact::keys`]; `counts` says whether an entry of this ID counts, and `shows` whether it shows
/// by itself that it is about an artefact.
pub fn judge(
    lock: &Lock,
    hits: &HashMap<String, KeyHits>,
    counts: &dyn Fn(&str) -> bool,
    shows: &dyn Fn(&Artefact, &str) -> bool,
) -> Vec<Judgement> {
    let index = Index {
        hits,
        counts,
        shows,
    };
    let mut of_version: HashMap<&str, Under<'_>> = HashMap::new();
    for artefact in &lock.artefacts {
        if let Some(purl) = &artefact.purl {
            let under = of_version.entry(purl).or_default();
            under.add(&index, &artefact.digest_keys());
        }
    }
    let mut told = HashSet::new();
    let mut judgements = Vec::with_capacity(lock.artefacts.len());
    for artefact in &lock.artefacts {
        let mut judgement = index.judge(artefact);
        // Several files of one version share what is said about the version.
        if let Some(purl) = artefact.purl.as_deref()
            && matches!(artefact.locked, Locked::Digests(_))
            && let Some(key) = artefact.purl_key()
            && told.insert(purl)
        {
            let others = of_version.get(purl).map(|under| under.others(&index, &key));
            let others = others.unwrap_or_default();
            match has_one_digest(lock.format, artefact) {
                true => judgement.contradicting.extend(others),
                false => judgement.beside.extend(others),
            }
        }
        judgements.push(judgement);
    }
    judgements
}

/// Whether a version of a package is one file, of which everybody states the digest that is locked:
/// not in Python, where it has several; not in Go, where statements are about an archive as often;
/// and not where old lock files have a SHA-1.
fn has_one_digest(format: LockFormat, artefact: &Artefact) -> bool {
    let is_one_file = matches!(
        format,
        LockFormat::Npm | LockFormat::Pnpm | LockFormat::Cargo
    );
    let Locked::Digests(digests) = &artefact.locked else {
        return false;
    };
    is_one_file && digests.iter().all(|digest| digest.algorithm != "sha1")
}

/// What the search found.
struct Index<'a> {
    hits: &'a HashMap<String, KeyHits>,
    counts: &'a dyn Fn(&str) -> bool,
    shows: &'a dyn Fn(&Artefact, &str) -> bool,
}

impl<'a> Index<'a> {
    fn of_key(&self, key: &str) -> impl Iterator<Item = &'a KeyHit> {
        let hits = self.hits.get(key).map(|hits| hits.entries.as_slice());
        let counted = hits.unwrap_or_default().iter();
        counted.filter(|hit| (self.counts)(&hit.uuid))
    }

    fn judge(&self, artefact: &Artefact) -> Judgement {
        let mut judgement = Judgement {
            verdict: Verdict::Absent,
            contradicting: Vec::new(),
            beside: Vec::new(),
        };
        if let Locked::Nothing(why) = artefact.locked {
            judgement.verdict = Verdict::NotCheckable(why);
            return judgement;
        }
        let keys = artefact.digest_keys();
        let mut seen = HashSet::new();
        let under = keys.iter().flat_map(|key| self.of_key(key));
        let under = under.filter(|hit| seen.insert(hit.uuid.as_str()));
        let logged: Vec<KeyHit> = under.cloned().collect();
        if logged.iter().any(|hit| (self.shows)(artefact, &hit.uuid)) {
            judgement.verdict = Verdict::Logged(logged);
        } else if !logged.is_empty() {
            judgement.verdict = Verdict::Indexed(logged);
        }
        if let Some(key) = artefact.file_key() {
            let mut under = Under::default();
            under.add(self, &keys);
            judgement.contradicting = under.others(self, &key);
        }
        judgement
    }
}

/// The entries under the digests of one artefact, or of all files of one version.
#[derive(Default)]
struct Under<'a> {
    ids: HashSet<&'a str>,
    /// For each log, entries below this log index may be missing: there were too many to read.
    below: BTreeMap<&'a str, u64>,
}

impl<'a> Under<'a> {
    fn add(&mut self, index: &Index<'a>, digest_keys: &[String]) {
        for hits in digest_keys.iter().filter_map(|key| index.hits.get(key)) {
            self.ids
                .extend(hits.entries.iter().map(|hit| hit.uuid.as_str()));
            for (log, below) in &hits.below {
                let known = self.below.entry(log).or_default();
                *known = (*known).max(*below);
            }
        }
    }

    /// Returns the entries under a key that are not among these.
    fn others(&self, index: &Index<'a>, key: &str) -> Vec<KeyHit> {
        let is_known = |hit: &&KeyHit| {
            let below = self.below.get(hit.log.as_str());
            let may_be_missing = below.is_some_and(|below| hit.log_index.unwrap_or(0) < *below);
            !may_be_missing && !self.ids.contains(hit.uuid.as_str())
        };
        index.of_key(key).filter(is_known).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Digest;

    fn artefact(version: &str, byte: u8, file: Option<&str>) -> Artefact {
        Artefact {
            name: "a".to_owned(),
            version: version.to_owned(),
            purl: Some(format!("pkg:cargo/a@{version}")),
            file: file.map(str::to_owned),
            line: 1,
            locked: Locked::Digests(vec![Digest {
                algorithm: "sha256",
                hex: hex::encode([byte; 32]),
            }]),
        }
    }

    fn under(key: &str, ids: &[&str]) -> (String, KeyHits) {
        let hit = |id: &&str| KeyHit {
            log: "v1".to_owned(),
            uuid: (*id).to_owned(),
            url: String::new(),
            log_index: Some(7),
            leaf_index: Some(7),
        };
        let entries = ids.iter().map(hit).collect();
        (
            key.to_owned(),
            KeyHits {
                entries,
                below: BTreeMap::new(),
            },
        )
    }

    fn digest(byte: u8) -> String {
        format!("sha256:{}", hex::encode([byte; 32]))
    }

    fn ids(hits: &[KeyHit]) -> Vec<&str> {
        hits.iter().map(|hit| hit.uuid.as_str()).collect()
    }

    fn lock(format: LockFormat, artefacts: Vec<Artefact>) -> Lock {
        Lock { format, artefacts }
    }

    #[test]
    fn other_bytes_under_one_name_contradict() {
        let lock = lock(
            LockFormat::Cargo,
            vec![
                artefact("1", 1, None),
                artefact("2", 2, None),
                artefact("3", 3, None),
            ],
        );
        let hits = HashMap::from([
            under(&digest(1), &["one", "same"]),
            under("purl=pkg:cargo/a@1", &["same"]),
            under(&digest(2), &["two"]),
            under("purl=pkg:cargo/a@2", &["two", "evil"]),
        ]);
        let judged = judge(&lock, &hits, &|_| true, &|_, _| true);
        assert!(judged[0].is_good(false));
        assert!(
            matches!(&judged[0].verdict, Verdict::Logged(hits) if ids(hits) == ["one", "same"])
        );
        assert_eq!(ids(&judged[1].contradicting), ["evil"]);
        assert_eq!(judged[2].verdict, Verdict::Absent);
        assert!(!judged[1].is_good(false) && !judged[2].is_good(false));

        // Entries that do not count neither vouch nor contradict.
        let judged = judge(&lock, &hits, &|id| id == "same", &|_, _| true);
        assert!(judged[0].is_good(false));
        assert!(judged[1].contradicting.is_empty());
        assert_eq!(judged[1].verdict, Verdict::Absent);

        // What the index says alone is another verdict.
        let judged = judge(&lock, &hits, &|_| true, &|_, id| id == "same");
        assert!(judged[0].is_good(false));
        assert!(matches!(&judged[1].verdict, Verdict::Indexed(hits) if ids(hits) == ["two"]));
        let hits = HashMap::from([under(&digest(1), &["one"])]);
        let judged = judge(&lock, &hits, &|_| true, &|_, _| false);
        assert!(judged[0].is_good(true) && !judged[0].is_good(false));
    }

    #[test]
    fn other_files_of_a_version_of_python_are_beside_it() {
        let files = vec![
            artefact("1", 1, Some("a-1.whl")),
            artefact("1", 2, Some("a-1.tar.gz")),
        ];
        let lock = lock(LockFormat::Uv, files);
        let hits = HashMap::from([
            under(&digest(1), &["wheel"]),
            under(&digest(2), &["source"]),
            under("purl=pkg:cargo/a@1", &["wheel", "source", "other"]),
            under("subject=a-1.tar.gz", &["source", "evil"]),
        ]);
        let judged = judge(&lock, &hits, &|_| true, &|_, _| true);
        assert!(judged[0].is_good(false));
        assert_eq!(ids(&judged[0].beside), ["other"]);
        assert_eq!(ids(&judged[1].contradicting), ["evil"]);
        assert!(judged[1].beside.is_empty(), "the version is judged once");
    }

    #[test]
    fn entries_that_were_not_read_do_not_contradict() {
        let lock = lock(LockFormat::Cargo, vec![artefact("1", 1, None)]);
        let mut hits = HashMap::from([
            under(&digest(1), &["new"]),
            under("purl=pkg:cargo/a@1", &["old"]),
        ]);
        let many = hits.get_mut(&digest(1)).unwrap();
        many.below.insert("v1".to_owned(), 8);
        let judged = judge(&lock, &hits, &|_| true, &|_, _| true);
        assert!(judged[0].is_good(false));
    }
}
