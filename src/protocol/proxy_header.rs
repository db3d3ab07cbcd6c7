//! The header that load balancers put before what a client says, with the client's address in it → how long it is.
//!
//! Source: The PROXY protocol, versions 1 and 2 (HAProxy, 2020), §2. A sender writes the header in one go and a receiver may refuse one
//! in pieces (§2), so only a whole one is known. The addresses in it are not used.

/// The longest line of version 1, with its end (§2.1).
const LINE_MAX: usize = 107;
/// What version 2 begins with (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest rest that is believed: addresses of the local kind take 216 bytes, options come behind.
const REST_MAX: u16 = 2048;

/// Headers behind each other, as a chain of load balancers writes them; more are an attack.
const HEADERS_MAX: usize = 4;

/// The length of all headers at the beginning of a stream; 0 if there is none, or more than there can be.
pub fn headers_len(stream: &[u8]) -> usize {
    let mut rest = stream;
    for _ in 0..HEADERS_MAX {
        match header_len(rest) {
            Some(len) => rest = rest.get(len..).unwrap_or_default(),
            None => return stream.len().saturating_sub(rest.len()),
        }
    }
    match header_len(rest) {
        Some(_) => 0,
        None => stream.len().saturating_sub(rest.len()),
    }
}

/// The length of the header at the beginning of a stream; `None` if there is none, or not all of it.
fn header_len(stream: &[u8]) -> Option<usize> {
    let len = match stream.first()? {
        b'P' => line_len(stream)?,
        b'\r' => binary_len(stream)?,
        _ => return None,
    };
    (len <= stream.len()).then_some(len)
}

fn line_len(stream: &[u8]) -> Option<usize> {
    let head = stream.get(..LINE_MAX).unwrap_or(stream);
    let families: [&[u8]; 3] = [b"TCP4 ", b"TCP6 ", b"UNKNOWN"];
    let rest = head.strip_prefix(b"PROXY ")?;
    if !families.iter().any(|family| rest.starts_with(family)) {
        return None;
    }
    let end = head.windows(2).position(|two| two == b"\r\n")?;
    Some(end.saturating_add(2))
}

fn binary_len(stream: &[u8]) -> Option<usize> {
    let rest = stream.strip_prefix(SIGNATURE)?;
    let [command, family, l0, l1] = *rest.first_chunk::<4>()?;
    let len = u16::from_be_bytes([l0, l1]);
    let is_known = matches!(command, 0x20 | 0x21) && family >> 4 <= 3 && family & 0x0f <= 2;
    (is_known && len <= REST_MAX).then(|| usize::from(len).saturating_add(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_both_versions_end_where_the_client_begins() {
        let mut binary = SIGNATURE.to_vec();
        binary.extend([0x21, 0x11, 0, 12]);
        binary.extend([192, 0, 2, 1, 192, 0, 2, 2, 0x9c, 0x40, 0x01, 0xbb]);
        let mut local = SIGNATURE.to_vec();
        local.extend([0x20, 0, 0, 0]);
        for header in [
            b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 443\r\n".to_vec(),
            b"PROXY TCP6 2001:db8::1 2001:db8::2 40000 443\r\n".to_vec(),
            b"PROXY UNKNOWN\r\n".to_vec(),
            binary,
            local,
        ] {
            let stream = [&header[..], b"\x16\x03\x01"].concat();
            assert_eq!(header_len(&stream), Some(header.len()));
            for cut in 0..header.len() {
                assert_eq!(header_len(header.get(..cut).unwrap_or_default()), None);
            }
        }
    }

    #[test]
    fn a_chain_of_headers_is_bounded() {
        let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 443\r\n";
        for count in 0..=6 {
            let stream = [&header.repeat(count)[..], b"GET"].concat();
            let expected = if count <= HEADERS_MAX {
                count * header.len()
            } else {
                0
            };
            assert_eq!(headers_len(&stream), expected);
        }
    }

    #[test]
    fn other_beginnings_are_no_headers() {
        let long = [&b"PROXY TCP4 "[..], &[b'1'; 200], b"\r\n"].concat();
        for other in [
            &b"PROPFIND / HTTP/1.1\r\n\r\n"[..],
            b"PROXY / HTTP/1.1\r\n\r\n",
            b"\r\n\r\nGET / HTTP/1.1\r\n",
            &long,
        ] {
            assert_eq!(header_len(other), None);
        }
    }
}
