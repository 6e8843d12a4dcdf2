//! Reads the new entries of a tree and reports those that rules match.

use std::sync::Arc;

use client::{Fetch, ReadError, SignedHead};

use super::examine::Examination;
use super::read::{self, Range, Reading, Stopped};
use super::source::{Shown, Source, Way};
use super::{Follower, Look, Result};
use crate::alarm::Alarm;
use crate::notice::Notice;

/// Entries after which the state is stored although no rule matched. If we die before, they are
/// read again.
const STORE_EVERY: u64 = 16_384;

/// What a reading of one tree has done so far.
struct Progress {
    origin: String,
    /// Unix seconds.
    now: i64,
    /// Entries since the state was stored.
    unstored: u64,
    /// Heads in which entries were proved and that fit the kept one.
    compared: Vec<SignedHead>,
}

impl<F: Fetch + Clone + Send + Sync + 'static> Follower<F> {
    /// Reads the entries of a tree from where the last look ended up to the head.
    pub(super) async fn read_entries(
        &mut self,
        source: &Source<F>,
        shown: &Shown<F>,
        now: i64,
        look: &mut Look,
    ) -> Result<()> {
        let origin = shown.head.origin();
        let Some(tree) = self.state.tree(origin) else {
            return Ok(());
        };
        let (followed, size) = (tree.followed, shown.head.size().0);
        let (name, metrics) = (&self.section.name, &self.shared.metrics);
        metrics.followed(name, origin, followed);
        if followed >= size {
            return Ok(());
        }
        let tree_id = shown.head.tree_id().and_then(|id| id.parse().ok());
        let examination = Arc::new(Examination {
            rules: Arc::clone(&self.shared.rules),
            log: name.clone(),
            url: source.url().to_owned(),
            origin: origin.to_owned(),
            v1: tree_id.zip(source.rekor().cloned()),
            first_log_index: shown.first_log_index,
            followed,
            noticed: tree.noticed,
            now,
        });
        let outcome = match source.way(shown).await {
            Ok(way) => self.read(source, shown, way, &examination, look).await?,
            Err(error) => Err(read::stopped(source.url(), now, error)),
        };
        match outcome {
            Ok(()) => {}
            Err(Stopped::Away(error)) => look.away = Some(error.to_string()),
            Err(Stopped::Alarm(alarm)) => self.raise(&alarm, now).await?,
        }
        Ok(())
    }

    /// Reads ranges of entries, several at a time, and commits them in order.
    async fn read(
        &mut self,
        source: &Source<F>,
        shown: &Shown<F>,
        mut way: Way<F>,
        examination: &Arc<Examination<F>>,
        look: &mut Look,
    ) -> Result<std::result::Result<(), Stopped>> {
        let (first, end) = (examination.followed, shown.head.size().0);
        let mut bundles = read::bundles(first, end);
        let mut next = first;
        let mut reading = Reading::new();
        let mut progress = Progress {
            origin: examination.origin.clone(),
            now: examination.now,
            unstored: 0,
            compared: vec![shown.head.clone()],
        };
        loop {
            while !reading.is_full() {
                match &mut way {
                    Way::Tiles(reader) => {
                        let Some(number) = bundles.next() else { break };
                        if let Err(stopped) = reading.bundle(reader, examination, number).await {
                            return Ok(Err(stopped));
                        }
                    }
                    Way::Entries(log) if next < end => {
                        reading.entries(log, examination, next, end);
                        next = read::after(next, end);
                    }
                    Way::Entries(_) => break,
                }
            }
            let range = match reading.next().await {
                Some(Ok(range)) => range,
                Some(Err(stopped)) => return Ok(Err(stopped)),
                None => break,
            };
            if let Err(stopped) = self.check_heads(source, shown, &range, &mut progress).await {
                return Ok(Err(stopped));
            }
            self.commit(range, end, &mut progress, look).await?;
        }
        Ok(Ok(()))
    }

    /// Compares the heads in which entries were proved with the kept one. Rekor proves each entry in
    /// its newest tree, which may be larger by then.
    async fn check_heads(
        &self,
        source: &Source<F>,
        shown: &Shown<F>,
        range: &Range,
        progress: &mut Progress,
    ) -> std::result::Result<(), Stopped> {
        let kept = &shown.head;
        for head in &range.heads {
            let is_same = |known: &SignedHead| known.checkpoint == head.checkpoint;
            if progress.compared.iter().any(is_same) {
                continue;
            }
            match source.compare(kept, head, shown).await {
                Ok(_) => progress.compared.push(head.clone()),
                Err(ReadError::History(error)) => {
                    let (url, now) = (source.url(), progress.now);
                    let alarm = Alarm::of_history(url, now, kept, head, &error, None);
                    return Err(Stopped::Alarm(Box::new(alarm)));
                }
                Err(error) => return Err(Stopped::Away(error)),
            }
        }
        // Answers come in order, so an older head than the last few is not asked for again.
        let surplus = progress.compared.len().saturating_sub(MAX_COMPARED);
        progress.compared.drain(1..1 + surplus);
        Ok(())
    }

    /// Puts notices into the outbox and then advances the state.
    async fn commit(
        &mut self,
        range: Range,
        end: u64,
        progress: &mut Progress,
        look: &mut Look,
    ) -> Result<()> {
        let batch = range.batch;
        look.entries += batch.entries;
        look.notices += batch.notices.len() as u64;
        progress.unstored += batch.entries;
        let name = &self.section.name;
        self.shared
            .metrics
            .read(name, batch.entries, batch.unreadable);
        let has_notices = !batch.notices.is_empty();
        if has_notices {
            self.put(progress, batch.end, &batch.notices).await?;
        }
        if let Some(tree) = self.state.tree_mut(&progress.origin) {
            tree.followed = batch.end;
            // After a crash, notices beyond this range may have left already.
            tree.noticed = tree.noticed.max(batch.end);
        }
        // If we die before this, the entries are read again, and their notices are marked.
        if has_notices || progress.unstored >= STORE_EVERY || batch.end >= end {
            self.store()?;
            progress.unstored = 0;
        }
        let (name, origin) = (&self.section.name, &progress.origin);
        self.shared.metrics.followed(name, origin, batch.end);
        Ok(())
    }

    /// Notes durably that notices up to `end` may leave from now on, and puts them into the outbox.
    async fn put(&mut self, progress: &Progress, end: u64, notices: &[Notice]) -> Result<()> {
        if let Some(tree) = self.state.tree_mut(&progress.origin) {
            tree.noticed = tree.noticed.max(end);
        }
        // If we die after this and before the outbox has them, they are marked as repeated although
        // nobody got them. That is the safe side.
        self.store()?;
        self.shared.outbox.put(notices).await?;
        Ok(())
    }
}

/// Heads that are remembered as compared while one tree is read.
const MAX_COMPARED: usize = 64;
