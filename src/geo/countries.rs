//! Countries of addresses from wherever the user wants them: the table in the program, or a file of the user's.

use std::net::IpAddr;
use std::path::Path;

use super::{CountryFile, CountryFileError, CountryTable, Dataset};
use crate::model::CountryCode;

/// One source of countries for a whole run, so that every output names the same data set.
#[derive(Debug)]
pub enum Countries {
    /// The table compiled into the program.
    Embedded,
    /// A file in MaxMind's DB format, in place of it: a question is never answered from both.
    File(Box<CountryFile>),
}

impl Countries {
    /// The file, or the built-in table where none is given.
    pub fn from_file_or_embedded(file: Option<&Path>) -> Result<Self, CountryFileError> {
        file.map_or(Ok(Self::Embedded), |path| {
            CountryFile::open(path).map(|file| Self::File(Box::new(file)))
        })
    }

    /// The country of the server address; `None` is unknown.
    pub fn lookup(&self, address: IpAddr) -> Option<CountryCode> {
        match self {
            Self::Embedded => CountryTable::embedded().lookup(address),
            Self::File(file) => file.lookup(address),
        }
    }

    /// The data set the answers come from.
    pub fn dataset(&self) -> &Dataset {
        match self {
            Self::Embedded => CountryTable::embedded().dataset(),
            Self::File(file) => file.dataset(),
        }
    }
}
