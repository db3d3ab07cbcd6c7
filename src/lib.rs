//! avscope reads packets and says which security products, and which engines inside other
//! products, talk out of a network.

pub mod aggregate;
pub mod attribute;
pub mod capture;
pub mod decode;
pub mod flow;
pub mod geo;
pub mod model;
pub mod observe;
pub mod pipeline;
pub mod protocol;
pub mod store;
pub mod wire;
