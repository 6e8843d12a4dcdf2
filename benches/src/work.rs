//! The work of a run: one kind of request, or several at random by weight.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use crate::random::Random;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// POST /api/v1/log/entries: one hashedrekord 0.0.1; the answer has proof, checkpoint and
    /// signed entry timestamp
    WriteV1,
    /// POST /api/v2/log/entries: one hashedrekord 0.0.2; the answer has proof and checkpoint
    WriteV2,
    /// POST /api/v1/log/entries/batch: `--batch` hashedrekords 0.0.1 in one request (treehead
    /// only); counted by entry
    Batch,
    /// GET /api/v1/log/entries?logIndex=: an entry with its proof
    EntryByIndex,
    /// GET /api/v1/log/entries/{entryUUID}: an entry with its proof
    EntryByUuid,
    /// GET /api/v1/log/entries/{64 digits of the leaf hash}: an entry with its proof
    EntryByHash,
    /// GET /api/v1/log/proof: from a random size to that of the head at the start
    Consistency,
    /// GET /api/v1/log: tree head with its signed checkpoint
    TreeHead,
    /// GET …/checkpoint: the checkpoint of Rekor v2 and tlog-tiles
    Checkpoint,
    /// GET …/tile/0/…: a full tile of leaf hashes
    Tile,
    /// GET …/tile/entries/…: a full bundle of 256 entries
    EntriesBundle,
    /// POST /api/v1/index/retrieve: by the SHA-256 of an artifact in the log
    Search,
}

impl Work {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        // Unwrap safety: no variant is skipped.
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// Returns whether it uses up signed entries.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::WriteV1 | Self::WriteV2 | Self::Batch)
    }

    /// Returns whether it reads the head by v1.
    pub(crate) fn reads_v1(self) -> bool {
        matches!(
            self,
            Self::EntryByIndex | Self::Consistency | Self::TreeHead
        ) || self.reads_known()
    }

    /// Returns whether it asks for entries that are known.
    pub(crate) fn reads_known(self) -> bool {
        matches!(self, Self::EntryByUuid | Self::EntryByHash | Self::Search)
    }

    /// Returns whether it reads tlog-tiles.
    pub(crate) fn reads_tiles(self) -> bool {
        matches!(self, Self::Checkpoint | Self::Tile | Self::EntriesBundle)
    }
}

/// `work[:weight][,work[:weight]]…`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mix {
    parts: Vec<(Work, u32)>,
}

impl Mix {
    /// The kinds of request in it; their order is that of the command line.
    pub(crate) fn works(&self) -> impl ExactSizeIterator<Item = Work> + '_ {
        self.parts.iter().map(|(work, _)| *work)
    }

    /// Chooses by weight; says which one of [`Mix::works`] it is, too.
    pub(crate) fn pick(&self, random: &mut Random) -> (usize, Work) {
        let mut parts = self.parts.iter().enumerate();
        if let [(work, _)] = *self.parts {
            return (0, work);
        }
        let total = self
            .parts
            .iter()
            .map(|(_, weight)| u64::from(*weight))
            .sum();
        let mut rest = random.below(total);
        loop {
            // Unwrap safety: `rest` is below the sum of all weights.
            #[expect(clippy::unwrap_used, reason = "see above")]
            let (number, &(work, weight)) = parts.next().unwrap();
            let Some(less) = rest.checked_sub(u64::from(weight)) else {
                return (number, work);
            };
            rest = less;
        }
    }
}

impl FromStr for Mix {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts: Vec<(Work, u32)> = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once(':').unwrap_or((part, "1"));
            let Ok(work) = Work::from_str(name, false) else {
                let names: Vec<_> = Work::value_variants()
                    .iter()
                    .map(|work| work.name())
                    .collect();
                bail!("no work is named {name:?}; there are {}", names.join(", "));
            };
            let weight = weight.parse().ok().filter(|weight| *weight > 0);
            let weight =
                weight.with_context(|| format!("{part}: a weight is a whole number from 1"))?;
            ensure!(
                parts.iter().all(|(other, _)| *other != work),
                "{name} stands there twice"
            );
            parts.push((work, weight));
        }
        Ok(Self { parts })
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(work, _)] = *self.parts {
            return f.write_str(&work.name());
        }
        for (number, (work, weight)) in self.parts.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{}:{weight}", work.name())?;
        }
        Ok(())
    }
}

/// `mix@rate`: a second work in the same run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    /// The work.
    pub(crate) mix: Mix,
    /// Requests a second.
    pub(crate) rate: u32,
}

impl FromStr for Beside {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (mix, rate) = text.rsplit_once('@').context("write it as WORK@RATE")?;
        let rate = rate
            .parse()
            .ok()
            .filter(|rate| *rate > 0)
            .context("a rate is a whole number from 1")?;
        Ok(Self {
            mix: mix.parse()?,
            rate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_are_parsed() {
        for text in [
            "write-v1",
            "tree-head",
            "entry-by-index:4,consistency:1,search:1",
        ] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
        assert_eq!(
            "tile,search:2".parse::<Mix>().unwrap().to_string(),
            "tile:1,search:2"
        );
        for text in [
            "",
            "x",
            "tile:0",
            "tile:",
            "tile:-1",
            "tile:1,tile:2",
            "tile,",
            "tile:x",
        ] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
        assert!(
            "x".parse::<Mix>()
                .unwrap_err()
                .to_string()
                .contains("entries-bundle")
        );
        let beside: Beside = "write-v1:1,search:3@2000".parse().unwrap();
        assert_eq!(
            (beside.mix.to_string().as_str(), beside.rate),
            ("write-v1:1,search:3", 2000)
        );
        for text in ["write-v1", "write-v1@", "write-v1@0", "@5", "write-v1@x"] {
            assert!(text.parse::<Beside>().is_err(), "{text}");
        }
    }

    #[test]
    fn weights_are_kept() {
        let mix: Mix = "entry-by-index:4,consistency,search:5".parse().unwrap();
        let mut random = Random::new(3);
        let mut hits = [0_u32; 3];
        for _ in 0..100_000 {
            let (number, work) = mix.pick(&mut random);
            assert_eq!(mix.works().nth(number), Some(work));
            hits[number] += 1;
        }
        for (hits, want) in hits.iter().zip([40_000, 10_000, 50_000]) {
            assert!(hits.abs_diff(want) < 1000, "{hits} of {want}");
        }
    }
}
