//! The client's bytes in any pieces → its request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Command, HOST_BYTES_MAX, Request, Target};
use crate::protocol::Progress;

/// Methods that are assigned (RFC 1928 §3), and those that anybody may use.
const METHODS_ASSIGNED: u8 = 9;
const METHODS_PRIVATE: u8 = 0x80;
/// More methods nobody offers.
const METHODS_MAX: u8 = 16;
const NO_METHOD: u8 = 0xff;
const GSSAPI: u8 = 1;
const USER_AND_PASSWORD: u8 = 2;
/// A user behind a request of version 4 is not longer.
const USER_BYTES_MAX: u16 = 512;

/// Reads one request. Reused from flow to flow: [`Self::reset`].
#[derive(Debug)]
pub struct SocksClient {
    at: At,
    version: u8,
    command: Command,
    port: [u8; 2],
    host: [u8; HOST_BYTES_MAX],
    host_len: u8,
    is_name: bool,
    /// Enough was read to say that it is SOCKS.
    is_sure: bool,
    methods: Methods,
}

/// Which of the methods that matter here were offered.
#[derive(Clone, Copy, Debug, Default)]
struct Methods {
    gssapi: bool,
    password: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Version,
    MethodCount,
    /// So many methods.
    Methods(u8),
    /// The beginning of a request, or of a negotiation.
    Choice,
    /// The length of the user, or the kind of a token of GSSAPI.
    UserLength,
    /// So many bytes of the user, and then the length of the password.
    User(u8),
    PasswordLength,
    /// So many bytes of the password.
    Password(u8),
    Command5,
    Reserved,
    AddressType,
    NameLength,
    /// So many bytes of an address or name in version 5.
    Host(u8),
    /// The port, and how much of it is there.
    Port5(u8),
    Command4,
    Port4(u8),
    Address4(u8),
    /// The user in version 4: so many bytes were passed over.
    User4(u16),
    Name4,
    Done,
    Mismatch,
}

impl Default for SocksClient {
    fn default() -> Self {
        Self {
            at: At::Version,
            version: 0,
            command: Command::Connect,
            port: [0; 2],
            host: [0; HOST_BYTES_MAX],
            host_len: 0,
            is_name: false,
            is_sure: false,
            methods: Methods::default(),
        }
    }
}

impl SocksClient {
    /// Begins anew.
    pub fn reset(&mut self) {
        self.at = At::Version;
        self.host_len = 0;
        self.is_name = false;
        self.is_sure = false;
        self.methods = Methods::default();
    }

