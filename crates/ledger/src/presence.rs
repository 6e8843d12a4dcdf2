//! Each server keeps a row in the database that says which keys it holds, and whether it vouches for
//! the database. A rotation waits until the rows of all live servers have the next key, a server
//! without a neighbour reads less, and a server that remembers nothing starts beside one that vouches.
//!
//! # When a server may assume that it is alone
//!
//! A server that is alone on its database knows all heads, so it shows tree heads and checkpoints
//! without asking for newer ones. That is all that the assumption is for: before an answer that says
//! "absent", "empty" or "too large" the database is asked in any case ([`crate::Log::newest_shards`]).
//!
//! The assumption holds for [`ALONE_FOR`] from the moment at which a look for neighbours *began*, by
//! the boot clock, which goes on while the machine is suspended. A second server stores its row, and
//! serves no earlier than [`ALONE_FOR`] after that row is durable. If the look began before the row
//! was durable, the assumption ends before the second server serves. If it began later, it finds the
//! row, and there is no assumption. A slow look shortens the assumption, and a look that fails ends
//! it. A server that stops removes its row, and the first server reads the newest heads once more
//! before it assumes anything. A row that was not removed counts until the looking server itself has
//! not seen it change for an hour, so no other clock can make it old.
//!
//! The worst case: a server that was stopped, suspended or cut off for over an hour goes on, or its row
//! was removed as older than [`crate::store::FORGOTTEN_AFTER`] because the database's clock leapt by
//! days, or a virtual machine was paused together with its boot clock. Then one server writes while
//! another assumes to be alone: until the first one has looked and renewed its row
//! ([`NEIGHBOURS_EVERY`], at most [`SHOW_EVERY`]) and the other one has seen that. Meanwhile the other
//! one shows a tree head that is one poll of the database old (50 ms). The head is a true one, and a
//! client that was given a larger head elsewhere sees an earlier moment of the same log. No entry is
//! said to be absent, and no commit, signature or rotation depends on the assumption.
//!
//! # Vouching
//!
//! A server vouches while it serves and the database extends all heads that it knows: it reads them
//! anew before each renewal. It does not vouch while a log is read-only. While that read fails it
//! does not renew its row, because nobody knows then. It renews its row at once when it sees a new one. A server
//! that starts and remembers no head itself stores its row and waits for such a renewal
//! ([`ask_neighbours`]). Rows that a restored database brings along are not renewed by anybody.

use std::sync::Arc;
use std::time::Duration;

use tlog::Hash;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::neighbours::SeenRows;
use crate::parts::LedgerParts;
use crate::reading::entry::ReadError;
use crate::shards::open_log::OpenLog;
use crate::store::{FORGOTTEN_AFTER, LogName, ServerRow, StoreResult};

/// How often a server renews its row.
const SHOW_EVERY: Duration = Duration::from_secs(10);
/// A server whose row is older is presumed dead: it missed two renewals.
pub(crate) const LIVES_FOR: Duration = Duration::from_secs(30);
/// How often a server looks for a registered key that it does not hold yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a server looks for neighbours on its database.
const NEIGHBOURS_EVERY: Duration = Duration::from_millis(50);
/// How long a look that found no neighbour counts: three more looks. A server that starts waits as
/// long between storing its row and serving.
const ALONE_FOR: Duration = Duration::from_millis(200);

impl LedgerParts {
    /// Returns whether no other server can have written to the ledger, so that the heads that are
    /// known here are the newest. It is for tree heads only; see [`crate::presence`].
    pub(crate) fn is_alone(&self) -> bool {
        !self.store.is_shared() || self.neighbours.are_absent(self.clock.since_boot())
    }

    /// Returns the row of this server with the keys that it holds now. It does not vouch.
    fn row(&self) -> ServerRow {
        ServerRow {
            keys: self.keys.digests(),
            ..self.server.clone()
        }
    }

    /// Stores the row of this server, unless the ledger has ended.
    async fn note_server(&self, row: &ServerRow) -> StoreResult<()> {
        let _turn = self.server_row.lock().await;
        if self.ended.is_cancelled() {
            return Ok(());
        }
        self.store.note_server(row).await
    }

    /// Returns the rows of the ledger's servers, however old.
    async fn servers(&self) -> StoreResult<Vec<ServerRow>> {
        let servers = self.store.servers(&self.server.name, FORGOTTEN_AFTER);
        servers.await
    }

    /// Returns the rows of the other servers.
    fn others<'r>(&self, rows: &'r [ServerRow]) -> Vec<&'r ServerRow> {
        let own = &self.server.server_id;
        rows.iter().filter(|row| row.server_id != *own).collect()
    }

    /// Ends the ledger, and removes the row of this server for good: a row that is being stored is
    /// waited for. A row that stayed would block a rotation until the server is presumed dead.
    pub(crate) async fn end(&self) -> StoreResult<()> {
        self.ended.cancel();
        let _turn = self.server_row.lock().await;
        self.store.forget_server(&self.server.server_id).await
    }
}

