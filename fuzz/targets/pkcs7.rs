//! Fuzz target: see `treehead_fuzz::pkcs7`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::pkcs7(data));
