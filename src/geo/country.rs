//! Takes an address and says in which country the network it belongs to is registered, from a table compiled into the program.
//!
//! The format of the table and how it is renewed are told in `make_country_table.py` beside this
//! file. Databases disagree about many addresses of security vendors: an answer is the opinion of
//! the named data set on its build date, never the vendor's jurisdiction.
//!
//! **Invariants**: nothing is decoded before the first use; bytes that are not a table are an
//! error, never a panic; special-purpose addresses are unknown.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::OnceLock;

use crate::geo::{AddressNumber, Dataset, IpRangeTable, RangeError, RangeTable};
use crate::model::CountryCode;

const EMBEDDED: &[u8] = include_bytes!("country.bin");
const MAGIC: &[u8] = b"avsgeo";
const FORMAT_VERSION: u16 = 1;
/// More than thirty times today's payload; a declared length above it is damage, not growth.
const PAYLOAD_BYTES_MAX: u32 = 64 << 20;

/// Why bytes are not a country table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountryTableError {
    /// The first bytes are not those of a country table.
    #[error("country table: not such a file; make it with make_country_table.py")]
    NotATable,
    /// A format this program does not know.
    #[error(
        "country table: format {found}, this program reads format {FORMAT_VERSION}; \
         make the table with the make_country_table.py of the same release"
    )]
    Version {
        /// The format the file declares.
        found: u16,
    },
    /// The file ends inside a part.
    #[error("country table: ends inside {part}; make it again with make_country_table.py")]
    Truncated {
        /// The part that is not whole.
        part: &'static str,
    },
    /// A part says what no table can say.
    #[error("country table: {part} is damaged; make it again with make_country_table.py")]
    Damaged {
        /// The part that is wrong.
        part: &'static str,
    },
    /// The boundaries do not make ranges.
    #[error("country table: {0}; make it again with make_country_table.py")]
    Ranges(#[from] RangeError),
}

/// Countries of address ranges, with the data set they come from.
#[derive(Debug)]
pub struct CountryTable {
    dataset: Dataset,
    countries: Box<[CountryCode]>,
    /// Values are positions in `countries`, from 1, so that an unknown range costs no extra byte.
    ranges: IpRangeTable<NonZeroU8>,
}

impl CountryTable {
    /// The table compiled into the program, decoded at the first call.
    ///
    /// A test decodes it, so a damaged one is not released; should one be built all the same, every
    /// address is unknown and the name of the data set says why.
    pub fn embedded() -> &'static Self {
        static TABLE: OnceLock<CountryTable> = OnceLock::new();
        TABLE
            .get_or_init(|| Self::decode(EMBEDDED).unwrap_or_else(|error| Self::unreadable(&error)))
    }

    /// Decodes the content of a table file.
    pub fn decode(content: &[u8]) -> Result<Self, CountryTableError> {
        let mut header = Reader(content);
        if header.take(MAGIC.len(), "the header") != Ok(MAGIC) {
            return Err(CountryTableError::NotATable);
        }
        let found = u16::from_le_bytes(header.array("the header")?);
        if found != FORMAT_VERSION {
            return Err(CountryTableError::Version { found });
        }
        let dataset = Dataset {
            name: header.text("the name of the data set")?,
            version: header.text("the version of the data set")?,
            build_date: header.text("the build date")?,
            licence: header.text("the licence")?,
        };
        let declared = u32::from_le_bytes(header.array("the payload length")?);
        let payload = inflate(header.0, declared)?;

        let mut reader = Reader(&payload);
        let count = usize::from(reader.byte("the list of countries")?);
        let countries = (0..count)
            .map(|_| reader.country())
            .collect::<Result<Box<[CountryCode]>, _>>()?;
        let v4 = decode_ranges(&mut reader, count, |step, shift| {
            u32::try_from(step)
                .ok()?
                .checked_mul(1u32.checked_shl(shift)?)
        })?;
        let v6 = decode_ranges(&mut reader, count, |step, shift| {
            step.checked_mul(1u128.checked_shl(shift)?)
        })?;
        if !reader.0.is_empty() {
            return Err(CountryTableError::Damaged { part: "the end" });
        }
        Ok(Self {
            dataset,
            countries,
            ranges: IpRangeTable::new(v4, v6),
        })
    }

    /// The country in which the network of the address is registered.
    ///
    /// `None` for private and other special-purpose addresses and where the data set knows nothing.
    #[inline]
    pub fn lookup(&self, address: IpAddr) -> Option<CountryCode> {
        let number = self.ranges.lookup(address)?;
        self.countries
            .get(usize::from(number.get()).checked_sub(1)?)
            .copied()
    }

    /// The data set the answers come from.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// How many boundaries the tables of IPv4 and of IPv6 have.
    pub fn boundaries(&self) -> (usize, usize) {
        self.ranges.boundaries()
    }

    fn unreadable(error: &CountryTableError) -> Self {
        let unknown = "unknown".to_owned();
        Self {
            dataset: Dataset {
                name: format!("unreadable ({error})"),
                version: unknown.clone(),
                build_date: unknown.clone(),
                licence: unknown,
            },
            countries: Box::default(),
            ranges: IpRangeTable::empty(),
        }
    }
}

