//! What lies around a packet, outermost first, in one word of memory.

use std::fmt;

use crate::model::closed_set;

/// Layers that are taken off: tags, labels, tunnels. A mirrored, tagged, labelled pseudowire that carries an overlay with tags of its
/// own has eight; more is a loop or an attack, and twelve fit one word.
pub const LAYERS_MAX: usize = 12;

closed_set! {
    /// A layer around a packet.
    pub enum TunnelKind {
        /// A VLAN tag (IEEE 802.1Q), also with the numbers 0x9100 and 0x9200.
        Vlan = "vlan",
        /// A service tag (IEEE 802.1ad).
        Qinq = "qinq",
        /// A backbone frame (IEEE 802.1ah).
        Pbb = "pbb",
        /// A stack of MPLS labels (RFC 3032), with IP or an Ethernet pseudowire (RFC 4448) in it; also over UDP (RFC 7510).
        Mpls = "mpls",
        /// A PPPoE session (RFC 2516).
        Pppoe = "pppoe",
        /// A VN-tag (IEEE 802.1BR's forerunner).
        VnTag = "vn_tag",
        /// Cisco metadata with a security group.
        CiscoMetadata = "cisco_metadata",
        /// Network service header (RFC 8300).
        Nsh = "nsh",
        /// GRE (RFC 2784, RFC 2890, RFC 1701; version 1 of PPTP, RFC 2637).
        Gre = "gre",
        /// ERSPAN I, II or III in GRE: a switch's mirror port across a network.
        Erspan = "erspan",
        /// NVGRE (RFC 7637): GRE with a key and Ethernet in it.
        Nvgre = "nvgre",
        /// VXLAN (RFC 7348).
        Vxlan = "vxlan",
        /// VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe).
        VxlanGpe = "vxlan_gpe",
        /// GENEVE (RFC 8926).
        Geneve = "geneve",
        /// IPv4 in IP (RFC 2003).
        IpInIp = "ip_in_ip",
        /// IPv6 in IP (RFC 4213, RFC 2473).
        Ipv6InIp = "ipv6_in_ip",
        /// Ethernet in IP (RFC 3378).
        EtherIp = "ether_ip",
        /// Authentication header (RFC 4302); what it protects is in clear.
        Ah = "ah",
        /// Teredo (RFC 4380).
        Teredo = "teredo",
        /// GTP-U (3GPP TS 29.281).
        GtpU = "gtp_u",
        /// L2TP version 2 (RFC 2661).
        L2tp = "l2tp",
        /// L2TP version 3 (RFC 3931), over UDP or IP.
        L2tpV3 = "l2tpv3",
        /// CAPWAP data (RFC 5415).
        Capwap = "capwap",
    }
}

const BITS: usize = 5;
/// There is more inside, and it was not looked at.
const TOO_DEEP: u64 = 1 << 63;

const _: () = assert!(TunnelKind::COUNT < 1 << BITS && LAYERS_MAX * BITS < 63);

/// The layers that a packet was taken out of, outermost first; empty for a plain one.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TunnelPath(u64);

impl TunnelPath {
    /// No layer.
    pub const NONE: Self = Self(0);

    /// One VLAN tag, which every other mirror port adds.
    pub const VLAN: Self = Self(TunnelKind::Vlan as u64 + 1);

    /// Whether there is nothing around the packet, and nothing known inside that was left.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The layers.
    #[inline]
    pub const fn len(self) -> usize {
        let bits = u64::BITS.saturating_sub((self.0 & !TOO_DEEP).leading_zeros());
        (bits as usize).div_ceil(BITS)
    }

    /// With one more layer inside; `None` where there are [`LAYERS_MAX`].
    #[inline]
    pub const fn with(self, kind: TunnelKind) -> Option<Self> {
        let len = self.len();
        if len >= LAYERS_MAX {
            return None;
        }
        let layer = (kind as u64).saturating_add(1);
        Some(Self(self.0 | layer << len.saturating_mul(BITS)))
    }

    /// The layers behind those of `outer`, which this path begins with.
    #[must_use]
    pub const fn behind(self, outer: Self) -> Self {
        Self(self.0 & TOO_DEEP | (self.0 & !TOO_DEEP) >> outer.len().saturating_mul(BITS))
    }

    /// The same, and that the packet holds another which was left where it is.
    #[must_use]
    pub const fn too_deep(self) -> Self {
        Self(self.0 | TOO_DEEP)
    }

    /// Whether the packet holds another, beyond [`LAYERS_MAX`].
    #[inline]
    pub const fn is_too_deep(self) -> bool {
        self.0 & TOO_DEEP != 0
    }

    /// The layers, outermost first.
    pub fn layers(self) -> impl Iterator<Item = TunnelKind> {
        (0..LAYERS_MAX).map_while(move |at| {
            let layer = self.0 >> at.saturating_mul(BITS) & 0x1f;
            TunnelKind::ALL
                .get((layer as usize).checked_sub(1)?)
                .copied()
        })
    }
}

impl fmt::Debug for TunnelPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.layers().map(TunnelKind::as_str);
        formatter.debug_list().entries(words).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_come_out_as_they_went_in_and_no_more_than_fit() {
        let mut path = TunnelPath::NONE;
        assert!(path.is_empty());
        assert_eq!(path.with(TunnelKind::Vlan), Some(TunnelPath::VLAN));
        let mut kinds = Vec::new();
        for kind in TunnelKind::ALL.iter().rev().take(LAYERS_MAX) {
            kinds.push(*kind);
            path = path.with(*kind).unwrap();
            assert_eq!(path.len(), kinds.len());
            assert!(path.layers().eq(kinds.iter().copied()));
        }
        assert_eq!(path.with(TunnelKind::Gre), None);
        let outer = kinds[..5]
            .iter()
            .fold(TunnelPath::NONE, |path, kind| path.with(*kind).unwrap());
        assert!(path.behind(outer).layers().eq(kinds[5..].iter().copied()));
        assert_eq!(path.behind(path), TunnelPath::NONE);
        let deep = path.too_deep();
        assert!(deep.is_too_deep() && deep.len() == LAYERS_MAX && deep.layers().eq(kinds));
    }
}
