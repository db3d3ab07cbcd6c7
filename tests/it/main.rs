//! The integration tests: one binary, modules by topic.

mod generator;
mod schema;
