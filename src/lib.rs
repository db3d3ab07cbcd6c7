//! avscope reads packets and says which security products, and which engines inside other
//! products, talk out of a network.

pub mod attribute;
pub mod cli;
pub mod geo;
pub mod model;
