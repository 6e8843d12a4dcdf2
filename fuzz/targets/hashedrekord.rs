//! Fuzz target: see `treehead_fuzz::hashedrekord`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::hashedrekord(data));
