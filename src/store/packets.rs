//! Frames → a pcapng capture (draft-ietf-opsawg-pcapng).

use std::io::Write;

use crate::model::Timestamp;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
const OPTION_USER_APPLICATION: u16 = 4;
const OPTION_TIME_RESOLUTION: u16 = 9;

/// Writes frames with their own time, to the nanosecond, and one interface for each link type.
#[derive(Debug)]
pub struct PacketWriter<W: Write> {
    out: W,
    link_types: Vec<u16>,
    written: u64,
    block: Vec<u8>,
}

impl<W: Write> PacketWriter<W> {
    /// Begins a capture.
    pub fn new(out: W) -> std::io::Result<Self> {
        let mut writer = Self {
            out,
            link_types: Vec::new(),
            written: 0,
            block: Vec::new(),
        };
        writer.block.extend(0x1a2b_3c4d_u32.to_le_bytes());
        writer.block.extend(1u16.to_le_bytes());
        writer.block.extend(0u16.to_le_bytes());
        // The length of the section is not known beforehand.
        writer.block.extend(u64::MAX.to_le_bytes());
        let program = concat!("avscope ", env!("CARGO_PKG_VERSION"));
        writer.option(OPTION_USER_APPLICATION, program.as_bytes());
        writer.end_block(SECTION_HEADER)?;
        Ok(writer)
    }

    /// Frames written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Adds a frame; `wire_len` is its length before the capture cut it, `comment` is shown beside it.
    pub fn packet(
        &mut self,
        link_type: u16,
        timestamp: Timestamp,
        wire_len: u32,
        frame: &[u8],
        comment: &str,
    ) -> std::io::Result<()> {
        let interface = self.interface(link_type)?;
        let (high, low) = (timestamp.as_nanos() >> 32, timestamp.as_nanos());
        for word in [
            interface,
            high as u32,
            low as u32,
            frame.len() as u32,
            wire_len,
        ] {
            self.block.extend(word.to_le_bytes());
        }
        self.block.extend(frame);
        self.pad();
        self.option(OPTION_COMMENT, comment.as_bytes());
        self.end_block(ENHANCED_PACKET)?;
        self.written += 1;
        Ok(())
    }

    /// Writes what is buffered.
    pub fn finish(mut self) -> std::io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    /// Number of the interface with this link type, a new one where there is none.
    fn interface(&mut self, link_type: u16) -> std::io::Result<u32> {
        let known = self.link_types.iter().position(|known| *known == link_type);
        if let Some(known) = known {
            return Ok(known as u32);
        }
        self.link_types.push(link_type);
        self.block.extend(link_type.to_le_bytes());
        self.block.extend(0u16.to_le_bytes());
        // No snapshot length: frames are as they were.
        self.block.extend(0u32.to_le_bytes());
        self.option(OPTION_TIME_RESOLUTION, &[9]);
        self.end_block(INTERFACE_DESCRIPTION)?;
        Ok(self.link_types.len() as u32 - 1)
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.block.extend(code.to_le_bytes());
        self.block.extend((value.len() as u16).to_le_bytes());
        self.block.extend(value);
        self.pad();
        self.block.extend(OPTION_END.to_le_bytes());
        self.block.extend(0u16.to_le_bytes());
    }

    fn pad(&mut self) {
        let padded = self.block.len().next_multiple_of(4);
        self.block.resize(padded, 0);
    }

    fn end_block(&mut self, kind: u32) -> std::io::Result<()> {
        let len = (self.block.len() as u32 + 12).to_le_bytes();
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&len)?;
        self.out.write_all(&self.block)?;
        self.out.write_all(&len)?;
        self.block.clear();
        Ok(())
    }
}
