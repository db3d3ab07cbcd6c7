//! What was watched and how something shows itself → whether that something was not seen means anything.

pub mod chance;
mod demands;

pub use demands::Demands;
