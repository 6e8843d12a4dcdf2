//! Fuzz target: see `treehead_fuzz::witness_policy`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::witness_policy(data));
