//! Fuzz target: see `treehead_fuzz::alpine`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::alpine(data));
