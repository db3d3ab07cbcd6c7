//! Bytes → fields: the one cursor that all parsers read through.
//!
//! **Invariants**: cannot panic; never reads past its end; every step is bounded by the slice it was given.

/// The bytes end before the field does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes end before the field does")]
pub struct Truncated;

/// A cursor over bytes in network order.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their beginning.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `len` bytes.
    #[inline]
    pub const fn take(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        match self.rest.split_at_checked(len) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(Truncated),
        }
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub const fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(*head)
            }
            None => Err(Truncated),
        }
    }

    /// A reader confined to the next `len` bytes.
    #[inline]
    pub const fn sub(&mut self, len: usize) -> Result<Self, Truncated> {
        match self.take(len) {
            Ok(bytes) => Ok(Self::new(bytes)),
            Err(error) => Err(error),
        }
    }

    /// One byte.
    #[inline]
    pub const fn u8(&mut self) -> Result<u8, Truncated> {
        match self.array::<1>() {
            Ok([byte]) => Ok(byte),
            Err(error) => Err(error),
        }
    }

    /// Two bytes, big-endian.
    #[inline]
    pub const fn u16(&mut self) -> Result<u16, Truncated> {
        match self.array::<2>() {
            Ok(bytes) => Ok(u16::from_be_bytes(bytes)),
            Err(error) => Err(error),
        }
    }

    /// Three bytes, big-endian.
    #[inline]
    pub const fn u24(&mut self) -> Result<u32, Truncated> {
        match self.array::<3>() {
            Ok([a, b, c]) => Ok(u32::from_be_bytes([0, a, b, c])),
            Err(error) => Err(error),
        }
    }

    /// Four bytes, big-endian.
    #[inline]
    pub const fn u32(&mut self) -> Result<u32, Truncated> {
        match self.array::<4>() {
            Ok(bytes) => Ok(u32::from_be_bytes(bytes)),
            Err(error) => Err(error),
        }
    }

    /// Passes over `len` bytes.
    #[inline]
    pub const fn skip(&mut self, len: usize) -> Result<(), Truncated> {
        match self.take(len) {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What has not been read yet.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_network_order() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0203));
        assert_eq!(reader.u24(), Ok(0x0004_0506));
        assert_eq!(reader.u32(), Ok(0x0708_090a));
        assert!(reader.is_empty());
    }

    #[test]
    fn a_failed_read_consumes_nothing() {
        let mut reader = Reader::new(&[1, 2]);
        assert_eq!(reader.u32(), Err(Truncated));
        assert_eq!(reader.u16(), Ok(0x0102));
    }

    #[test]
    fn a_sub_reader_cannot_leave_its_part() {
        let mut reader = Reader::new(&[1, 2, 3]);
        let mut sub = reader.sub(2).unwrap();
        assert_eq!(sub.take(3), Err(Truncated));
        assert_eq!(reader.rest(), &[3]);
    }
}
