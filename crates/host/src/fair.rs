//! A pool of units that no address can keep from the others.
//!
//! If units are short, the next ones go to the address that holds least. Among equals, they go to
//! the one that was served longest ago. So an address with a thousand requests in line delays the
//! single request of another by one turn, and not by a thousand.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::peer::Address;

/// How much an address may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// All that is free. For units that are given back soon, such as a turn on a core.
    TakeAll,
    /// At most as much as is free before it takes more. One address alone gets up to half of the
    /// pool, and n addresses get one part in n+1 each. So a new address finds as much as each of
    /// the others has.
    LeaveRoom,
}

/// The pool.
#[derive(Debug)]
pub struct Pool {
    rule: Rule,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: u64,
    /// Numbers waits and grants in the order in which they happen.
    next_number: u64,
    waiting: usize,
    /// The addresses that hold or wait for units.
    accounts: HashMap<Address, Account>,
}

#[derive(Debug, Default)]
struct Account {
    held: u64,
    /// Number of the last grant; 0 before the first.
    served: u64,
    /// Waiting callers by number.
    line: BTreeMap<u64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    wanted: u64,
    granted: oneshot::Sender<()>,
}

impl Pool {
    /// Makes a pool of this many units, all of them free.
    pub fn new(units: u64, rule: Rule) -> Arc<Self> {
        let state = State {
            free: units,
            next_number: 1,
            waiting: 0,
            accounts: HashMap::new(),
        };
        Arc::new(Self {
            rule,
            state: Mutex::new(state),
        })
    }

    /// Takes units if that is possible now.
    pub fn try_take(self: &Arc<Self>, address: Address, units: u64) -> Option<Taken> {
        let mut state = self.lock();
        let free = state.free;
        let number = state.next_number;
        // One look-up: every request comes here.
        match state.accounts.entry(address) {
            Entry::Vacant(vacant) if self.rule.allows(0, units, free) => {
                vacant.insert(Account {
                    held: units,
                    served: number,
                    line: BTreeMap::new(),
                });
            }
            Entry::Occupied(mut account)
                if account.get().line.is_empty()
                    && self.rule.allows(account.get().held, units, free) =>
            {
                let account = account.get_mut();
                account.held += units;
                account.served = number;
            }
            _ => return None,
        }
        state.free -= units;
        state.next_number += 1;
        drop(state);
        Some(Taken {
            pool: Arc::clone(self),
            address,
            units,
        })
    }

    /// Takes units, and waits for them in line. The caller MUST bound the wait: more than the rule
    /// ever allows is never granted. A dropped future leaves the line.
    pub async fn take(self: &Arc<Self>, address: Address, units: u64) -> Taken {
        if let Some(taken) = self.try_take(address, units) {
            return taken;
        }
        let (granted, is_granted) = oneshot::channel();
        let number = {
            let mut state = self.lock();
            let number = state.number();
            let account = state.accounts.entry(address).or_default();
            account.line.insert(
                number,
                Waiter {
                    wanted: units,
                    granted,
                },
            );
            state.waiting += 1;
            // Units may have come free between the two locks.
            state.hand_out(self.rule);
            number
        };
        let waiting = Waiting {
            pool: self,
            address,
            number,
            units,
        };
        // The sender stays in the line until it is used.
        drop(is_granted.await);
        waiting.granted()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, address: Address, units: u64) {
        let mut state = self.lock();
        state.free += units;
        if let Entry::Occupied(mut account) = state.accounts.entry(address) {
            account.get_mut().held -= units;
            if account.get().is_unused() {
                account.remove();
            }
        }
        state.hand_out(self.rule);
    }
}

impl Account {
    fn is_unused(&self) -> bool {
        self.held == 0 && self.line.is_empty()
    }
}

impl Rule {
    fn allows(self, held: u64, wanted: u64, free: u64) -> bool {
        match self {
            Self::TakeAll => wanted <= free,
            Self::LeaveRoom => held.saturating_add(wanted) <= free,
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Grants what can be granted. Afterwards nobody in line could take what it waits for.
    fn hand_out(&mut self, rule: Rule) {
        while self.waiting > 0 && self.free > 0 {
            let could_take = |account: &Account| {
                let first = account.line.first_key_value();
                first.is_some_and(|(_, waiter)| rule.allows(account.held, waiter.wanted, self.free))
            };
            let able = self
                .accounts
                .values_mut()
                .filter(|account| could_take(account));
            let Some(account) = able.min_by_key(|account| (account.held, account.served)) else {
                return;
            };
            let Some((_, waiter)) = account.line.pop_first() else {
                return;
            };
            account.held += waiter.wanted;
            account.served = self.next_number;
            self.next_number += 1;
            self.free -= waiter.wanted;
            self.waiting -= 1;
            // A caller that gave up in this moment gives it back: see `Waiting::drop`.
            let _: Result<(), ()> = waiter.granted.send(());
        }
    }

    fn forget_if_unused(&mut self, address: Address) {
        let account = self.accounts.get(&address);
        if account.is_some_and(Account::is_unused) {
            self.accounts.remove(&address);
        }
    }
}

/// A place in the line of an address.
struct Waiting<'a> {
    pool: &'a Arc<Pool>,
    address: Address,
    number: u64,
    units: u64,
}

impl Waiting<'_> {
    fn granted(self) -> Taken {
        let taken = Taken {
            pool: Arc::clone(self.pool),
            address: self.address,
            units: self.units,
        };
        std::mem::forget(self);
        taken
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let was_in_line = {
            let mut state = self.pool.lock();
            let account = state.accounts.get_mut(&self.address);
            let left = account.and_then(|account| account.line.remove(&self.number));
            if left.is_some() {
                state.waiting -= 1;
                // The next in line may want less.
                state.hand_out(self.pool.rule);
                state.forget_if_unused(self.address);
            }
            left.is_some()
        };
        if !was_in_line {
            self.pool.give_back(self.address, self.units);
        }
    }
}

