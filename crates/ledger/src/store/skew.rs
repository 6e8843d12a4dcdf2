//! The difference between the clocks of this server and of its database. Pure.

use std::time::Duration;

/// Returns the least difference between two clocks that explains `skew`, in milliseconds. The local
/// clock was read first, and the database's at some moment within the time that followed.
pub(crate) fn least_skew(skew: i64, under_way: Duration) -> i64 {
    let under_way = i64::try_from(under_way.as_millis()).unwrap_or(i64::MAX);
    0.clamp(skew.saturating_sub(under_way), skew)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_under_way_explains_only_a_database_that_is_ahead() {
        for (skew, under_way, least) in [
            (0, 0, 0),
            (2_354, 3, 2_351),
            (2_354, 2_400, 0),
            (2_354, 300, 2_054),
            (86_400_000, 15_000, 86_385_000),
            (-2_500, 3, -2_500),
            (-2_500, 9_000, -2_500),
            (i64::MAX, 1, i64::MAX - 1),
            (i64::MIN, 1, i64::MIN),
        ] {
            let found = least_skew(skew, Duration::from_millis(under_way));
            assert_eq!(found, least, "{skew} ms after {under_way} ms");
        }
    }
}
