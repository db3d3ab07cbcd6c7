//! The integration tests: one binary, modules by topic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod captures;
mod cli;
mod determinism;
mod generator;
mod robustness;
mod support;
