//! Text by Huffman's code → bytes (RFC 7541 §5.2, appendix B).
//!
//! The code is canonical: symbols of one length follow each other in order, and so do the lengths. The lengths alone give it.

/// Length of each symbol's code in bits; the last is the end of a string.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];
const LENGTH_MAX: usize = 30;
const END_OF_STRING: u16 = 256;

/// The code: of each length the first code word, how many there are, and where its symbols begin in `symbols`.
struct Code {
    first: [u32; LENGTH_MAX + 1],
    count: [u16; LENGTH_MAX + 1],
    begin: [u16; LENGTH_MAX + 1],
    symbols: [u16; 257],
}

static CODE: Code = build();

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "computed by the compiler, which refuses what would panic"
)]
const fn build() -> Code {
    let mut code = Code {
        first: [0; LENGTH_MAX + 1],
        count: [0; LENGTH_MAX + 1],
        begin: [0; LENGTH_MAX + 1],
        symbols: [0; 257],
    };
    let (mut word, mut placed, mut length) = (0u32, 0u16, 1usize);
    while length <= LENGTH_MAX {
        word <<= 1;
        code.first[length] = word;
        code.begin[length] = placed;
        let mut symbol = 0usize;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                code.symbols[placed as usize] = symbol as u16;
                placed += 1;
                word += 1;
            }
            symbol += 1;
        }
        code.count[length] = placed - code.begin[length];
        length += 1;
    }
    code
}

/// Appends the text to `out`; `None`: it is none (RFC 7541 §5.2).
pub(super) fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut word, mut length) = (0u32, 0usize);
    for byte in bytes {
        for bit in (0..8).rev() {
            word = word << 1 | u32::from(byte >> bit & 1);
            length = length.saturating_add(1);
            if length > LENGTH_MAX {
                return None;
            }
            let offset = word.wrapping_sub(*CODE.first.get(length)?);
            if word >= *CODE.first.get(length)? && offset < u32::from(*CODE.count.get(length)?) {
                let place = u32::from(*CODE.begin.get(length)?).saturating_add(offset);
                let symbol = *CODE.symbols.get(place as usize)?;
                if symbol == END_OF_STRING {
                    return None;
                }
                out.push(symbol as u8);
                (word, length) = (0, 0);
            }
        }
    }
    // Padding is the beginning of the end of a string: ones, and fewer than eight.
    (length < 8 && word.count_ones() as usize == length).then_some(())
}
