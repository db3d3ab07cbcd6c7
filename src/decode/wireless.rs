//! Frame of a wireless capture → where its network layer begins: IEEE 802.11, alone or behind radiotap or Prism headers.
//!
//! What is encrypted stays so; what a station sent in pieces, or several packets in one frame, is not put together or apart.

use super::link::{Network, bytes_at};
use super::serial::llc;
use super::tunnel::TunnelPath;
use super::{Decoded, NotIp, Undecodable};

/// Words of flags that a radiotap header may have: one for each antenna and namespace.
const PRESENT_WORDS_MAX: usize = 16;

const TRUNCATED: Decoded = Decoded::Undecodable(Undecodable::TruncatedLink);

/// IEEE 802.11-2020 §9.2.3 at `start`.
pub(super) fn ieee80211(data: &[u8], start: usize, path: TunnelPath) -> Result<Network, Decoded> {
    let control = bytes_at(data, start).ok_or(TRUNCATED)?;
    behind_control(data, start, control, false, path)
}

/// The same with the two bytes of the frame control in the other order, as some controllers write them into CAPWAP.
pub(super) fn ieee80211_swapped(
    data: &[u8],
    start: usize,
    path: TunnelPath,
) -> Result<Network, Decoded> {
    let [flags, control] = bytes_at(data, start).ok_or(TRUNCATED)?;
    behind_control(data, start, [control, flags], false, path)
}

/// A header of its own length, then IEEE 802.11 (radiotap.org).
pub(super) fn radiotap(data: &[u8], start: usize) -> Result<Network, Decoded> {
    let len = bytes_at::<2>(data, start.saturating_add(2)).ok_or(TRUNCATED)?;
    let padded = radiotap_flags(data, start) & 0x20 != 0;
    let start = start.saturating_add(u16::from_le_bytes(len).into());
    let control = bytes_at(data, start).ok_or(TRUNCATED)?;
    behind_control(data, start, control, padded, TunnelPath::NONE)
}

/// A Prism or AVS header, which both carry their length, then IEEE 802.11.
pub(super) fn prism(data: &[u8], start: usize) -> Result<Network, Decoded> {
    const LEN_MAX: u32 = 512;
    let len = bytes_at::<4>(data, start.saturating_add(4)).ok_or(TRUNCATED)?;
    // Prism is in the order of the machine, AVS in network order; lengths are small.
    let len = u32::from_le_bytes(len).min(u32::from_be_bytes(len));
    if !(8..=LEN_MAX).contains(&len) {
        return Err(TRUNCATED);
    }
    ieee80211(data, start.saturating_add(len as usize), TunnelPath::NONE)
}

/// Who sent the frame at `start` (IEEE 802.11-2020 §9.3.2.1.2): of the addresses which one that is depends on the direction.
pub(super) fn source(data: &[u8], start: usize) -> Option<[u8; 6]> {
    let [_, flags] = bytes_at(data, start)?;
    let offset = match flags & 3 {
        2 => 16,
        3 => 24,
        _ => 10,
    };
    bytes_at(data, start.saturating_add(offset))
}

/// The flags of a radiotap header, 0 where it has none.
fn radiotap_flags(data: &[u8], start: usize) -> u8 {
    const HAS_TIME: u32 = 1;
    const HAS_FLAGS: u32 = 2;
    const MORE_WORDS: u32 = 1 << 31;
    let word = |at: usize| {
        let offset = at.saturating_mul(4).saturating_add(4);
        bytes_at::<4>(data, start.saturating_add(offset)).map_or(0, u32::from_le_bytes)
    };
    let present = word(0);
    if present & HAS_FLAGS == 0 {
        return 0;
    }
    let words = (0..PRESENT_WORDS_MAX)
        .take_while(|at| word(*at) & MORE_WORDS != 0)
        .count()
        .saturating_add(1);
    let mut offset = words.saturating_mul(4).saturating_add(4);
    if present & HAS_TIME != 0 {
        offset = offset.next_multiple_of(8).saturating_add(8);
    }
    bytes_at::<1>(data, start.saturating_add(offset)).map_or(0, |[flags]| flags)
}

fn behind_control(
    data: &[u8],
    start: usize,
    [control, flags]: [u8; 2],
    padded: bool,
    path: TunnelPath,
) -> Result<Network, Decoded> {
    const DATA: u8 = 2;
    let rest = data.get(start..).unwrap_or_default();
    let subtype = control >> 4;
    // Management and control frames, and data frames that carry none.
    if (control >> 2) & 3 != DATA || subtype & 4 != 0 {
        return Err(Decoded::NotIp(NotIp::Wireless));
    }
    let (to_ds, from_ds, more_fragments) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
    let mut len = 24usize;
    if to_ds && from_ds {
        len = 30;
    }
    let mut aggregated = false;
    if subtype & 8 != 0 {
        let [qos, _] = bytes_at::<2>(rest, len).ok_or(TRUNCATED)?;
        aggregated = qos & 0x80 != 0;
        len = len.saturating_add(2);
        if flags & 0x80 != 0 {
            // HT control.
            len = len.saturating_add(4);
        }
    }
    if flags & 0x40 != 0 {
        return Err(Decoded::Undecodable(Undecodable::EncryptedLink));
    }
    let [sequence, _] = bytes_at::<2>(rest, 22).ok_or(TRUNCATED)?;
    let later_fragment = sequence & 0x0f != 0;
    if aggregated || more_fragments || later_fragment {
        return Err(Decoded::Undecodable(Undecodable::PartialLinkFrame));
    }
    if padded {
        len = len.next_multiple_of(4);
    }
    if rest.len() <= len {
        return Err(TRUNCATED);
    }
    llc(data, start.saturating_add(len), path)
}
