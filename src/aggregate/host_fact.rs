//! What a host says of itself, as shards tell it to the ledger.

use super::{FrameRef, TextRef};
use crate::decode::{Address, TunnelPath};
use crate::flow::{Endpoint, FlowId, FlowKey};
use crate::model::{AddressState, DhcpType, HostFactKind, Locality};

/// Something about a host: its address, its address on the link, its name.
///
/// Whoever wants to know a host by more than its address joins these by address or by `mac`: of DHCP the client's name is in its
/// question and the address in the answer.
#[derive(Clone, Copy, Debug)]
pub struct HostFact {
    /// Names the flow.
    pub flow: FlowId,
    /// Position of its first packet.
    pub first_seq: u64,
    /// Both ends and the protocol.
    pub key: FlowKey,
    /// Who sent the message.
    pub source: Endpoint,
    /// To whom.
    pub destination: Endpoint,
    /// On which side of the border the flow runs.
    pub locality: Locality,
    /// What lay around the flow's first packet.
    pub tunnel: TunnelPath,
    /// Where it was read.
    pub kind: HostFactKind,
    /// How the host stands to the address; of no meaning where there is none.
    pub state: AddressState,
    /// The address, IPv4 mapped.
    pub address: Option<Address>,
    /// The address on the link.
    pub mac: Option<[u8; 6]>,
    /// The address on the link that the frame came from: of the host, of the server, or of a router.
    pub source_mac: Option<[u8; 6]>,
    /// The host's name; empty for none.
    pub name: TextRef,
    /// For how many seconds it holds from now on.
    pub lease_seconds: Option<u32>,
    /// The frame that shows it.
    pub frame: FrameRef,
    /// The rest of a DHCP message.
    pub dhcp: Option<DhcpMessage>,
}

/// What a DHCP message says beside.
#[derive(Clone, Copy, Debug)]
pub struct DhcpMessage {
    /// A server sent it.
    pub from_server: bool,
    /// What kind of message; `None` for BOOTP.
    pub kind: Option<DhcpType>,
    /// The number that joins question and answer.
    pub id: u32,
    /// The client's identifier.
    pub client_id: TextRef,
    /// The client's make.
    pub vendor_class: TextRef,
    /// The address that the client has.
    pub client_address: Option<Address>,
    /// The address that the client asks for.
    pub requested_address: Option<Address>,
    /// The address that the server gives.
    pub assigned_address: Option<Address>,
}
