//! DHCP for IPv6: a type, a number, and options; relays put the client's message into one of theirs (RFC 8415 §8, §9).

use super::{DhcpError, Message, OPTIONS_MAX, RELAYS_MAX, wire_name};
use crate::model::DhcpType;
use crate::wire::{Reader, Truncated};

const CLIENT_ID: u16 = 1;
const IA_NA: u16 = 3;
const IA_TA: u16 = 4;
const IA_ADDRESS: u16 = 5;
const RELAY_MESSAGE: u16 = 9;
const VENDOR_CLASS: u16 = 16;
const CLIENT_FQDN: u16 = 39;

pub(super) fn parse(bytes: &[u8]) -> Result<Message<'_>, DhcpError> {
    let bytes = behind_relays(bytes)?;
    let mut reader = Reader::new(bytes);
    let kind = reader.u8().map_err(|Truncated| DhcpError::Short)?;
    let id = reader.u24().map_err(|Truncated| DhcpError::Short)?;
    let kind = of_number(kind);
    if kind == DhcpType::Other {
        return Err(DhcpError::NoMessage);
    }
    let mut message = Message {
        from_server: matches!(
            kind,
            DhcpType::Advertise | DhcpType::Reply | DhcpType::Reconfigure
        ),
        kind: Some(kind),
        id,
        ..Message::default()
    };
    let mut read = 0;
    let whole = options(reader.rest(), &mut read, |code, value| {
        option(code, value, &mut message)
    });
    message.damaged = whole.is_err();
    Ok(message)
}

/// The message of the client or the server, out of those of relays.
fn behind_relays(mut bytes: &[u8]) -> Result<&[u8], DhcpError> {
    const RELAYED: [u8; 2] = [12, 13];
    /// Type, hop count, two addresses.
    const RELAY_LEN: usize = 34;
    for _ in 0..=RELAYS_MAX {
        if !bytes.first().is_some_and(|kind| RELAYED.contains(kind)) {
            return Ok(bytes);
        }
        let inside = bytes.get(RELAY_LEN..).ok_or(DhcpError::Short)?;
        let (mut found, mut read) = (None, 0);
        // What is damaged behind the message does not matter.
        let _ = options(inside, &mut read, |code, value| {
            if code == RELAY_MESSAGE {
                found = found.or(Some(value));
            }
            Ok(())
        });
        bytes = found.ok_or(DhcpError::Short)?;
    }
    Err(DhcpError::TooManyRelays)
}

/// Gives each option to `each`; no more than [`OPTIONS_MAX`] in all.
fn options<'a>(
    bytes: &'a [u8],
    read: &mut u32,
    mut each: impl FnMut(u16, &'a [u8]) -> Result<(), Truncated>,
) -> Result<(), Truncated> {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        *read = read.saturating_add(1);
        if *read > OPTIONS_MAX {
            return Err(Truncated);
        }
        let (code, len) = (reader.u16()?, reader.u16()?);
        each(code, reader.take(usize::from(len))?)?;
    }
    Ok(())
}

fn option<'a>(code: u16, value: &'a [u8], message: &mut Message<'a>) -> Result<(), Truncated> {
    match code {
        CLIENT_ID => {
            message.client_id = value;
            message.mac = mac_of(value);
            Ok(())
        }
        // Identifier and two times; identifier alone (RFC 8415 §21.4, §21.5).
        IA_NA => addresses(value.get(12..).ok_or(Truncated)?, message),
        IA_TA => addresses(value.get(4..).ok_or(Truncated)?, message),
        // The number of an enterprise, then classes, each behind its length (RFC 8415 §21.16).
        VENDOR_CLASS => {
            let mut reader = Reader::new(value);
            reader.skip(4)?;
            let len = reader.u16()?;
            message.vendor_class = reader.take(usize::from(len))?;
            Ok(())
        }
        // Flags, then the name (RFC 4704 §4).
        CLIENT_FQDN => {
            message.name = wire_name(value.get(1..).ok_or(Truncated)?);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The first address among the options of an association, with the time for which it is valid (RFC 8415 §21.6).
fn addresses(inside: &[u8], message: &mut Message<'_>) -> Result<(), Truncated> {
    let mut read = 0;
    options(inside, &mut read, |code, value| {
        if code != IA_ADDRESS
            || message.assigned_address.is_some()
            || message.requested_address.is_some()
        {
            return Ok(());
        }
        let mut reader = Reader::new(value);
        let address: [u8; 16] = reader.array()?;
        reader.skip(4)?;
        let valid = reader.u32()?;
        if address == [0; 16] {
            return Ok(());
        }
        if message.from_server {
            message.assigned_address = Some(address);
            message.lease_seconds = Some(valid);
        } else {
            message.requested_address = Some(address);
        }
        Ok(())
    })
}

/// The Ethernet address in a DUID that is made of one (RFC 8415 §11.2, §11.4).
fn mac_of(duid: &[u8]) -> Option<[u8; 6]> {
    match duid {
        [0, 1, 0, 1, _, _, _, _, mac @ ..] | [0, 3, 0, 1, mac @ ..] => mac.try_into().ok(),
        _ => None,
    }
}

/// RFC 8415 §7.3.
const fn of_number(kind: u8) -> DhcpType {
    match kind {
        1 => DhcpType::Solicit,
        2 => DhcpType::Advertise,
        3 => DhcpType::Request,
        4 => DhcpType::Confirm,
        5 => DhcpType::Renew,
        6 => DhcpType::Rebind,
        7 => DhcpType::Reply,
        8 => DhcpType::Release,
        9 => DhcpType::Decline,
        10 => DhcpType::Reconfigure,
        11 => DhcpType::InformationRequest,
        _ => DhcpType::Other,
    }
}
