//! Which build this is.

/// Version and, where the build knew it, the revision: `0.1.0 (0123456789ab)`.
pub(crate) const VERSION: &str = env!("TREEHEAD_VERSION");

/// The same for metrics and pages.
pub(crate) fn build_info() -> server::BuildInfo {
    server::BuildInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: env!("TREEHEAD_BUILD_REVISION").to_owned(),
        build_date: env!("TREEHEAD_BUILD_DATE").to_owned(),
        compiler: env!("TREEHEAD_BUILD_COMPILER").to_owned(),
    }
}
