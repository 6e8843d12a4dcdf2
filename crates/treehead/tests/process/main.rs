//! The real program as a process: started, stopped, killed, put beside another, and driven over
//! plain HTTP.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected happens"
)]
#![expect(
    clippy::print_stdout,
    reason = "says what was passed over, and how much was tried"
)]

mod absent;
mod attack;
mod attest;
mod audit;
mod audit_pack;
mod auditor;
mod check;
mod cluster;
mod commands;
mod completeness;
mod copies;
mod doctor;
mod entries;
mod failover;
mod first_start;
mod followers;
mod guard;
mod guard_full;
mod guarded;
mod hostile;
mod http;
mod kill;
mod large_keys;
mod log_add;
mod monitor;
mod monitor_alarms;
mod past;
mod postgres;
mod program;
mod put_back;
mod put_back_further;
mod ready;
mod recover;
mod refusals;
mod replicas;
mod restored;
mod roles;
mod rotate;
mod rotate_checks;
mod rotate_root;
mod rotate_waits;
mod settings;
#[path = "../../../ledger/tests/support/cluster.rs"]
mod standby;
mod stands;
mod stderr;
mod stop;
mod subscriptions;
mod trust;
mod two_servers;
mod unique;
mod upload;
mod upload_queue;
mod verify;
mod verify_lock;
mod witness;
mod writer;