/// What other servers of the ledger that run say of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// One vouches for it, and no other one refuses to.
    Vouched,
    /// One says that a log of it went back.
    Refused,
    /// No server said anything within the time.
    Silent,
}

/// Asks the servers of the ledger that run what they say of the database: a server that sees a new
/// row renews its own at once. Unless one vouches, the row of this server is removed again.
///
/// MUST be called before anything of the logs is let out. A database that is not shared has no other
/// servers.
pub(crate) async fn ask_neighbours(parts: &LedgerParts, patience: Duration) -> StoreResult<Word> {
    if !parts.store.is_shared() {
        return Ok(Word::Silent);
    }
    let end = Instant::now() + patience;
    let before = parts.servers().await?;
    parts.note_server(&parts.row()).await?;
    let mut word = Word::Silent;
    while word == Word::Silent && Instant::now() < end {
        tokio::time::sleep(NEIGHBOURS_EVERY).await;
        let now = parts.servers().await?;
        word = word_of(&before, &parts.others(&now));
    }
    if word == Word::Vouched {
        // Another one may be about to refuse.
        tokio::time::sleep(2 * NEIGHBOURS_EVERY).await;
        let now = parts.servers().await?;
        word = word_of(&before, &parts.others(&now));
    }
    if word != Word::Vouched {
        parts.store.forget_server(&parts.server.server_id).await?;
    }
    Ok(word)
}

fn word_of(before: &[ServerRow], now: &[&ServerRow]) -> Word {
    let old = |row: &ServerRow| before.iter().find(|old| old.server_id == row.server_id);
    let lives = |row: &&&ServerRow| old(row).is_none_or(|old| old.seen != row.seen);
    let mut word = Word::Silent;
    for row in now.iter().filter(lives) {
        match row.vouches {
            true => word = Word::Vouched,
            false if old(row).is_some() => return Word::Refused,
            // A row that is new and does not vouch is of a server that starts as well.
            false => {}
        }
    }
    word
}

/// Shows that this server lives, and looks for other servers of its ledger.
pub(crate) struct Presence {
    parts: Arc<LedgerParts>,
    logs: Vec<Arc<OpenLog>>,
    /// Asks for the row of this server to be renewed at once.
    renew: Notify,
}

impl Presence {
    pub(crate) fn new(parts: &Arc<LedgerParts>, logs: Vec<Arc<OpenLog>>) -> Arc<Self> {
        Arc::new(Self {
            parts: Arc::clone(parts),
            logs,
            renew: Notify::new(),
        })
    }

    /// Starts the tasks, and waits until no other server assumes to be alone any more.
    pub(crate) async fn start(self: Arc<Self>) -> StoreResult<()> {
        let (parts, tasks) = (&self.parts, &self.parts.tasks);
        let row = self.row_that_says(self.word().await);
        parts.note_server(&row).await?;
        let has_ended = {
            let ended = parts.ended.clone();
            move || ended.is_cancelled()
        };
        tasks.spawn(
            "the task that shows that this server lives",
            has_ended.clone(),
            Arc::clone(&self).show(),
        );
        if parts.store.is_shared() {
            tokio::time::sleep(ALONE_FOR).await;
            tasks.spawn(
                "the task that looks for other servers",
                has_ended,
                Arc::clone(&self).look_for_neighbours(),
            );
        }
        Ok(())
    }

    /// Looks for neighbours on a shared database until the ledger ends.
    async fn look_for_neighbours(self: Arc<Self>) {
        let mut seen = SeenRows::default();
        let ended = self.parts.ended.clone();
        while ended
            .run_until_cancelled(tokio::time::sleep(NEIGHBOURS_EVERY))
            .await
            .is_some()
        {
            let began = self.parts.clock.since_boot();
            // A database that does not answer is reported by the follower.
            let is_alone = match self.parts.servers().await {
                Ok(rows) => self.is_alone_among(&rows, &mut seen).await,
                Err(_) => false,
            };
            let until = is_alone.then_some(began + ALONE_FOR);
            self.parts.neighbours.set_absent_until(until);
        }
    }

    /// Returns whether no other server can have written, by the rows that were just read. Renews the
    /// row of this server if it was removed, or if another one waits for it.
    async fn is_alone_among(&self, rows: &[ServerRow], seen: &mut SeenRows) -> bool {
        let others = self.parts.others(rows);
        let was_removed = others.len() == rows.len();
        let now = self.parts.clock.since_boot();
        if seen.note(&others, now) || was_removed {
            self.renew.notify_one();
        }
        if was_removed || seen.may_serve(now) {
            return false;
        }
        // A neighbour that has just left may have written until then, so its heads are read first.
        self.parts.neighbours.are_absent(now) || self.newest_heads_are_known().await
    }

