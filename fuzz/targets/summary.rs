//! Fuzz target: see `treehead_fuzz::summary`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::summary(data));
