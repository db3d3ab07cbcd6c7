//! Takes an address and says which country's network it belongs to and which operator announces it.
//!
//! **Invariants**: look-ups neither allocate nor panic; an address that a table does not cover, and
//! every private or otherwise special address, answers `None`, never a guess; the country of an
//! address and the country where its operator is registered come from different data and neither is
//! ever derived from the other.

mod countries;
mod country;
mod country_file;
mod operator;
mod range_table;
mod special;

pub use countries::Countries;
pub use country::{CountryTable, CountryTableError};
pub use country_file::{CountryFile, CountryFileError};
pub use operator::{Operator, OperatorError, OperatorTable};
pub use range_table::{AddressNumber, IpRangeTable, RangeError, RangeTable};

/// Where a table's data comes from, shown beside every answer that rests on it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// The name under which its publisher distributes it.
    pub name: String,
    /// The publisher's version.
    pub version: String,
    /// The day the publisher built it, as `YYYY-MM-DD`.
    pub build_date: String,
    /// SPDX identifier of the licence of the data.
    pub licence: String,
}
