//! A finished run → metrics in Prometheus's text format.
//!
//! **Invariants**: labels come from closed sets (rules, countries, words of the program), never an address, a port or a name from
//! the wire, so the number of series does not grow with the traffic; a reader never sees half a file.

mod catalogue;
mod metrics;
mod news;
mod textfile;

pub use catalogue::{CATALOGUE, Definition, Kind};
pub use metrics::SummaryCollector;
pub use textfile::{TextfileError, check_textfile, write_textfile};