    /// Takes the next bytes; what stands behind the request is given back.
    pub fn feed<'a>(&mut self, mut bytes: &'a [u8]) -> (Progress, &'a [u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            match self.at {
                At::Done | At::Mismatch => break,
                _ => {
                    self.at = self.next(*byte);
                    self.is_sure |= matches!(self.at, At::Choice | At::Done);
                }
            }
            bytes = rest;
        }
        let progress = match self.at {
            At::Done => Progress::Done,
            At::Mismatch => Progress::Mismatch,
            _ => Progress::NeedMore,
        };
        (progress, bytes)
    }

    /// Whether enough was read to say that it is SOCKS, whatever came then.
    pub fn is_sure(&self) -> bool {
        self.is_sure
    }

    /// The request, once [`Progress::Done`].
    pub fn request(&self) -> Option<Request<'_>> {
        if self.at != At::Done {
            return None;
        }
        let host = self.host.get(..usize::from(self.host_len))?;
        let target = if self.is_name {
            // Some clients give an address as if it were a name.
            match std::str::from_utf8(host)
                .ok()
                .and_then(|text| text.parse().ok())
            {
                Some(address) => Target::Address(address),
                None => Target::Name(host),
            }
        } else if let Ok(address) = <[u8; 4]>::try_from(host) {
            Target::Address(IpAddr::V4(Ipv4Addr::from(address)))
        } else {
            let address = <[u8; 16]>::try_from(host).ok()?;
            Target::Address(IpAddr::V6(Ipv6Addr::from(address)))
        };
        Some(Request {
            version: self.version,
            command: self.command,
            target,
            port: u16::from_be_bytes(self.port),
        })
    }

    fn keep(&mut self, byte: u8) -> bool {
        let Some(place) = self.host.get_mut(usize::from(self.host_len)) else {
            return false;
        };
        *place = byte;
        self.host_len = self.host_len.saturating_add(1);
        true
    }

    /// What comes behind one more byte.
    fn next(&mut self, byte: u8) -> At {
        match self.at {
            At::Version => {
                self.version = byte;
                match byte {
                    4 => At::Command4,
                    5 => At::MethodCount,
                    _ => At::Mismatch,
                }
            }
            At::MethodCount | At::Methods(_) | At::Choice => self.greeting(byte),
            At::UserLength | At::User(_) | At::PasswordLength | At::Password(_) => {
                self.credentials(byte)
            }
            At::Command4 | At::Port4(_) | At::Address4(_) | At::User4(_) | At::Name4 => {
                self.version4(byte)
            }
            _ => self.version5(byte),
        }
    }

    fn greeting(&mut self, byte: u8) -> At {
        match self.at {
            At::MethodCount if (1..=METHODS_MAX).contains(&byte) => At::Methods(byte),
            At::Methods(left) => {
                if byte > METHODS_ASSIGNED && byte < METHODS_PRIVATE || byte == NO_METHOD {
                    return At::Mismatch;
                }
                self.methods.gssapi |= byte == GSSAPI;
                self.methods.password |= byte == USER_AND_PASSWORD;
                match left.saturating_sub(1) {
                    0 => At::Choice,
                    left => At::Methods(left),
                }
            }
            // Negotiation of user and password is version 1 (RFC 1929 §2); a request is version 5.
            At::Choice if byte == 1 && self.methods.password => At::UserLength,
            At::Choice if byte == 5 => At::Command5,
            _ => At::Mismatch,
        }
    }

    fn credentials(&mut self, byte: u8) -> At {
        match self.at {
            // A token of GSSAPI begins with the same byte (RFC 1961 §3.3); a user of one letter is rarer.
            At::UserLength if byte == 1 && self.methods.gssapi => At::Mismatch,
            At::UserLength => past(byte, At::User, At::PasswordLength),
            At::User(left) => past(left.saturating_sub(1), At::User, At::PasswordLength),
            At::PasswordLength => past(byte, At::Password, At::Choice),
            At::Password(left) => past(left.saturating_sub(1), At::Password, At::Choice),
            _ => At::Mismatch,
        }
    }

    fn version5(&mut self, byte: u8) -> At {
        match (self.at, byte) {
            (At::Command5, 1..=3) => {
                self.command = match byte {
                    1 => Command::Connect,
                    2 => Command::Bind,
                    _ => Command::UdpAssociate,
                };
                At::Reserved
            }
            (At::Reserved, 0) => At::AddressType,
            (At::AddressType, 1) => At::Host(4),
            (At::AddressType, 4) => At::Host(16),
            (At::AddressType, 3) => {
                self.is_name = true;
                At::NameLength
            }
            (At::NameLength, 1..=255) => At::Host(byte),
            (At::Host(left), _) if self.keep(byte) => {
                past(left.saturating_sub(1), At::Host, At::Port5(0))
            }
            (At::Port5(0), _) => {
                self.port = [byte, 0];
                At::Port5(1)
            }
            (At::Port5(_), _) => {
                self.port = [self.port[0], byte];
                At::Done
            }
            _ => At::Mismatch,
        }
    }

    fn version4(&mut self, byte: u8) -> At {
        match (self.at, byte) {
            (At::Command4, 1) => {
                self.command = Command::Connect;
                At::Port4(0)
            }
            (At::Command4, 2) => {
                self.command = Command::Bind;
                At::Port4(0)
            }
            (At::Port4(0), _) => {
                self.port = [byte, 0];
                At::Port4(1)
            }
            (At::Port4(_), _) => {
                self.port = [self.port[0], byte];
                // No port, no connection; other protocols have zeros here.
                if self.port == [0; 2] {
                    At::Mismatch
                } else {
                    At::Address4(3)
                }
            }
            (At::Address4(left), _) if self.keep(byte) => match left {
                0 => At::User4(0),
                left => At::Address4(left.saturating_sub(1)),
            },
            (At::User4(_), 0) => match self.host.first_chunk::<4>() {
                Some([0, 0, 0, 1..=255]) => {
                    self.host_len = 0;
                    self.is_name = true;
                    At::Name4
                }
                // Nobody is reached at an address that begins with zero.
                Some([0, ..]) | None => At::Mismatch,
                Some(_) => At::Done,
            },
            (At::User4(len), 0x20..=0x7e | 0x80..=0xff) if len < USER_BYTES_MAX => {
                At::User4(len.saturating_add(1))
            }
            (At::Name4, 0) if self.host_len > 0 => At::Done,
            (At::Name4, 0x21..=0x7e | 0x80..=0xff) if self.keep(byte) => At::Name4,
            _ => At::Mismatch,
        }
    }
}

/// So many bytes more, or what stands behind them.
fn past(left: u8, more: impl Fn(u8) -> At, behind: At) -> At {
    if left == 0 { behind } else { more(left) }
}
