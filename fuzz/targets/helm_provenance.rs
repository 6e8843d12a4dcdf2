//! Fuzz target: see `treehead_fuzz::helm_provenance`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::helm_provenance(data));