    /// Reads the newest heads of each log. Returns whether that succeeded: a log that is read-only
    /// has no newer ones.
    async fn newest_heads_are_known(&self) -> bool {
        for log in &self.logs {
            match log.newest_shards().await {
                Ok(_) | Err(ReadError::WentBack(_)) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Returns what this server says of the database at this moment: it vouches if the database
    /// extends all heads that are known here.
    async fn word(&self) -> Word {
        let mut word = Word::Vouched;
        for log in &self.logs {
            match log.newest_shards().await {
                Ok(_) => {}
                Err(ReadError::WentBack(_)) => return Word::Refused,
                // A read that failed does not say that the database went back.
                Err(_) => word = Word::Silent,
            }
        }
        word
    }

    /// Returns the row of this server with its word.
    fn row_that_says(&self, word: Word) -> ServerRow {
        ServerRow {
            vouches: word == Word::Vouched,
            ..self.parts.row()
        }
    }

    /// Renews the row of this server until the ledger ends.
    async fn show(self: Arc<Self>) {
        let clock = &self.parts.clock;
        let mut shown: Vec<Hash> = self.parts.keys.digests();
        let mut next = clock.since_boot() + SHOW_EVERY;
        let ended = self.parts.ended.clone();
        while let Some(is_asked) = ended.run_until_cancelled(self.wait_to_show()).await {
            self.look_for_next_keys().await;
            let is_due = is_asked || clock.since_boot() >= next;
            if !is_due && self.parts.keys.digests() == shown {
                continue;
            }
            let word = self.word().await;
            if word == Word::Silent {
                // A live row that does not vouch would say that the database went back.
                next = clock.since_boot() + LOOK_EVERY;
                continue;
            }
            let row = self.row_that_says(word);
            match self.parts.note_server(&row).await {
                Ok(()) => {
                    let pause = if row.vouches { SHOW_EVERY } else { LOOK_EVERY };
                    (shown, next) = (row.keys, clock.since_boot() + pause);
                }
                Err(error) => tracing::warn!(%error, "the row of this server cannot be renewed"),
            }
        }
    }

    /// Waits until the row may have to be renewed. Returns whether it has to be at once.
    async fn wait_to_show(&self) -> bool {
        let pause = tokio::time::sleep(LOOK_EVERY);
        tokio::select! {
            biased;
            () = self.renew.notified() => true,
            () = pause => false,
        }
    }

    async fn look_for_next_keys(&self) {
        for log in &self.logs {
            let name = LogName {
                name: &self.parts.server.name,
                api: log.parts.api.name,
            };
            match self.parts.store.next_key(name).await {
                Ok(Some(spki)) if self.parts.keys.find(&tlog::sha256(&spki)).is_none() => {
                    self.parts.keys.look(&self.parts.rng);
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "cannot read the registered key"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use ring::rand::SystemRandom;

    use super::*;
    use crate::clock::SystemClock;
    use crate::guard::memory::MemoryGuard;
    use crate::keys::key_ring::KeyRing;
    use crate::open::Settings;
    use crate::store::sqlite::SqliteStore;

    #[tokio::test]
    async fn a_row_that_was_removed_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("log.sqlite")).await;
        let settings = Settings {
            store: Arc::new(store.unwrap()),
            apis: &crate::APIS,
            name: None,
            keys: KeyRing::new([]),
            place: "test".into(),
            witnessing: None,
            guard: Arc::new(MemoryGuard::new("name")),
            created: Vec::new(),
            clock: Arc::new(SystemClock),
            rng: SystemRandom::new(),
            metrics: Registry::new(),
        };
        let parts = LedgerParts::new(settings, "name").unwrap();
        let rows = async || parts.servers().await.unwrap().len();
        parts.note_server(&parts.row()).await.unwrap();
        assert_eq!(rows().await, 1);
        parts.end().await.unwrap();
        parts.note_server(&parts.row()).await.unwrap();
        assert_eq!(rows().await, 0);
    }

    #[test]
    fn who_renewed_its_row_vouches_unless_a_live_server_refuses() {
        let row = |id: &str, vouches: bool, seen: i64| ServerRow {
            server_id: id.to_owned(),
            name: "a".to_owned(),
            place: String::new(),
            keys: Vec::new(),
            vouches,
            seen,
        };
        let before = [
            row("dead", true, 1),
            row("halted", false, 1),
            row("live", true, 1),
        ];
        let (dead, halted, live) = (&before[0], &before[1], &before[2]);
        let word = |now: &[&ServerRow]| word_of(&before, now);
        let vouched = |now: &[&ServerRow]| word(now) == Word::Vouched;
        assert_eq!(word(&[dead, halted, live]), Word::Silent, "nobody renewed");
        // Renewed by a clock that went back.
        assert!(vouched(&[dead, halted, &row("live", true, 0)]));
        assert!(vouched(&[dead, &row("new", true, 5)]));
        let starts = row("new", false, 5);
        assert_eq!(word(&[dead, &starts]), Word::Silent);
        assert!(vouched(&[&row("live", true, 2), &row("new", false, 5)]));
        let refuses = row("halted", false, 2);
        assert_eq!(word(&[&row("live", true, 2), &refuses]), Word::Refused);
        // It noticed meanwhile.
        assert_eq!(word(&[&row("live", false, 2)]), Word::Refused);
        assert_eq!(word(&[]), Word::Silent);
    }
}
