//! A budget of bytes. A request takes a share before it holds memory, and waits in line for it.

use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::ADMISSION_WAIT;
use crate::refusal::{Reason, Refusal};

/// Shares are counted in KiB, so that they fit the semaphore's 32 bits up to 4 TiB.
const UNIT: u64 = 1024;

/// Bytes that may be held at once. Shares are given out in the order of the requests.
#[derive(Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
    total: u32,
    held: IntGauge,
}

impl Budget {
    /// Makes a budget of `bytes`, at most 4 TiB. `held` shows the bytes of all shares.
    pub fn new(bytes: u64, held: IntGauge) -> Self {
        let total = units(bytes);
        Self {
            units: Arc::new(Semaphore::new(total as usize)),
            total,
            held,
        }
    }

    /// Takes a share of `bytes`, or of the whole budget if that is smaller.
    ///
    /// # Errors
    ///
    /// 503 if the share does not become free within [`ADMISSION_WAIT`].
    pub async fn admit(&self, bytes: u64) -> Result<Share, Refusal> {
        let wanted = units(bytes).min(self.total);
        match timeout(
            ADMISSION_WAIT,
            Arc::clone(&self.units).acquire_many_owned(wanted),
        )
        .await
        {
            Ok(Ok(permit)) => {
                self.held.add(gauge_value(bytes));
                Ok(Share {
                    permit,
                    bytes,
                    held: self.held.clone(),
                })
            }
            _ => Err(Refusal::unavailable(
                Reason::ANSWER_BUDGET,
                "too many answers at once",
                ADMISSION_WAIT.as_secs(),
            )),
        }
    }
}

/// Bytes set aside for one request; given back on drop.
#[derive(Debug)]
pub struct Share {
    permit: OwnedSemaphorePermit,
    bytes: u64,
    held: IntGauge,
}

impl Share {
    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let surplus = self
            .permit
            .num_permits()
            .saturating_sub(units(bytes) as usize);
        drop(self.permit.split(surplus));
        self.held.sub(gauge_value(self.bytes.saturating_sub(bytes)));
        self.bytes = self.bytes.min(bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.sub(gauge_value(self.bytes));
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT))
        .unwrap_or(u32::MAX)
        .max(1)
}

fn gauge_value(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(kib: u64) -> Budget {
        Budget::new(
            kib * UNIT,
            IntGauge::new("held", "for the test").expect("a valid name"),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn shares_wait_in_line_and_give_up_in_time() {
        let budget = budget(10);
        let mut first = budget.admit(8 * UNIT).await.expect("it fits");
        assert!(budget.admit(4 * UNIT).await.is_err());
        first.shrink_to(6 * UNIT);
        assert_eq!(budget.held.get(), 6 * 1024);
        let second = budget.admit(4 * UNIT).await.expect("room was made");
        drop((first, second));
        assert_eq!(budget.held.get(), 0);
        assert_eq!(budget.units.available_permits(), 10);
    }

    #[tokio::test]
    async fn more_than_everything_is_everything() {
        let budget = budget(10);
        assert_eq!(
            budget
                .admit(u64::MAX)
                .await
                .expect("alone")
                .permit
                .num_permits(),
            10
        );
        assert!(budget.admit(0).await.is_ok(), "and nothing costs one unit");
    }
}
