//! Takes a file in MaxMind's DB format and answers, in place of the built-in table, which country an address is in.
//!
//! Three shapes of record are known: `country_code` at the top (ip-location-db), and `country.iso_code` (MaxMind's GeoIP2 and
//! GeoLite2, DB-IP; countries and cities alike). `registered_country` is never used: it says where the holder of the addresses
//! is registered, not where the server is, and taking one for the other would mix two of the columns that are kept apart.
//! Format: MaxMind DB file format specification, version 2.0.
//!
//! **Invariants**: every record is read once when the file is opened, so that a damaged file is refused then and not half
//! believed later; special-purpose addresses are unknown whatever the file says; look-ups do not panic.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::{LookupResult, MaxMindDbError, PathElement, Reader};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::geo::Dataset;
use crate::geo::special::is_special;
use crate::model::CountryCode;

/// The largest files of countries are some 10 MB, those of cities 150 MB; more is another kind of file.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// What a data set may say of itself in every output.
const TEXT_CHARS_MAX: usize = 200;
/// What stands for a fact that the file does not state.
const NOT_STATED: &str = "unknown";

/// Why a file cannot be used for countries.
#[derive(Debug, thiserror::Error)]
pub enum CountryFileError {
    /// The system would not give it.
    #[error("{path}: {error}; --geoip needs a file that can be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// More than any file of countries.
    #[error(
        "{path}: more than {FILE_BYTES_MAX} bytes; a file of countries has some 10 MB: is it the right one?"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The metadata that ends such a file is not there.
    #[error(
        "{path}: not a file in MaxMind's DB format (.mmdb), or its end is missing ({error}); \
         unpack it if it is compressed, or fetch it again"
    )]
    NotMmdb {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        error: MaxMindDbError,
    },
    /// A part of the file contradicts the format.
    #[error("{path}: damaged ({error}); fetch it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        error: MaxMindDbError,
    },
    /// A sound file of something else.
    #[error(
        "{path}: \"{database_type}\" holds no country (neither country_code nor country.iso_code); \
         take the publisher's file of countries or cities"
    )]
    NoCountries {
        /// The file.
        path: PathBuf,
        /// What it says it is.
        database_type: String,
    },
}

/// Where a record holds the country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `country_code`.
    Flat,
    /// `country.iso_code`.
    Nested,
}

impl Shape {
    const ALL: [Self; 2] = [Self::Nested, Self::Flat];

    const fn path(self) -> &'static [PathElement<'static>] {
        match self {
            Self::Flat => &[PathElement::Key("country_code")],
            Self::Nested => &[PathElement::Key("country"), PathElement::Key("iso_code")],
        }
    }
}

/// Countries of address ranges from a file of the user's.
#[derive(Debug)]
pub struct CountryFile {
    reader: Reader<Vec<u8>>,
    shape: Shape,
    dataset: Dataset,
}

impl CountryFile {
    /// Reads and checks a file.
    pub fn open(path: &Path) -> Result<Self, CountryFileError> {
        let unreadable = |error| CountryFileError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let mut content = Vec::new();
        // One byte more than may be, so that a file of just the size can be told from a longer one; a device may have no end.
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(FILE_BYTES_MAX.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(unreadable)?;
        if content.len() as u64 > FILE_BYTES_MAX {
            return Err(CountryFileError::TooLarge {
                path: path.to_owned(),
            });
        }
        Self::decode(content, path)
    }

    /// Checks the content of a file; `path` is for errors.
    pub fn decode(content: Vec<u8>, path: &Path) -> Result<Self, CountryFileError> {
        let reader = Reader::from_source(content).map_err(|error| CountryFileError::NotMmdb {
            path: path.to_owned(),
            error,
        })?;
        let shape = shape(&reader)
            .map_err(|error| CountryFileError::Damaged {
                path: path.to_owned(),
                error,
            })?
            .ok_or_else(|| CountryFileError::NoCountries {
                path: path.to_owned(),
                database_type: shown(&reader.metadata().database_type),
            })?;
        let dataset = dataset(&reader);
        Ok(Self {
            reader,
            shape,
            dataset,
        })
    }

    /// The country the file gives for the address.
    ///
    /// `None` for special-purpose addresses, for what the file does not cover, and for codes that are no country's.
    pub fn lookup(&self, address: IpAddr) -> Option<CountryCode> {
        let address = address.to_canonical();
        if is_special(address) {
            return None;
        }
        // A file of IPv4 alone answers a question about IPv6 with an error: it knows nothing.
        let found = self.reader.lookup(address).ok()?;
        code(&found, self.shape).ok()?
    }

    /// What the file says it is, and when it was built.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }
}

/// Reads every record. The shape that yields countries, or `None` if there is none.
fn shape(reader: &Reader<Vec<u8>>) -> Result<Option<Shape>, MaxMindDbError> {
    let mut found = None;
    for network in reader.networks(maxminddb::WithinOptions::default())? {
        let network = network?;
        for shape in Shape::ALL {
            // Records of one file have one shape, so the first country settles which; a damaged one is an error in any.
            if found.is_none_or(|found| found == shape) && code(&network, shape)?.is_some() {
                found = Some(shape);
                break;
            }
        }
    }
    Ok(found)
}

/// The country in a record.
fn code(
    record: &LookupResult<'_, Vec<u8>>,
    shape: Shape,
) -> Result<Option<CountryCode>, MaxMindDbError> {
    let text: Option<&str> = match record.decode_path(shape.path()) {
        // A record whose `country` is a text has the other shape.
        Err(MaxMindDbError::Decoding { .. }) => None,
        other => other?,
    };
    Ok(text.and_then(|text| {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        // Registries' regions and "nobody": no country follows from them.
        if matches!(&letters, b"AP" | b"EU" | b"ZZ" | b"XX") {
            return None;
        }
        CountryCode::new(letters)
    }))
}

fn dataset(reader: &Reader<Vec<u8>>) -> Dataset {
    let metadata = reader.metadata();
    let description = metadata
        .description
        .get("en")
        .or_else(|| metadata.description.values().next())
        .map(|text| shown(text))
        .filter(|text| !text.is_empty());
    let kind = shown(&metadata.database_type);
    let name = match (kind.is_empty(), description) {
        (false, _) => kind,
        (true, Some(description)) => description,
        (true, None) => NOT_STATED.to_owned(),
    };
    let built = i64::try_from(metadata.build_epoch)
        .ok()
        .filter(|epoch| *epoch > 0)
        .and_then(|epoch| OffsetDateTime::from_unix_timestamp(epoch).ok());
    let day = format_description!("[year]-[month]-[day]");
    let second = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    Dataset {
        name,
        version: built
            .and_then(|built| built.format(second).ok())
            .unwrap_or_else(|| NOT_STATED.to_owned()),
        build_date: built
            .and_then(|built| built.format(day).ok())
            .unwrap_or_else(|| NOT_STATED.to_owned()),
        licence: NOT_STATED.to_owned(),
    }
}

/// Text of a file of unknown hands, for terminals and reports.
fn shown(text: &str) -> String {
    let text: String = text.trim().chars().take(TEXT_CHARS_MAX).collect();
    crate::model::printable(text.as_bytes()).into_owned()
}
