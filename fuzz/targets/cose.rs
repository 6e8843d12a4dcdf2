//! Fuzz target: see `treehead_fuzz::cose`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::cose(data));