fn inflate(compressed: &[u8], declared: u32) -> Result<Vec<u8>, CountryTableError> {
    let damaged = CountryTableError::Damaged {
        part: "the payload",
    };
    if declared > PAYLOAD_BYTES_MAX {
        return Err(damaged);
    }
    let payload =
        miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(compressed, declared as usize)
            .map_err(|_| damaged)?;
    if payload.len() == declared as usize {
        Ok(payload)
    } else {
        Err(damaged)
    }
}

/// Reads one family's boundaries; `distance` scales a step by its shift, or tells that it leaves the address space.
fn decode_ranges<A: AddressNumber + TryFrom<u128> + Into<u128>>(
    reader: &mut Reader<'_>,
    countries: usize,
    distance: impl Fn(u128, u32) -> Option<A>,
) -> Result<RangeTable<A, NonZeroU8>, CountryTableError> {
    let beyond = CountryTableError::Damaged { part: "a boundary" };
    let count = reader.varint("the number of boundaries")?;
    let count = usize::try_from(count).map_err(|_| beyond)?;
    let numbers = reader.take(count, "the countries of the boundaries")?;
    let shifts = reader.take(count, "the shifts of the boundaries")?;
    let mut boundaries = Vec::with_capacity(count);
    let mut at: u128 = 0;
    for (number, shift) in numbers.iter().zip(shifts) {
        let step = reader.varint("the boundaries")?;
        let distance = distance(step, u32::from(*shift)).ok_or(beyond)?;
        at = at.checked_add(distance.into()).ok_or(beyond)?;
        let address = A::try_from(at).map_err(|_| beyond)?;
        if usize::from(*number) > countries {
            return Err(CountryTableError::Damaged {
                part: "the country of a boundary",
            });
        }
        boundaries.push((address, NonZeroU8::new(*number)));
    }
    Ok(RangeTable::from_boundaries(boundaries)?)
}

