//! Fuzz target: see `treehead_fuzz::tuf_key`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::tuf_key(data));
