//! avscope reads packets and says which security products, and which engines inside other
//! products, talk out of a network.
//!
//! The way of the data, one module a stage:
//!
//! ```text
//! capture → decode → flow → protocol → observe → attribute → aggregate → policy → alert · store · report
//!  frames    packets  flows  messages   names     verdicts    exposures  findings news    lines   tables
//! ```
//!
//! Start reading at [`pipeline::shard`], where a packet passes all stages in one function. [`model`] holds the words that all
//! stages share, [`wire`] the cursor that all parsers read through, [`geo`] what is known about addresses. [`config`] and
//! [`cli`] are the edge. `tests/architecture.rs` holds which module may import which.

pub mod absence;
pub mod aggregate;
pub mod alert;
pub mod attribute;
pub mod capture;
pub mod cli;
pub mod config;
pub mod decode;
pub mod exchange;
pub mod export;
pub mod flow;
pub mod geo;
pub mod model;
pub mod observe;
pub mod pipeline;
pub mod policy;
pub mod protocol;
pub mod report;
pub mod store;
pub mod wire;
