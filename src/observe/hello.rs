//! A ClientHello that was read → what it means for its flow, whatever it travelled in.

use super::Message;
use crate::flow::{FlowEntry, FlowFlags};
use crate::model::Coverage;
use crate::protocol::tls::{ClientHello, HelloTransport, ServerName};

/// Shows the hello; of its flow nothing more of the client's is read. Over TCP the server is listened to from here on.
#[inline]
pub(super) fn conclude(
    entry: &mut FlowEntry,
    hello: &ClientHello<'_>,
    show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
) {
    if hello.transport == HelloTransport::Tcp {
        entry.flags.set(FlowFlags::SERVER_WANTED);
        entry.looked_at = 0;
    }
    conclude_name(entry, hello.server_name, hello.ech_offered);
    show(entry, Message::Hello(hello));
}

/// The name of a hello, whatever it was read from, says where its flow stands; nothing more of the client's is read.
#[inline]
pub(super) fn conclude_name(entry: &mut FlowEntry, server_name: ServerName<'_>, ech_offered: bool) {
    if ech_offered {
        entry.flags.set(FlowFlags::ECH_OFFERED);
    }
    match server_name {
        ServerName::Name(_) => entry.flags.set(FlowFlags::INSPECTED),
        ServerName::Address(_) => finish(entry, Coverage::SniIsAddress),
        ServerName::Absent | ServerName::TooLong if ech_offered => {
            finish(entry, Coverage::EchOffered);
        }
        ServerName::Absent | ServerName::TooLong => finish(entry, Coverage::SniAbsent),
    }
}

/// Says why there is no name, unless there is one.
#[inline]
pub(super) fn settle(entry: &mut FlowEntry, coverage: Coverage) {
    if !matches!(
        entry.coverage(),
        Coverage::Attributed
            | Coverage::NamedNotSecurity
            | Coverage::EchOffered
            | Coverage::SniIsAddress
            | Coverage::HostAbsent
            | Coverage::Proxied
    ) {
        entry.set_coverage(coverage);
    }
}

/// Nothing more is to be read of the client: the coverage says why there is no name.
#[inline]
pub(super) fn finish(entry: &mut FlowEntry, coverage: Coverage) {
    entry.flags.set(FlowFlags::INSPECTED);
    settle(entry, coverage);
}
