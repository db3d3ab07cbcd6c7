//! avscope reads packets and says which security products, and which engines inside other
//! products, talk out of a network.

pub mod capture;
pub mod decode;
pub mod flow;
pub mod model;
pub mod observe;
pub mod protocol;
pub mod wire;
