"""Turns recorded TLS connections into tunnels.pcap: each inside another tunnel, or cut into IP fragments in another way.

Every wrapping has a name of its own, for which OpenSSL made a real connection. The first bytes of both sides are laid out
in packets again, and each packet is wrapped as the specification of the tunnel says. What tshark calls the layers stands beside each.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from deliveries import BEGIN_NS, HOSTS, SERVER4, SERVER6, record
from namespaces import mac_of
from packets import ACK, FIN, PSH, SYN, Side, ethernet, hello_length, internet, internet_checksum, packed, segment
from pcapfile import ETHERNET, Frame, pcap_bytes

CLIENT = "openssl"
NEAR, FAR, NEAR6, FAR6 = "198.51.100.1", "198.51.100.2", "2001:db8:51::1", "2001:db8:51::2"
TEREDO = "2001:0:c633:6401:0:3f57:3f57:3f57"
MACS = bytes.fromhex("02000a0a0b02" "02000a0a0b01")


def ip(protocol: int, payload: bytes, ends: tuple[str, str], identifier: int = 1) -> bytes:
    """A packet of either version, by its addresses."""
    source, target = map(packed, ends)
    if ":" in ends[0]:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + source + target + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), identifier, 0, 64, protocol, 0) + source + target
    return head[:10] + struct.pack("!H", internet_checksum(head)) + head[12:] + payload


def udp(source: int, target: int, payload: bytes, ends: tuple[str, str]) -> bytes:
    head = struct.pack("!HHHH", source, target, 8 + len(payload), 0)
    pseudo = packed(ends[0]) + packed(ends[1]) + struct.pack("!IHH" if ":" in ends[0] else "!HH", *((8 + len(payload), 0, 17) if ":" in ends[0] else (17, 8 + len(payload))))
    check = internet_checksum(pseudo + head + payload) or 0xFFFF
    return ip(17, head[:6] + struct.pack("!H", check) + payload, ends)


def kind(packet: bytes) -> bytes:
    return b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"


def frame(packet: bytes, before: bytes = b"") -> bytes:
    """An Ethernet frame; `before` are shims with their EtherTypes."""
    return MACS + before + kind(packet) + packet


def ppp(packet: bytes) -> bytes:
    return (b"\x00\x57" if packet[0] >> 4 == 6 else b"\x00\x21") + packet


def gre(flags: int, protocol: int, options: bytes, payload: bytes, ends=(NEAR, FAR)) -> bytes:
    return frame(ip(47, struct.pack("!HH", flags, protocol) + options + payload, ends))


def gre_with_checksum(packet: bytes) -> bytes:
    body = struct.pack("!HHHHI", 0xB000, 0x0800, 0, 0, 7) + struct.pack("!I", 9) + packet
    return frame(ip(47, body[:4] + struct.pack("!H", internet_checksum(body)) + body[6:], (NEAR, FAR)))


def over_udp(port: int, payload: bytes, ends=(NEAR, FAR)) -> bytes:
    return frame(udp(50000, port, payload, ends))


def mpls(*labels: int) -> bytes:
    return b"".join(struct.pack("!I", label << 12 | (number == len(labels) - 1) << 8 | 64) for number, label in enumerate(labels))


def wireless(packet: bytes, control: str = "0801") -> bytes:
    """Data from a station to its access point, and SNAP; some controllers write the two bytes of `control` the other way round."""
    return bytes.fromhex(control + "0000 02000a0a0c01 02000a0a0c02 02000a0a0c03 1000 aaaa03000000".replace(" ", "")) + kind(packet) + packet


def pieces(packet: bytes, size: int, identifier: int) -> list[bytes]:
    """IP fragments with `size` bytes each, a multiple of eight."""
    six = packet[0] >> 4 == 6
    head, body = (packet[:40], packet[40:]) if six else (packet[:20], packet[20:])
    found = []
    for at in range(0, len(body), size):
        part, more = body[at : at + size], at + size < len(body)
        if six:
            found.append(head[:4] + struct.pack("!HB", 8 + len(part), 44) + head[7:] + struct.pack("!BBHI", head[6], 0, at | more, identifier) + part)
        else:
            cut = head[:2] + struct.pack("!HHH", 20 + len(part), identifier, more << 13 | at // 8) + head[8:10] + b"\0\0" + head[12:]
            found.append(cut[:10] + struct.pack("!H", internet_checksum(cut)) + cut[12:] + part)
    return found


def overlapping(packet: bytes, identifier: int) -> list[bytes]:
    """The second fragment once more with other bytes, eight of them over the end of the first, before it comes itself."""
    first, second, *rest = pieces(packet, 128, identifier)
    six = packet[0] >> 4 == 6
    length = 48 if six else 20
    forged = bytearray(second[:length] + bytes(8) + second[length:])
    if six:
        forged[4:6] = struct.pack("!H", len(forged) - 40)
        forged[42:44] = struct.pack("!H", 120 | 1)
    else:
        forged[2:4], forged[6:8], forged[10:12] = struct.pack("!H", len(forged)), struct.pack("!H", 1 << 13 | 15), b"\0\0"
        forged[10:12] = struct.pack("!H", internet_checksum(bytes(forged[:20])))
    return [first, bytes(forged), second, *rest]


@dataclass(frozen=True)
class Case:
    """A wrapping: what it makes of an IP packet, the layers by avscope's words, and by tshark's."""

    name: str
    layers: str
    tshark: str
    wrap: object
    six: bool = False
    unnamed: str | None = None
    fragmented: bool = False

    @property
    def host(self) -> str:
        return f"{self.name}.tunnels.example"


def each(wrap):
    return lambda packet, _number: [wrap(packet)]


def cut(wrap, order=lambda found: found):
    """Fragments of the packet, each wrapped."""
    return lambda packet, number: [wrap(piece) for piece in order(pieces(packet, 128, 1000 + number))]


def cut_outer(wrap):
    """The wrapped packet in fragments."""
    return lambda packet, number: [frame(piece) for piece in pieces(wrap(packet)[14:], 128, 2000 + number)]


h = bytes.fromhex
ERSPAN2, ERSPAN3 = h("00000001 1001 0001 00000001".replace(" ", "")), h("00000001 2001 0001 00000000 0000 0000".replace(" ", ""))
VXLAN = h("0800000000000500")

CASES = [
    Case("plain", "", "eth:ethertype:ip:tcp", each(frame)),
    Case("vlan", "vlan", "vlan:ethertype:ip", each(lambda p: frame(p, h("81000014")))),
    Case("qinq", "qinq vlan", "ieee8021ad:", each(lambda p: frame(p, h("88a8012c81000014")))),
    Case("backbone", "pbb", "ieee8021ah", each(lambda p: MACS + h("88e700000064") + frame(p))),
    Case("mpls", "mpls", "mpls:ip", each(lambda p: MACS + h("8847") + mpls(16, 17) + p)),
    Case("pseudowire", "mpls", "mpls:pwethheuristic:pwethcw:eth", each(lambda p: MACS + h("8847") + mpls(18) + bytes(4) + frame(p))),
    Case("pppoe", "pppoe", "pppoes:ppp:ip", each(lambda p: MACS + h("886411000001") + struct.pack("!H", len(ppp(p))) + ppp(p))),
    Case("vn-tag", "vn_tag", "vntag:", each(lambda p: frame(p, h("892600000000")))),
    Case("cisco-metadata", "cisco_metadata", "cmd:", each(lambda p: frame(p, h("8909010100010005")))),
    Case("nsh", "nsh", "nsh:", each(lambda p: MACS + h("894f0fc2020100000100") + p)),
    Case("gre", "gre", "gre:ip", each(lambda p: gre(0, 0x0800, b"", p))),
    Case("gre-options", "gre", "gre:ip", each(gre_with_checksum)),
    Case("pptp", "gre", "gre:ppp:ip", each(lambda p: gre(0x3081, 0x880B, struct.pack("!HHII", len(ppp(p)) + 2, 7, 1, 1), b"\xff\x03" + ppp(p)))),
    Case("erspan-1", "erspan", "gre:erspan:eth", each(lambda p: gre(0, 0x88BE, b"", frame(p)))),
    Case("erspan-2", "erspan", "gre:erspan:eth", each(lambda p: gre(0x1000, 0x88BE, ERSPAN2, frame(p)))),
    Case("erspan-2-vlan", "erspan vlan", "gre:erspan:eth:ethertype:vlan", each(lambda p: gre(0x1000, 0x88BE, ERSPAN2, frame(p, h("81000014"))))),
    Case("erspan-3", "erspan", "gre:erspan:eth", each(lambda p: gre(0x1000, 0x22EB, ERSPAN3, frame(p)))),
    Case("erspan-3-platform", "erspan", "gre:erspan:eth", each(lambda p: gre(0x1000, 0x22EB, ERSPAN3[:-1] + b"\x01" + h("0800000000000000"), frame(p)))),
    Case("nvgre", "nvgre", "gre:eth", each(lambda p: gre(0x2000, 0x6558, h("00138801"), frame(p)))),
    Case("vxlan", "vxlan", "udp:vxlan:eth", each(lambda p: over_udp(4789, VXLAN + frame(p)))),
    Case("vxlan-8472", "vxlan", "", each(lambda p: over_udp(8472, VXLAN + frame(p)))),
    Case("vxlan-gpe", "vxlan_gpe", "udp:ip:tcp", each(lambda p: over_udp(4790, h("0c00000100000500") + p))),
    Case("vxlan-gpe-nsh", "vxlan_gpe nsh", "udp:nsh:ip", each(lambda p: over_udp(4790, h("0c000004000005000fc2020100000100") + p))),
    Case("geneve", "geneve", "geneve:eth", each(lambda p: over_udp(6081, h("0200655800000500" "0102030100000001") + frame(p)))),
    Case("ip-in-ip", "ip_in_ip", "ip:ip:tcp", each(lambda p: frame(ip(4, p, (NEAR, FAR))))),
    Case("ipv4-in-ipv6", "ip_in_ip", "ipv6:ip:tcp", each(lambda p: frame(ip(4, p, (NEAR6, FAR6))))),
    Case("6in4", "ipv6_in_ip", "ip:ipv6:tcp", each(lambda p: frame(ip(41, p, (NEAR, FAR)))), six=True),
    Case("ether-ip", "ether_ip", "etherip:eth", each(lambda p: frame(ip(97, h("3000") + frame(p), (NEAR, FAR))))),
    Case("ah", "ah", "ah:tcp", each(lambda p: frame(ip(51, h("06040000000000010000000100000000" "0000000000000000") + p[20:], (socket_text(p[12:16]), socket_text(p[16:20])))))),
    Case("teredo", "teredo", "teredo:ipv6", each(lambda p: over_udp(3544, p)), six=True),
    Case("teredo-origin", "teredo", "teredo:ipv6", each(lambda p: over_udp(3544, h("00010000" "1122334455667788" "00" "0000" "63bff5fffffe") + p)), six=True),
    Case("gtp-u", "gtp_u", "gtp:ip", each(lambda p: over_udp(2152, struct.pack("!BBHI", 0x30, 255, len(p), 1) + p))),
    Case("gtp-u-extended", "gtp_u", "gtp:ip", each(lambda p: over_udp(2152, struct.pack("!BBHI", 0x34, 255, 8 + len(p), 1) + h("0000008501100100") + p))),
    Case("l2tp", "l2tp", "l2tp:ppp:ip", each(lambda p: over_udp(1701, h("000200010002ff03") + ppp(p)))),
    Case("l2tp-length", "l2tp", "l2tp:ppp:ip", each(lambda p: over_udp(1701, h("4802") + struct.pack("!HHHHH", 14 + len(ppp(p)), 1, 2, 3, 4) + h("ff03") + ppp(p)))),
    Case("l2tpv3", "l2tpv3", "", each(lambda p: frame(ip(115, h("00000009") + frame(p), (NEAR, FAR))))),
    # tshark takes the frame control for swapped unless told otherwise.
    Case("capwap", "capwap", "", each(lambda p: over_udp(5247, h("0010030000000000") + wireless(p)))),
    Case("capwap-swapped", "capwap", "capwap.data:wlan", each(lambda p: over_udp(5247, h("0010030000000000") + wireless(p, "0108")))),
    # Several layers over each other.
    Case("mirrored-overlay", "vlan erspan qinq vlan vxlan", "erspan:", each(lambda p: MACS + h("81000014") + gre(0x1000, 0x88BE, ERSPAN2, frame(over_udp(4789, VXLAN + frame(p))[14:], h("88a8012c81000014")))[12:])),
    Case("subscriber", "vlan mpls pppoe", "mpls:", each(lambda p: MACS + h("810000148847") + mpls(16) + bytes(4) + MACS + h("886411000001") + struct.pack("!H", len(ppp(p))) + ppp(p))),
    Case("gtp-in-ipv6", "gtp_u", "ipv6:udp:gtp:ip", each(lambda p: over_udp(2152, struct.pack("!BBHI", 0x30, 255, len(p), 1) + p, (NEAR6, FAR6)))),
    # IP fragments.
    Case("fragments", "", "ip:tcp", cut(frame), fragmented=True),
    Case("fragments-reversed", "", "ip:tcp", cut(frame, lambda found: found[::-1]), fragmented=True),
    Case("fragments-doubled", "", "", cut(frame, lambda found: [piece for piece in found for _ in (0, 1)]), fragmented=True),
    Case("fragments-overlapping", "", "", lambda p, n: [frame(piece) for piece in overlapping(p, 1000 + n)], fragmented=True),
    Case("fragments-missing", "", "", cut(frame, lambda found: found[:1] + found[2:]), fragmented=True, unnamed="lost"),
    Case("fragments-ipv6", "", "ipv6:", cut(frame), six=True, fragmented=True),
    Case("fragments-ipv6-overlapping", "", "", lambda p, n: [frame(piece) for piece in overlapping(p, 1000 + n)], six=True, fragmented=True, unnamed="lost"),
    Case("fragments-in-vxlan", "vxlan", "vxlan:eth:ethertype:ip", cut(lambda p: over_udp(4789, VXLAN + frame(p)), lambda found: found[::-1]), fragmented=True),
    Case("vxlan-in-fragments", "vxlan", "vxlan:eth:ethertype:ip", cut_outer(lambda p: over_udp(4789, VXLAN + frame(p))), fragmented=True),
    Case("gre-in-fragments", "gre", "gre:ip", cut_outer(lambda p: gre(0, 0x0800, b"", p)), fragmented=True),
    Case("fragments-in-fragments", "ip_in_ip", "", lambda p, n: [frame(piece) for number, whole in enumerate(pieces(p, 256, 1000 + n)) for piece in pieces(ip(4, whole, (NEAR, FAR), 3000 + number), 128, 3000 + number)], fragmented=True),
]


def socket_text(address: bytes) -> str:
    return ".".join(map(str, address))


def lay_out(case: Case, number: int, talk, now: int) -> tuple[list[Frame], Side, Side]:
    """Handshake, hello and the first record of the answer; the hello alone is cut where the case is about fragments."""
    host, four, six = HOSTS[CLIENT]
    source = Side(mac_of(host), six if case.six else four, 51000 + number)
    target = Side(mac_of(1), SERVER6 if case.six else SERVER4, 443)
    if case.name.startswith("teredo"):
        source = Side(source.mac, TEREDO, source.port)
    hello = talk.client[: hello_length(talk.client)]
    answer = talk.server[: 5 + struct.unpack("!H", talk.server[3:5])[0]]
    one, other = 1_000_000_007 * (number + 1) % (1 << 31), 3_000_000_019
    sent = [
        (True, 0, 0, SYN, b""), (False, 0, 1, SYN | ACK, b""), (True, 1, 1, ACK, b""), (True, 1, 1, ACK | PSH, hello),
        (False, 1, 1 + len(hello), ACK | PSH, answer), (True, 1 + len(hello), 1 + len(answer), FIN | ACK, b""),
        (False, 1 + len(answer), 2 + len(hello), FIN | ACK, b""), (True, 2 + len(hello), 2 + len(answer), ACK, b""),
    ]
    frames = []
    for place, (up, at, acknowledged, flags, payload) in enumerate(sent):
        ends = (source, target) if up else (target, source)
        base = (one, other) if up else (other, one)
        body = segment(*ends, base[0] + at, base[1] + acknowledged if flags & ACK else 0, flags, payload)
        packet = bytearray(internet(*ends, body, 100 * number + place))
        if not case.six:
            # Without "don't fragment", and the checksum of that.
            packet[6:8], packet[10:12] = b"\0\0", b"\0\0"
            packet[10:12] = struct.pack("!H", internet_checksum(bytes(packet[:20])))
        whole = case.fragmented and payload != hello and not case.layers
        for data in [frame(bytes(packet))] if whole else case.wrap(bytes(packet), 100 * number + place):
            now += 100_000
            frames.append(Frame.whole(now, data))
        now += 1_000_000
    return frames, source, target


def compose(out: Path, scratch: Path, rustls: Path) -> Path:
    """Composes tunnels.pcap and writes what to expect of it; gives the capture's path."""
    talks = record(scratch, rustls, [case.host for case in CASES], "tunnels", (CLIENT,))
    frames: list[Frame] = []
    cases = []
    now = BEGIN_NS
    for number, case in enumerate(CASES):
        own, source, target = lay_out(case, number, talks[CLIENT, case.host], now)
        frames += own
        now = own[-1].time_ns + 10_000_000
        cases.append({"case": case.name, "name": case.host, "named": case.unnamed is None, "layers": case.layers.split(), "tshark": case.tshark,
                      "src_ip": source.address, "src_port": source.port, "dest_ip": target.address, "dest_port": target.port, "packets": len(own)})
    keys = ("src_ip", "src_port", "dest_ip", "dest_port")
    expected = {
        "capture": "tunnels.pcap",
        "composed_by": "pcaps/compose/compose.py",
        "packets": len(frames),
        "names": [{"kind": "tls_sni", "name": entry["name"], **{key: entry[key] for key in keys}, "count": 1} for entry in cases if entry["named"]],
        "unnamed": [{"case": entry["case"], **{key: entry[key] for key in keys}} for entry in cases if not entry["named"]],
        "tunnels": cases,
        "contacts": [],
        "flows": {"tcp": len(cases)},
        "notes": [
            "the bytes of the hellos and of the answers are real recordings; the packets around them are composed",
            "layers are avscope's words, tshark is what its protocols of the frame with the hello must hold; empty where it does not open it as sent",
        ],
    }
    (out / "tunnels.pcap").write_bytes(pcap_bytes(frames, ETHERNET))
    (out / "tunnels.expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    return out / "tunnels.pcap"
