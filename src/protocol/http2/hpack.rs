//! A header block → its fields (RFC 7541 §6).

use super::huffman;
use super::table::Table;

/// Reads blocks one after the other. Reused from flow to flow.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    table: Table,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    pub(super) fn reset(&mut self) {
        self.table.reset();
    }

    pub(super) fn shrink(&mut self, keep: usize) {
        self.table.shrink(keep);
        self.name.clear();
        self.name.shrink_to(keep);
        self.value.clear();
        self.value.shrink_to(keep);
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.table.held_bytes()
    }

    /// Gives every field of a block; `None`: the block is damaged, and so is what the client knows by number from now on.
    pub(super) fn block(
        &mut self,
        mut block: &[u8],
        each: &mut impl FnMut(&[u8], &[u8]),
    ) -> Option<()> {
        while let Some(&first) = block.first() {
            if first & 0x80 != 0 {
                let number = integer(&mut block, 7)?;
                let (name, value) = self.table.field(number)?;
                each(name, value);
            } else if first & 0xe0 == 0x20 {
                let size = integer(&mut block, 5)?;
                self.table.resize(size)?;
            } else {
                let is_added = first & 0x40 != 0;
                let number = integer(&mut block, if is_added { 6 } else { 4 })?;
                self.name.clear();
                if number == 0 {
                    string(&mut block, &mut self.name)?;
                } else {
                    let (name, _) = self.table.field(number)?;
                    self.name.extend_from_slice(name);
                }
                self.value.clear();
                string(&mut block, &mut self.value)?;
                each(&self.name, &self.value);
                if is_added {
                    self.table.add(&self.name, &self.value);
                }
            }
        }
        Some(())
    }
}

/// A number behind the bits that say what it is of (RFC 7541 §5.1).
fn integer(block: &mut &[u8], bits: u32) -> Option<usize> {
    /// More than anything here is long.
    const SHIFT_MAX: u32 = 28;
    let (first, mut rest) = block.split_first()?;
    let mask = 0xffu8.checked_shr(8u32.saturating_sub(bits))?;
    let mut number = usize::from(first & mask);
    if number == usize::from(mask) {
        let mut shift = 0u32;
        loop {
            let (byte, behind) = rest.split_first()?;
            rest = behind;
            number = number.checked_add(usize::from(byte & 0x7f).checked_shl(shift)?)?;
            if byte & 0x80 == 0 {
                break;
            }
            shift = shift.saturating_add(7);
            if shift > SHIFT_MAX {
                return None;
            }
        }
    }
    *block = rest;
    Some(number)
}

/// A string, by Huffman's code or as it is (RFC 7541 §5.2).
fn string(block: &mut &[u8], out: &mut Vec<u8>) -> Option<()> {
    let is_coded = block.first()? & 0x80 != 0;
    let len = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(len)?;
    *block = rest;
    if is_coded {
        huffman::decode(text, out)
    } else {
        out.extend_from_slice(text);
        Some(())
    }
}