/// Units that an address holds. They are given back on drop.
#[derive(Debug)]
pub struct Taken {
    pool: Arc<Pool>,
    address: Address,
    units: u64,
}

impl Taken {
    /// Returns how many they are.
    pub(crate) fn units(&self) -> u64 {
        self.units
    }

    /// Adds units of the same address and pool to these.
    pub(crate) fn absorb(&mut self, mut more: Self) {
        debug_assert!(Arc::ptr_eq(&self.pool, &more.pool) && self.address == more.address);
        self.units += std::mem::take(&mut more.units);
    }

    /// Gives back all but so many units.
    pub(crate) fn shrink_to(&mut self, units: u64) {
        let surplus = self.units.saturating_sub(units);
        self.units -= surplus;
        if surplus > 0 {
            self.pool.give_back(self.address, surplus);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.units > 0 {
            self.pool.give_back(self.address, self.units);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;
    use crate::peer::tests::address;

    fn free(pool: &Arc<Pool>) -> u64 {
        let state = pool.lock();
        let held: u64 = state.accounts.values().map(|account| account.held).sum();
        assert_eq!(
            state.waiting,
            state
                .accounts
                .values()
                .map(|account| account.line.len())
                .sum::<usize>()
        );
        assert!(
            held > 0 || state.waiting > 0 || state.accounts.is_empty(),
            "nothing is left behind"
        );
        state.free
    }

    #[tokio::test]
    async fn an_address_that_waits_with_many_delays_another_by_one_turn() {
        let (many, single) = (address("192.0.2.1"), address("192.0.2.2"));
        let pool = Pool::new(1, Rule::TakeAll);
        let at_work = pool.take(many, 1).await;
        let mut line: Vec<_> = (0..10).map(|_| Box::pin(pool.take(many, 1))).collect();
        for waiting in &mut line {
            assert!(poll!(waiting).is_pending());
        }
        let mut other = Box::pin(pool.take(single, 1));
        assert!(poll!(&mut other).is_pending());
        drop(at_work);
        let taken = other.await;
        assert!(poll!(&mut line[0]).is_pending());
        drop(taken);
        for waiting in line {
            drop(waiting.await);
        }
        assert_eq!(free(&pool), 1);
    }

    #[tokio::test]
    async fn two_addresses_that_wait_with_many_take_turns() {
        let addresses = [address("192.0.2.1"), address("192.0.2.2")];
        let pool = Pool::new(1, Rule::TakeAll);
        let mut at_work = pool.take(addresses[0], 1).await;
        let mut lines = addresses.map(|address| [(); 3].map(|()| Box::pin(pool.take(address, 1))));
        for waiting in lines.iter_mut().flatten() {
            assert!(poll!(waiting).is_pending());
        }
        let mut lines = lines.map(IntoIterator::into_iter);
        for turn in [1, 0, 1, 0, 1, 0] {
            drop(at_work);
            at_work = lines[turn].next().expect("three each").await;
            assert_eq!(at_work.address, addresses[turn]);
        }
    }

    #[tokio::test]
    async fn half_is_left_for_others_and_a_third_for_the_next() {
        let pool = Pool::new(90, Rule::LeaveRoom);
        let fill = |text: &str| {
            let mut held = Vec::new();
            while let Some(taken) = pool.try_take(address(text), 1) {
                held.push(taken);
            }
            held
        };
        let first = fill("192.0.2.1");
        assert_eq!(first.len(), 45);
        let second = fill("192.0.2.2");
        assert_eq!(second.len(), 23);
        assert_eq!(fill("192.0.2.3").len(), 11);
        drop((first, second));
        assert_eq!(free(&pool), 90);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_line_and_gives_back_what_came_meanwhile() {
        let here = address("192.0.2.1");
        let pool = Pool::new(2, Rule::TakeAll);
        let mut all = pool.take(here, 2).await;
        let mut gives_up = Box::pin(pool.take(here, 2));
        let mut behind = Box::pin(pool.take(here, 1));
        assert!(poll!(&mut gives_up).is_pending() && poll!(&mut behind).is_pending());
        all.shrink_to(1);
        assert!(
            poll!(&mut behind).is_pending(),
            "it is behind one that wants more"
        );
        drop(gives_up);
        drop(behind.await);
        let mut granted = Box::pin(pool.take(here, 2));
        assert!(poll!(&mut granted).is_pending());
        drop(all);
        drop(granted);
        assert_eq!(free(&pool), 2);
    }
}
