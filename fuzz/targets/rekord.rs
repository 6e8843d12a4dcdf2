//! Fuzz target: see `treehead_fuzz::rekord`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::rekord(data));
