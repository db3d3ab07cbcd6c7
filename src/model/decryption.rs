//! Why a TLS session whose secrets were asked for was not read, or not to its end.

use super::closed_set::closed_set;

closed_set! {
    /// Why a TLS session was not decrypted, or not to its end.
    pub enum DecryptFailure {
        /// No secret is known for the client's random number, or not all that it takes.
        NoKey = "no_key",
        /// Keys of TLS 1.2 take the server's random number, and its hello was not seen.
        NoServerHello = "no_server_hello",
        /// A version before TLS 1.2.
        UnsupportedVersion = "unsupported_version",
        /// A cipher suite that is not read.
        UnsupportedSuite = "unsupported_suite",
        /// Part of the client's stream never came by: what follows cannot be opened.
        Lost = "lost",
        /// A tag did not hold: a wrong secret, or bytes that were changed.
        TagFailed = "tag_failed",
        /// The client began a second handshake inside the first session.
        Renegotiated = "renegotiated",
        /// There was no room.
        NoRoom = "no_room",
        /// Bytes that are no records of TLS.
        Malformed = "malformed",
        /// Opened, and what is inside is neither HTTP/1 nor HTTP/2.
        OtherProtocol = "other_protocol",
    }
}
