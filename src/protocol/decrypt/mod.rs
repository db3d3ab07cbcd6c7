//! A TLS session and its secrets → what the client says inside (RFC 8446; RFC 5246, RFC 5288, RFC 7905).
//!
//! For the analyst who has the secrets, from a key log or from the capture itself. TLS 1.2 and 1.3 with AES-GCM and ChaCha20-Poly1305
//! are read; what is not says why. All cryptography is the library's.
//!
//! **Invariants**: key material leaves this folder in no way; bytes in any pieces give the same; at most a record and a certificate
//! of each direction are held.

mod keylog;
mod opener;
mod record;
mod session;
mod suite;

#[cfg(test)]
mod tests;

pub use keylog::{Adding, KeyCounters, KeyStore, LINE_BYTES_MAX, LineKind, Secrets};
pub use session::{Session, ShownCertificate};

use super::tls::{ClientHello, HelloTransport};

/// Reads any bytes as a key log, and any as both streams of a session, in one piece and in two: the target that fuzzing calls.
///
/// Two lengths of two bytes say where the log and the client's stream end. Nothing that is held grows beyond its bounds.
///
/// # Panics
///
/// When what it checks does not hold.
pub fn fuzz_session(bytes: &[u8], cut: usize) {
    /// Version, random number, no session id, one suite, no compression.
    const HELLO: [u8; 41] = {
        let mut hello = [3; 41];
        (hello[34], hello[35], hello[36]) = (0, 0, 2);
        (hello[37], hello[38]) = (0x13, 1);
        (hello[39], hello[40]) = (1, 0);
        hello
    };
    /// A record, what was tried on it, and a certificate.
    const HELD_BYTES_MAX: usize = 200 << 10;
    let Some(([l0, l1, c0, c1], bytes)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let split = |bytes, l0: &u8, l1: &u8| {
        let len = usize::from(u16::from_le_bytes([*l0, *l1]));
        <[u8]>::split_at_checked(bytes, len).unwrap_or((bytes, &[]))
    };
    let (log, bytes) = split(bytes, l0, l1);
    let (client, server) = split(bytes, c0, c1);
    let mut store = KeyStore::new(4);
    store.add_block(log);
    let again = store.add_block(log);
    assert!(!again, "what is known is not new");
    let Some(hello) = ClientHello::of_body(&HELLO, HelloTransport::Tcp) else {
        return;
    };
    let secrets = Session::client_random(&hello).and_then(|random| store.secrets(&random));
    let read = |cut: usize| {
        let mut session = Session::default();
        session.begin(&hello, secrets.unwrap_or_default());
        let mut said = Vec::new();
        let mut shown = 0u32;
        let (head, tail) = server.split_at_checked(cut).unwrap_or((server, &[]));
        for piece in [head, tail] {
            session.server(piece, &mut |_| shown = shown.saturating_add(1));
        }
        let (head, tail) = client.split_at_checked(cut).unwrap_or((client, &[]));
        let mut ended = Ok(());
        for piece in [head, tail] {
            ended = session.client(piece, &mut |bytes| said.extend_from_slice(bytes));
        }
        assert!(session.held_bytes() <= HELD_BYTES_MAX);
        (said, shown, ended.err())
    };
    assert!(read(0) == read(cut), "pieces and whole differ");
}
