//! Fuzz target: see `treehead_fuzz::x509_key`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::x509_key(data));
