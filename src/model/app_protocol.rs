//! stub
use super::closed_set;
closed_set! {
    /// x
    pub enum AppProtocol { /// x
 Tls="tls", /// x
 Http="http", /// x
 Dns="dns", /// x
 Mdns="mdns", /// x
 Llmnr="llmnr", /// x
 Nbns="nbns", /// x
 Quic="quic", /// x
 Dtls="dtls" }
}
/// x
pub enum Carries { /// x
 Names, /// x
 Nothing, /// x
 Packets, /// x
 Encrypted }
impl AppProtocol { /// x
 pub const fn carries(self)->Carries{Carries::Names} }
