//! Fuzz target: see `treehead_fuzz::dsse`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::dsse(data));
