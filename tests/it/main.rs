//! The integration tests: one binary, modules by topic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, and says on standard output what it skips and shows"
)]

mod absence;
mod absence_chance;
mod alerts;
mod canary;
mod captures;
mod cli;
mod config;
mod corpus;
mod dates;
mod deliveries;
mod determinism;
mod diff;
mod exchange;
mod exchange_in;
mod explain;
mod extract;
mod frames;
mod generator;
mod geoip;
mod hosts;
mod inputs;
mod keylog;
mod local_services;
mod metrics;
mod mirror;
mod mmdb_writer;
mod name_services;
mod names_in_clear;
mod policies;
mod proxies;
mod quic;
mod redact;
mod requests;
mod resolved;
mod robustness;
mod rules;
mod schema;
mod seeds;
mod support;
mod tls_servers;
mod truth;
mod tunnels;
mod verdicts;
mod watched;
