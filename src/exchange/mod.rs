//! Rules to and from the formats of others, and to other sensors.
//!
//! [`selection`] chooses patterns of a rule set, a file for each format writes them; [`import`] reads lists of others into a rule
//! file of the user's own; [`bundle`] carries a whole rule set, signed, to a sensor without a network.
//!
//! **Invariants**: what a format cannot carry is counted by reason and said, never dropped in silence; the same rules give the
//! same bytes; an export says who contacts whom, and is no recommendation to block.

pub mod bundle;
pub mod csv;
pub mod hosts;
pub mod import;
pub mod installed;
pub mod keys;
pub mod left_out;
pub mod misp;
pub mod rpz;
pub mod selection;
pub mod suricata;
pub mod zeek;

pub use left_out::LeftOut;
pub use selection::{Item, Selected, Selection};
