//! Fuzz target: see `treehead_fuzz::helm`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::helm(data));
