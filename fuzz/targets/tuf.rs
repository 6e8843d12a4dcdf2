//! Fuzz target: see `treehead_fuzz::tuf`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::tuf(data));
