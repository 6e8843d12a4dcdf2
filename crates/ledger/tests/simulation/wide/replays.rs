//! Runs that failed once, shrunk. A failed run prints its test.

use super::{Fault::*, Moment::*, Step::*, replay};

#[test]
fn seed_327() {
    replay(
        327,
        &[
            Wait { millis: 60 },
            Write {
                first: 10,
                count: 4,
            },
            Wait { millis: 60 },
            Write {
                first: 78,
                count: 6,
            },
            Restart {
                server: 2,
                after: 3,
                fault: TimedOut,
            },
            GoBack {
                ago: 4,
                moment: Starting,
                pause: 30,
            },
        ],
    );
}
