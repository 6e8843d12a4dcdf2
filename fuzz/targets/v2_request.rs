//! Fuzz target: see `treehead_fuzz::v2_request`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::v2_request(data));
