//! Fuzz target: see `treehead_fuzz::intoto`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::intoto(data));
