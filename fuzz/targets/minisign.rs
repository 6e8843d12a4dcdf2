//! Fuzz target: see `treehead_fuzz::minisign`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::minisign(data));
