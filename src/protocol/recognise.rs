//! stub
use crate::model::AppProtocol;
/// x
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Transport { /// x
 Tcp, /// x
 Udp }
/// x
pub fn recognise(t:Transport,a:u16,b:u16,p:&[u8])->Option<AppProtocol>{
    let port = |n| a==n||b==n;
    match t {
        Transport::Udp if super::dns::looks_like_message(p) => Some(if port(5353) {AppProtocol::Mdns} else if port(5355) {AppProtocol::Llmnr} else if port(137) {AppProtocol::Nbns} else {AppProtocol::Dns}),
        Transport::Udp if port(5353) => Some(AppProtocol::Mdns),
        Transport::Tcp if super::http1::look_response(p).is_some() => Some(AppProtocol::Http),
        Transport::Tcp if super::tls::looks_like_record(p) => Some(AppProtocol::Tls),
        _ => None }
}
