//! Frames with times → a classic pcap file (Ethernet), in the byte order of no machine in particular.

use std::io::{self, Write};

/// Seconds since 1970 at which every capture begins: 2026-01-05T08:00:00Z.
const START_SECONDS: u64 = 1_767_600_000;
const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const SNAPLEN: u32 = 262_144;
const LINKTYPE_ETHERNET: u32 = 1;

/// Writes pcap records and counts the file's bytes.
pub struct PcapWriter<W> {
    output: W,
    nanoseconds: bool,
    bytes: u64,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header.
    pub fn new(mut output: W, nanoseconds: bool) -> io::Result<Self> {
        let magic = if nanoseconds {
            MAGIC_NANOSECONDS
        } else {
            MAGIC_MICROSECONDS
        };
        let mut header = Vec::with_capacity(24);
        header.extend_from_slice(&magic.to_le_bytes());
        header.extend_from_slice(&[2, 0, 4, 0]);
        header.extend_from_slice(&[0; 8]);
        header.extend_from_slice(&SNAPLEN.to_le_bytes());
        header.extend_from_slice(&LINKTYPE_ETHERNET.to_le_bytes());
        output.write_all(&header)?;
        Ok(Self {
            output,
            nanoseconds,
            bytes: header.len() as u64,
        })
    }

    /// Writes one frame, captured `at` nanoseconds after the start.
    pub fn write(&mut self, at: u64, frame: &[u8]) -> io::Result<()> {
        let seconds = (START_SECONDS + at / 1_000_000_000) as u32;
        let below = (at % 1_000_000_000) as u32;
        let fraction = if self.nanoseconds {
            below
        } else {
            below / 1_000
        };
        let length = (frame.len() as u32).to_le_bytes();
        let mut header = [0; 16];
        header[..4].copy_from_slice(&seconds.to_le_bytes());
        header[4..8].copy_from_slice(&fraction.to_le_bytes());
        header[8..12].copy_from_slice(&length);
        header[12..].copy_from_slice(&length);
        self.output.write_all(&header)?;
        self.output.write_all(frame)?;
        self.bytes += (header.len() + frame.len()) as u64;
        Ok(())
    }

    /// Bytes of the file so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes what is still buffered.
    pub fn finish(mut self) -> io::Result<()> {
        self.output.flush()
    }
}
