//! Fuzz target: see `treehead_fuzz::pgp`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::pgp(data));