/// The bytes not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, part: &'static str) -> Result<&'a [u8], CountryTableError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(CountryTableError::Truncated { part })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], CountryTableError> {
        self.take(N, part)?
            .try_into()
            .map_err(|_| CountryTableError::Truncated { part })
    }

    fn byte(&mut self, part: &'static str) -> Result<u8, CountryTableError> {
        self.array::<1>(part).map(|[byte]| byte)
    }

    fn text(&mut self, part: &'static str) -> Result<String, CountryTableError> {
        let length = usize::from(self.byte(part)?);
        std::str::from_utf8(self.take(length, part)?)
            .map(str::to_owned)
            .map_err(|_| CountryTableError::Damaged { part })
    }

    fn country(&mut self) -> Result<CountryCode, CountryTableError> {
        let part = "the list of countries";
        CountryCode::new(self.array(part)?).ok_or(CountryTableError::Damaged { part })
    }

    /// An unsigned LEB128 number of at most 128 bits.
    fn varint(&mut self, part: &'static str) -> Result<u128, CountryTableError> {
        let mut number: u128 = 0;
        for shift in (0..128u32).step_by(7) {
            let byte = self.byte(part)?;
            let bits = u128::from(byte & 0x7f);
            // The nineteenth byte holds only the two uppermost bits.
            if shift == 126 && bits > 0b11 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(CountryTableError::Damaged { part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(address: &str) -> Option<String> {
        CountryTable::embedded()
            .lookup(address.parse().unwrap())
            .map(|code| code.to_string())
    }

    #[test]
    fn embedded_table_decodes() {
        let table = CountryTable::decode(EMBEDDED).unwrap();
        assert_eq!(table.dataset().licence, "PDDL-1.0");
        let (v4, v6) = table.boundaries();
        assert!(v4 > 100_000 && v6 > 50_000, "{v4} {v6}");
    }

    /// Owners and seats are public knowledge: Google, ESET in Bratislava, RIPE NCC, Bitdefender.
    #[test]
    fn well_known_addresses_have_their_country() {
        for (address, expected) in [
            ("8.8.8.8", "US"),
            ("::ffff:8.8.8.8", "US"),
            ("91.228.164.0", "SK"),
            ("91.228.167.255", "SK"),
            ("193.0.6.139", "NL"),
            ("2001:4860:4860::8888", "US"),
            ("2001:67c:2e8:22::c100:68b", "NL"),
        ] {
            assert_eq!(country(address).as_deref(), Some(expected), "{address}");
        }
    }

    #[test]
    fn special_purpose_addresses_are_unknown() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.2.1",
            "192.168.1.10",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fd00::1",
            "ff02::fb",
            "2001:db8::1",
            "2002:808:808::1",
            "64:ff9b::1",
        ] {
            assert_eq!(country(address), None, "{address}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let small = small_table();
        assert!(CountryTable::decode(&small).is_ok());
        for length in 0..small.len() {
            assert!(CountryTable::decode(&small[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn no_changed_byte_panics() {
        let small = small_table();
        for position in 0..small.len() {
            for bit in 0..8 {
                let mut changed = small.clone();
                changed[position] ^= 1 << bit;
                // Text of the header may change and still be text; nothing may panic.
                let _ = CountryTable::decode(&changed);
            }
        }
    }

    #[test]
    fn causes_are_told_apart() {
        let cause = |content: &[u8]| CountryTable::decode(content).unwrap_err();
        assert_eq!(cause(b"PK"), CountryTableError::NotATable);
        assert_eq!(
            cause(b"avsgeo\x02\0"),
            CountryTableError::Version { found: 2 }
        );
        // One country, one IPv4 boundary at zero whose country has no name.
        let beyond = table_of(b"\x01CH\x01\x02\0\0\x01\0\0\0");
        assert_eq!(
            cause(&beyond),
            CountryTableError::Damaged {
                part: "the country of a boundary"
            }
        );
        // The second IPv4 boundary is 1 << 32.
        let outside = table_of(b"\x01CH\x02\0\x01\0\x20\0\x01\x01\0\0\0");
        assert_eq!(
            cause(&outside),
            CountryTableError::Damaged { part: "a boundary" }
        );
    }

    #[test]
    fn small_table_answers() {
        let table = CountryTable::decode(&small_table()).unwrap();
        let at = |text: &str| table.lookup(text.parse().unwrap()).map(|c| c.to_string());
        assert_eq!(at("0.255.255.255"), None);
        assert_eq!(at("1.0.0.0").as_deref(), Some("CH"));
        assert_eq!(at("1.255.255.255").as_deref(), Some("CH"));
        assert_eq!(at("2.0.0.0"), None);
        assert_eq!(at("::1"), None);
    }

    /// 1.0.0.0/8 is CH; written by hand after the description of the format.
    fn small_table() -> Vec<u8> {
        table_of(b"\x01CH\x03\0\x01\0\0\x18\x18\0\x01\x01\x01\0\0\0")
    }

    fn table_of(payload: &[u8]) -> Vec<u8> {
        let mut table = b"avsgeo\x01\0".to_vec();
        for text in ["n", "v", "d", "l"] {
            table.push(text.len() as u8);
            table.extend_from_slice(text.as_bytes());
        }
        table.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        table.extend_from_slice(&miniz_oxide::deflate::compress_to_vec_zlib(payload, 6));
        table
    }
}
