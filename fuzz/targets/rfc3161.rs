//! Fuzz target: see `treehead_fuzz::rfc3161`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::rfc3161(data));
