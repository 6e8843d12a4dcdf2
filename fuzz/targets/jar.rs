//! Fuzz target: see `treehead_fuzz::jar`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::jar(data));
