//! Fuzz target: see `treehead_fuzz::ssh`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::ssh(data));
