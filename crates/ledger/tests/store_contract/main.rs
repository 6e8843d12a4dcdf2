//! The contract of `ledger::store`, one suite for every backend. Each test has a database of its
//! own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, one that is passed over says so"
)]

mod audit;
mod changed_rows;
mod claims;
#[path = "../support/cluster.rs"]
mod cluster;
mod database;
mod events;
mod failover;
mod faults;
mod logs;
mod look_ups;
mod postgres_only;
mod proxy;
mod publications;
mod race;
mod rotation;
mod rounds;
mod samples;
mod schema;
mod searches;
mod sqlite_only;
mod trees;

/// Makes a test of each case for each backend.
macro_rules! on_every_backend {
    ($($module:ident :: $case:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let database = crate::database::Database::sqlite().await;
                crate::$module::$case(&database).await;
                database.remove().await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let Some(database) = crate::database::Database::postgres().await else { return };
                crate::$module::$case(&database).await;
                database.remove().await;
            })*
        }
    };
}

on_every_backend! {
    audit::everything_stored_is_shown_to_fsck,
    audit::missing_and_stray_rows_show,
    audit::sizes_are_known_before_rows_are_read,
    changed_rows::a_changed_publication_is_not_shown,
    changed_rows::a_changed_timestamp_is_not_shown,
    changed_rows::an_entry_whose_row_was_changed_is_not_shown,
    claims::the_claims_of_a_round_are_found_and_shown_to_fsck,
    claims::a_claim_that_is_taken_is_kept_or_refuses_the_round,
    claims::claims_of_a_frozen_tree_count,
    claims::one_of_two_logs_is_first,
    claims::a_lock_keeps_other_claims_out,
    events::rows_have_the_hashes_of_all_their_keys,
    events::a_read_ends_after_a_megabyte_of_long_keys,
    faults::a_round_that_fails_half_way_stores_nothing,
    faults::a_malformed_round_is_refused,
    faults::missing_rows_are_damage,
    faults::a_writer_is_spent_after_an_error,
    faults::a_dropped_commit_spends_the_writer,
    logs::a_name_has_one_active_tree_of_each_api,
    logs::trees_are_created_together_or_not_at_all,
    logs::the_standings_of_trees_come_in_the_order_asked_for,
    logs::two_logs_of_a_name_take_rounds_at_once,
    logs::each_log_has_a_next_key,
    logs::a_log_is_frozen_alone,
    look_ups::leaves_are_found_by_their_full_hash,
    look_ups::nothing_at_or_beyond_the_size_is_shown,
    look_ups::two_trees_do_not_see_each_other,
    look_ups::large_bodies_are_read_alone,
    publications::each_is_larger_than_the_last_and_stored_once,
    publications::one_of_two_publishers_wins,
    race::one_of_two_writers_wins,
    race::an_exclusive_section_keeps_others_out,
    race::an_exclusive_section_sees_what_came_before,
    race::an_abandoned_section_lets_others_in,
    rotation::a_freeze_ends_the_tree_and_opens_the_next,
    rotation::the_key_of_a_tree_is_not_registered_again,
    rotation::a_registered_key_is_withdrawn_until_the_freeze,
    rotation::a_round_that_came_while_the_freeze_waited_is_within_the_times_of_its_tree,
    rotation::an_empty_tree_is_frozen_too,
    rotation::a_freeze_that_fails_changes_nothing,
    rotation::servers_show_that_they_live,
    rotation::the_first_last_checkpoints_are_kept,
    rounds::a_round_comes_back_whole,
    rounds::a_full_round_comes_back_whole,
    rounds::the_duplicates_of_a_round_are_listed,
    rounds::heads_are_the_history,
    rounds::the_first_timestamp_stored_wins,
    rounds::a_foreign_key_does_not_commit,
    rounds::a_frozen_tree_takes_nothing,
    rounds::a_database_that_went_back_takes_nothing,
    schema::migrations_run_twice_and_at_once,
    schema::a_newer_schema_is_refused,
    schema::the_schema_of_a_development_version_is_refused,
    searches::keys_are_found_all_together_newest_first,
    searches::a_hash_without_its_text_is_not_found,
    searches::keys_looked_up_at_once_are_found_as_alone,
    searches::pages_that_end_early_are_those_of_a_naive_search,
    searches::frequent_keys_are_found_together,
    searches::keys_of_any_text_are_kept,
    searches::long_key_texts_are_compared_too,
    searches::entries_are_found_by_kind_with_and_without_keys,
    searches::the_first_entry_of_a_time_is_found,
    trees::trees_come_back_whole_oldest_first,
    trees::one_of_two_creators_wins,
    trees::an_origin_belongs_to_one_tree,
}
