//! Options → a capture file and the exact truth about it.
//!
//! A shape makes flows one after another, each a short plan of packets; the engine interleaves the
//! open flows by time, builds each packet, writes it and counts it. Nothing is known of the program
//! under test: the truth comes from what was written.
//!
//! Invariants:
//! * the same options and seed give the same bytes;
//! * no 5-tuple is used twice, and no flow is silent for longer than [`engine::SILENCE_MAX_NANOSECONDS`],
//!   so the flows are the same for every idle time-out above that;
//! * memory is bounded by the flows open at one time, never by the length of the capture.

mod addresses;
mod conversation;
mod engine;
mod flow;
mod hello;
mod load;
mod names;
mod office;
pub mod options;
mod packet;
mod pcap;
mod random;
mod truth;

pub use engine::{generate, truth_path};
