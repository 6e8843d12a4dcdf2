//! Fuzz target: see `treehead_fuzz::verdict`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::verdict(data));
