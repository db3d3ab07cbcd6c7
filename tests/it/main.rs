//! The integration tests: one binary, modules by topic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, and says on standard output when it is skipped"
)]
#![allow(
    clippy::disallowed_macros,
    reason = "tests say what they skip and show their tables"
)]

mod captures;
mod cli;
mod determinism;
mod generator;
mod robustness;
mod schema;
mod support;
