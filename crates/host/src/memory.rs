//! Memory for request bodies, taken as their bytes arrive.
//!
//! A body that grows holds memory while it waits for more, so two of them could wait for each other
//! for ever. A reserve prevents that. It is as large as the largest body may need, beside the
//! memory for all bodies, and one body at a time has it. A body that gets no more memory waits for
//! the reserve as well. The body that has the reserve never waits again. It ends when its client
//! has sent it or is too slow, and when its entry is checked; no check waits for the memory of
//! bodies. Then the reserve goes to the next body. So some body always makes progress, whatever the
//! others hold.

use std::sync::Arc;

use prometheus::IntGauge;

use crate::fair::{Pool, Rule, Taken};
use crate::peer::Address;

/// Memory that bodies may hold at once.
#[derive(Debug)]
pub(crate) struct Memory {
    bytes: Arc<Pool>,
    /// One unit, which is the whole reserve.
    reserve: Arc<Pool>,
    held: IntGauge,
}

impl Memory {
    /// Makes a memory of `all` bytes for bodies that need up to `largest` each. `held` shows the
    /// bytes that are taken.
    pub(crate) fn new(all: u64, largest: u64, held: IntGauge) -> Self {
        Self {
            bytes: Pool::new(all.saturating_sub(largest), Rule::LeaveRoom),
            reserve: Pool::new(1, Rule::TakeAll),
            held,
        }
    }

    /// Makes empty room, which can grow.
    pub(crate) fn room(&self, address: Address) -> Room {
        Room {
            address,
            bytes: 0,
            shared: None,
            reserve: None,
            held: self.held.clone(),
        }
    }

    /// Makes room larger: up to `largest` in all. The caller MUST bound the wait.
    pub(crate) async fn grow(&self, room: &mut Room, bytes: u64) {
        let more = bytes.saturating_sub(room.bytes);
        if more == 0 {
            return;
        }
        if room.reserve.is_none() {
            tokio::select! {
                biased;
                taken = self.bytes.take(room.address, more) => match &mut room.shared {
                    Some(shared) => shared.absorb(taken),
                    None => room.shared = Some(taken),
                },
                reserve = self.reserve.take(room.address, 1) => room.reserve = Some(reserve),
            }
        }
        room.bytes += more;
        room.held.add(gauge_value(more));
    }
}

/// The memory of one body. It is given back on drop.
#[derive(Debug)]
pub struct Room {
    address: Address,
    bytes: u64,
    /// The part of it that is not from the reserve.
    shared: Option<Taken>,
    reserve: Option<Taken>,
    held: IntGauge,
}

impl Room {
    /// Returns the address of the client whose body it is for.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Gives back all but `bytes`, and the reserve if the rest is enough.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.bytes -= less;
        self.held.sub(gauge_value(less));
        if self.bytes <= self.shared.as_ref().map_or(0, Taken::units) {
            self.reserve = None;
            if let Some(shared) = &mut self.shared {
                shared.shrink_to(self.bytes);
            }
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.held.sub(gauge_value(self.bytes));
    }
}

fn gauge_value(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;
    use crate::peer::tests::address;

    fn memory(all: u64, largest: u64) -> Memory {
        Memory::new(
            all,
            largest,
            IntGauge::new("held", "for the test").expect("a valid name"),
        )
    }

    #[tokio::test]
    async fn bodies_that_grow_never_wait_for_each_other() {
        let (memory, here) = (memory(30, 10), address("192.0.2.1"));
        let mut rooms = [(); 5].map(|()| memory.room(here));
        for room in &mut rooms {
            memory.grow(room, 2).await;
        }
        // Ten are free, and no more for an address that has ten. One has the reserve, four wait.
        let mut growing: Vec<_> = rooms
            .iter_mut()
            .map(|room| Box::pin(memory.grow(room, 10)))
            .collect();
        let mut done = 0;
        for room in &mut growing {
            done += usize::from(poll!(room).is_ready());
        }
        assert_eq!(done, 1);
        drop(growing);
        for mut room in rooms {
            memory.grow(&mut room, 10).await;
            assert!(memory.held.get() <= 30);
        }
        assert_eq!(memory.held.get(), 0);
    }

    #[tokio::test]
    async fn an_address_that_holds_all_it_may_leaves_room_for_others() {
        let memory = memory(110, 10);
        let mut held = Vec::new();
        loop {
            let mut room = memory.room(address("192.0.2.1"));
            if poll!(Box::pin(memory.grow(&mut room, 1))).is_pending() {
                break;
            }
            held.push(room);
        }
        assert_eq!(held.len(), 51, "half of what is for all, and the reserve");
        let mut other = memory.room(address("192.0.2.2"));
        memory.grow(&mut other, 25).await;
    }

    #[tokio::test]
    async fn the_reserve_comes_back_when_the_rest_suffices() {
        let (memory, here) = (memory(14, 10), address("192.0.2.1"));
        let mut first = memory.room(here);
        memory.grow(&mut first, 2).await;
        memory.grow(&mut first, 10).await;
        let mut second = memory.room(here);
        assert!(poll!(Box::pin(memory.grow(&mut second, 10))).is_pending());
        first.shrink_to(2);
        memory.grow(&mut second, 10).await;
        assert_eq!(memory.held.get(), 12);
    }

    #[tokio::test]
    async fn memory_of_one_body_serves_one_after_the_other() {
        let (memory, here) = (memory(10, 10), address("192.0.2.1"));
        let mut first = memory.room(here);
        memory.grow(&mut first, 1).await;
        let mut second = memory.room(address("192.0.2.2"));
        assert!(poll!(Box::pin(memory.grow(&mut second, 1))).is_pending());
        memory.grow(&mut first, 10).await;
        drop(first);
        memory.grow(&mut second, 10).await;
    }
}
