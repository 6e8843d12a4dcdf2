//! Fuzz target: see `treehead_fuzz::tile_path`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::tile_path(data));
