//! Fuzz target: see `treehead_fuzz::cosignature`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::cosignature(data));
