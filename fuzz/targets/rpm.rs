//! Fuzz target: see `treehead_fuzz::rpm`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::rpm(data));
