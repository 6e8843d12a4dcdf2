//! Fuzz target: see `treehead_fuzz::rpm_package`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| treehead_fuzz::rpm_package(data));
