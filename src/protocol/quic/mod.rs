//! Datagrams of QUIC → the server name in its client's hello (RFC 9000, RFC 9001, RFC 9369; drafts 22 to 34; Google's Q0xx, T050
//! and T051; Facebook's).
//!
//! A client's first packets are protected by keys that anybody can derive from their connection id. [`Client`] derives them,
//! opens the packets and puts the hello together from its pieces.

mod client;
mod crypto;
mod frames;
mod google;
mod header;
mod keys;
mod version;

#[cfg(test)]
mod tests;

pub use client::{Client, Look, Opener, Taken};
pub use crypto::CryptoStream;
pub use header::{INITIAL_DATAGRAM_MIN, first_connection_id, may_be_first};
pub use version::Version;

/// Takes datagrams, each behind its length, in their order and the other way round: a name that both give is the same. The target
/// that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
pub fn fuzz_datagrams(input: &[u8]) {
    let mut datagrams = Vec::new();
    let mut rest = input;
    while let Some((len, behind)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_le_bytes(*len)).min(behind.len());
        let (datagram, behind) = behind.split_at_checked(len).unwrap_or((behind, &[]));
        datagrams.push(datagram);
        rest = behind;
    }
    let mut opener = Opener::default();
    let mut client = Client::default();
    for datagram in datagrams {
        let _ = may_be_first(datagram);
        let taken = client.take(&mut opener, datagram, usize::MAX);
        assert!(taken.opened <= 8 && client.held_bytes() <= CryptoStream::BYTES_MAX as usize);
        let server_name = match client.look() {
            Look::Hello(hello) => hello.server_name,
            Look::GoogleHello(name) => name,
            Look::Begins | Look::Other => continue,
        };
        if let crate::protocol::tls::ServerName::Name(name) = server_name {
            assert!(!name.is_empty() && name.len() <= 255);
        }
    }
}
