//! DHCP for IPv4: the fixed part of BOOTP, then options behind a magic number (RFC 2131 §2, RFC 2132 §2).

use super::{DhcpError, Message, OPTIONS_MAX, text_name, wire_name};
use crate::model::DhcpType;
use crate::protocol::ShortText;
use crate::wire::{Reader, Truncated};

/// What stands before the options (RFC 2132 §2).
const MAGIC: [u8; 4] = [99, 130, 83, 99];
const ETHERNET: u8 = 1;

pub(super) fn parse(bytes: &[u8]) -> Result<Message<'_>, DhcpError> {
    let mut message = Message::default();
    let [server_name, boot_file, options] = fixed(bytes, &mut message)?;
    let mut own = Own::default();
    message.damaged = own.options(options, &mut message).is_err();
    // Options may go on in the fields of the boot file and of the server's name (RFC 2132 §9.3, RFC 2131 §4.1).
    if own.overload & 1 != 0 {
        message.damaged |= own.options(boot_file, &mut message).is_err();
    }
    if own.overload & 2 != 0 {
        message.damaged |= own.options(server_name, &mut message).is_err();
    }
    message.name = if own.full_name.is_empty() {
        own.host_name
    } else {
        own.full_name
    };
    Ok(message)
}

/// The fixed part; gives the fields of the server's name and of the boot file, and the options.
fn fixed<'a>(bytes: &'a [u8], message: &mut Message<'a>) -> Result<[&'a [u8]; 3], DhcpError> {
    let mut reader = Reader::new(bytes);
    let mut fields = || -> Result<_, Truncated> {
        let [operation, hardware, hardware_len, _hops] = reader.array()?;
        message.from_server = operation == 2;
        message.id = reader.u32()?;
        reader.skip(4)?;
        let (client, yours) = (reader.array()?, reader.array()?);
        message.client_address = address(client);
        message.assigned_address = address(yours);
        reader.skip(8)?;
        let link: [u8; 16] = reader.array()?;
        if (hardware, hardware_len) == (ETHERNET, 6) {
            message.mac = link.first_chunk().copied().filter(|mac| mac != &[0; 6]);
        }
        Ok((operation, reader.take(64)?, reader.take(128)?))
    };
    let (operation, server_name, boot_file) = fields().map_err(|Truncated| DhcpError::Short)?;
    if !matches!(operation, 1 | 2) {
        return Err(DhcpError::NoMessage);
    }
    // BOOTP without the magic number has no options that could be read.
    let options = match reader.array::<4>() {
        Ok(MAGIC) => reader.rest(),
        _ => &[],
    };
    Ok([server_name, boot_file, options])
}

/// What is put together over all options.
#[derive(Default)]
struct Own {
    read: u32,
    overload: u8,
    host_name: ShortText,
    full_name: ShortText,
}

impl Own {
    fn options<'a>(&mut self, bytes: &'a [u8], message: &mut Message<'a>) -> Result<(), Truncated> {
        const PAD: u8 = 0;
        const END: u8 = 255;
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let code = reader.u8()?;
            match code {
                PAD => continue,
                END => return Ok(()),
                _ => {}
            }
            let len = reader.u8()?;
            let value = reader.take(usize::from(len))?;
            self.read = self.read.saturating_add(1);
            if self.read > OPTIONS_MAX {
                return Err(Truncated);
            }
            self.option(code, value, message);
        }
        Ok(())
    }

    /// An option that is read. One of a wrong length says nothing.
    fn option<'a>(&mut self, code: u8, value: &'a [u8], message: &mut Message<'a>) {
        match (code, value) {
            (12, _) => self.host_name = text_name(value),
            (50, _) => message.requested_address = value.try_into().ok().and_then(address),
            (51, _) => message.lease_seconds = value.try_into().ok().map(u32::from_be_bytes),
            (52, [overload]) => self.overload = *overload,
            (53, [kind]) => message.kind = Some(of_number(*kind)),
            (60, _) => message.vendor_class = value,
            (61, _) => message.client_id = value,
            // RFC 4702 §2: flags, two bytes without meaning, and the name; bit 2 of the flags says how it is written.
            (81, [flags, _, _, name @ ..]) => {
                self.full_name = if flags & 4 == 0 {
                    text_name(name)
                } else {
                    wire_name(name)
                };
            }
            _ => {}
        }
    }
}

/// RFC 2132 §9.6.
const fn of_number(kind: u8) -> DhcpType {
    match kind {
        1 => DhcpType::Discover,
        2 => DhcpType::Offer,
        3 => DhcpType::Request,
        4 => DhcpType::Decline,
        5 => DhcpType::Ack,
        6 => DhcpType::Nak,
        7 => DhcpType::Release,
        8 => DhcpType::Inform,
        _ => DhcpType::Other,
    }
}

/// An address as IPv6 writes it; zeros are none.
fn address(bytes: [u8; 4]) -> Option<[u8; 16]> {
    let [a, b, c, d] = bytes;
    (bytes != [0; 4]).then_some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
}
