//! Fuzz target: see `treehead_fuzz::add_checkpoint`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::add_checkpoint(data));
