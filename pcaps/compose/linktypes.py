"""Turns three recorded TLS connections into the folder link-types/: the same flows in every file format and link type.

The frames are re-wrapped (link header, file header, byte order, clock resolution), never changed above the
link layer. expected.json says for each file which packets can be read and which names they hold.
"""

from __future__ import annotations

import json
import random
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import certificates
from clients import Clients, Exchange, run_all
from demo import start_servers
from namespaces import Network, mac_of
from packets import tcp_parts
from pcapfile import (C_HDLC, ETHERNET, FRELAY, IEEE802_11, IPV4, IPV6, LINUX_SLL, LINUX_SLL2, LOOP, NFLOG, NULL, PPP, PPP_HDLC, PRISM, RADIOTAP,
                      RAW, Frame, PcapNg, modified_pcap_bytes, pcap_bytes, read_pcap)
from recording import Recording

PC, SERVER4, SERVER6 = "pc", "203.0.113.20", "2001:db8:20::20"
# (name, client, source, source port, server); the last one has the post-quantum hello and IPv6.
FLOWS = [
    ("one.link-types.example", "openssl", "192.168.10.41", 42001, SERVER4),
    ("two.link-types.example", "curl", "192.168.10.41", 42002, SERVER4),
    ("three.link-types.example", "rustls", "fd5a:10:20:30::41", 42003, SERVER6),
]


@dataclass
class Flow:
    """One connection as it was made, and its frames."""

    name: str
    source: str
    source_port: int
    server: str
    frames: list[Frame]

    def named(self) -> dict:
        return {"kind": "tls_sni", "name": self.name, "src_ip": self.source, "src_port": self.source_port,
                "dest_ip": self.server, "dest_port": 443, "count": 1}


def record(scratch: Path, rustls: Path) -> list[Flow]:
    """Makes the three connections one after the other and sorts the recorded frames by connection."""
    authority, key, files = certificates.make(scratch, [flow[0] for flow in FLOWS])
    recorded = scratch / "link-types.pcap"
    with Network() as network:
        network.add_server_addresses([SERVER4, SERVER6])
        network.add_host(PC, 41, ["192.168.10.41", "fd5a:10:20:30::41"])
        start_servers(network, "servers", {"tls": {"addresses": [SERVER4, SERVER6], "certificates": files, "key": str(key), "port": 443}}, scratch)
        clients = Clients(network, scratch, authority, rustls)

        def visits() -> None:
            for name, client, source, port, server in FLOWS:
                clients.ask(Exchange(PC, source, port, server, 443, name, client, 400, 1200))
                time.sleep(0.3)

        with Recording(network, recorded):
            run_all([visits])
    by_port: dict[int, list[Frame]] = {port: [] for _, _, _, port, _ in FLOWS}
    for frame in read_pcap(recorded):
        parts = tcp_parts(frame.data)
        if parts is not None:
            by_port[parts[1] if parts[1] in by_port else parts[3]].append(frame)
    return [Flow(name, source, port, server, by_port[port]) for name, _, source, port, server in FLOWS]


# -- link headers ---------------------------------------------------------------------------------


def inner(frame: Frame) -> bytes:
    return frame.data[14:]


def ethertype(frame: Frame) -> bytes:
    return frame.data[12:14]


def sent_by_pc(frame: Frame) -> bool:
    return frame.data[6:12] == bytes.fromhex(mac_of(41).replace(":", ""))


def raw(frame: Frame) -> Frame:
    return Frame.whole(frame.time_ns, inner(frame))


def cooked_v1(frame: Frame) -> Frame:
    """Linux cooked v1 as the computer `pc` would record it: 4 is sent by us, 0 is sent to us."""
    head = struct.pack("!HHH", 4 if sent_by_pc(frame) else 0, 1, 6) + frame.data[6:12] + b"\0\0" + ethertype(frame)
    return Frame.whole(frame.time_ns, head + inner(frame))


def cooked_v2(frame: Frame) -> Frame:
    head = ethertype(frame) + b"\0\0" + struct.pack("!IHBB", 2, 1, 4 if sent_by_pc(frame) else 0, 6) + frame.data[6:12] + b"\0\0"
    return Frame.whole(frame.time_ns, head + inner(frame))


def tagged(*tags: tuple[int, int]):
    stack = b"".join(struct.pack("!HH", kind, vlan) for kind, vlan in tags)
    return lambda frame: Frame.whole(frame.time_ns, frame.data[:12] + stack + frame.data[12:])


# -- rarer link headers ---------------------------------------------------------------------------


def is_v6(frame: Frame) -> bool:
    return ethertype(frame) == b"\x86\xdd"


def snap(frame: Frame) -> bytes:
    return b"\xaa\xaa\x03\0\0\0" + ethertype(frame)


def behind(header):
    """Frames with `header(frame)` before the IP packet."""
    return lambda frame: Frame.whole(frame.time_ns, header(frame) + inner(frame))


def loopback(order: str, v6: int):
    return behind(lambda frame: struct.pack(order + "I", v6 if is_v6(frame) else 2))


def ppp(frame: Frame) -> bytes:
    return b"\x00\x57" if is_v6(frame) else b"\x00\x21"


def cisco(frame: Frame) -> bytes:
    return b"\x0f\x00" + ethertype(frame)


def frame_relay(frame: Frame) -> bytes:
    """RFC 2427: the address of DLCI 102, then control and NLPID."""
    return b"\x18\x61\x03" + (b"\x8e" if is_v6(frame) else b"\xcc")


def wlan(frame: Frame) -> bytes:
    """An unencrypted QoS data frame: from the station to the access point, or back."""
    station, access_point, far = frame.data[6:12], b"\x02\0\0\0\0\x01", frame.data[0:6]
    if sent_by_pc(frame):
        return b"\x88\x01\0\0" + access_point + station + far + b"\x10\0" + b"\0\0" + snap(frame)
    return b"\x88\x02\0\0" + far + access_point + station + b"\x10\0" + b"\0\0" + snap(frame)


def radiotap(frame: Frame) -> bytes:
    """Time, flags and rate before the frame."""
    return struct.pack("<BBHIQBB", 0, 0, 18, 0b111, frame.time_ns // 1000, 0, 12) + wlan(frame)


def prism(frame: Frame) -> bytes:
    return struct.pack("<II16s", 0x44, 144, b"wlan0") + bytes(120) + wlan(frame)


def netfilter_log(frame: Frame) -> Frame:
    def attribute(kind: int, value: bytes) -> bytes:
        return struct.pack("<HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)

    head = struct.pack("!BBH", 10 if is_v6(frame) else 2, 0, 40)
    before = attribute(1, ethertype(frame) + b"\x03\0") + attribute(10, b"\0") + attribute(5, struct.pack("!I", 2))
    return Frame.whole(frame.time_ns, head + before + attribute(9, inner(frame)))


def rarer(folder: "Folder", flows: list[Flow]) -> None:
    """One flow of each IP version behind the headers that few captures have."""
    kept = [flows[0], flows[2]]
    frames = [frame for flow in kept for frame in flow.frames]

    def add(file: str, about: str, link: int, wrap, **how) -> None:
        wrapped = list(map(wrap, frames))
        folder.add(file, pcap_bytes(wrapped, link, **how), about, [link], wrapped, kept)

    add("loopback-le.pcap", "pcap, BSD loopback (0) of a little-endian macOS", NULL, loopback("<", 30))
    add("loopback-be.pcap", "pcap, BSD loopback (0) of a big-endian FreeBSD", NULL, loopback(">", 28), order=">")
    add("loopback-openbsd.pcap", "pcap, OpenBSD loopback (108)", LOOP, loopback(">", 24))
    add("ppp.pcap", "pcap, PPP (9) without address and control", PPP, behind(ppp))
    add("ppp-hdlc.pcap", "pcap, PPP in HDLC-like framing (50)", PPP_HDLC, behind(lambda frame: b"\xff\x03" + ppp(frame)))
    add("cisco-hdlc.pcap", "pcap, Cisco HDLC (104)", C_HDLC, behind(cisco))
    add("frame-relay.pcap", "pcap, Frame Relay (107) after RFC 2427", FRELAY, behind(frame_relay))
    add("wlan.pcap", "pcap, IEEE 802.11 (105), unencrypted QoS data", IEEE802_11, behind(wlan))
    add("wlan-radiotap.pcap", "pcap, IEEE 802.11 behind radiotap (127)", RADIOTAP, behind(radiotap))
    add("wlan-prism.pcap", "pcap, IEEE 802.11 behind Prism (119)", PRISM, behind(prism))
    add("netfilter-log.pcap", "pcap, netfilter log (239)", NFLOG, netfilter_log)
    for file, order in (("modified-le.pcap", "<"), ("modified-be.pcap", ">")):
        folder.add(file, modified_pcap_bytes(frames, ETHERNET, order), f"pcap with the modified record header, {'little' if order == '<' else 'big'}-endian",
                   [ETHERNET], frames, kept)


def nanoseconds(frames: list[Frame]) -> list[Frame]:
    """Recorded times are microseconds; three further digits, so that a reader which drops them is found out."""
    return [Frame(frame.time_ns + 1 + number % 999, frame.data, frame.wire_length) for number, frame in enumerate(frames)]


# -- the files ------------------------------------------------------------------------------------


class Folder:
    """Writes the files and the expectation of each."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.captures: list[dict] = []

    def add(self, file: str, data: bytes, about: str, links: list[int], frames: list[Frame], flows: list[Flow], damage: str | None = None, **more) -> None:
        (self.out / file).write_bytes(data)
        self.captures.append({
            "capture": f"link-types/{file}", "about": about, "link_types": links, "readable_packets": len(frames),
            "first_time_ns": frames[0].time_ns, "last_time_ns": frames[-1].time_ns, "damage": damage, **more,
            "names": [flow.named() for flow in flows], "flows": {"tcp": len({*(flow.name for flow in flows), *more.get("partial", ())})},
        })


def ng_interfaces(folder: Folder, flows: list[Flow]) -> None:
    """Three interfaces in one section, each with a link type and a clock of its own."""
    ng = PcapNg()
    ng.section()
    links = (
        (ng.interface(ETHERNET, None, "eth0"), lambda frame: frame),
        (ng.interface(LINUX_SLL, 9, "any"), cooked_v1),
        (ng.interface(RAW, 0x80 | 20, "tun0"), raw),
    )
    frames = []
    for (interface, wrap), flow in zip(links, flows, strict=True):
        for frame in map(wrap, flow.frames):
            ng.packet(interface, frame)
            frames.append(frame)
    # The third clock counts 2^-20 s: its times are rounded down to the tick.
    ticks = [Frame((frame.time_ns << 20) // 10**9 * 10**9 >> 20, frame.data, frame.wire_length) for frame in frames[-1:]]
    folder.add("interfaces.pcapng", ng.to_bytes(), "pcapng, three interfaces: Ethernet with microseconds, Linux cooked v1 with nanoseconds, raw IP with 2^-20 s",
               [ETHERNET, LINUX_SLL, RAW], [*frames[:-1], *ticks], flows)


def ng_sections(folder: Folder, flows: list[Flow]) -> None:
    ng = PcapNg()
    ng.section("<")
    first = ng.interface(ETHERNET, 6)
    for frame in flows[0].frames:
        ng.packet(first, frame)
    ng.section(">")
    second = ng.interface(LINUX_SLL2, 9)
    rest = [cooked_v2(frame) for flow in flows[1:] for frame in flow.frames]
    for frame in rest:
        ng.packet(second, frame)
    folder.add("two-sections.pcapng", ng.to_bytes(), "pcapng, a little-endian section with Ethernet, then a big-endian one with Linux cooked v2",
               [ETHERNET, LINUX_SLL2], [*flows[0].frames, *rest], flows)


def ng_simple(folder: Folder, flows: list[Flow]) -> None:
    """Enhanced, unknown, simple, unknown, enhanced: the simple packets have no time of their own."""
    ng = PcapNg()
    ng.section()
    interface = ng.interface(ETHERNET, 6)
    for frame in flows[0].frames:
        ng.packet(interface, frame)
    ng.unknown(b"a block that no reader knows")
    for frame in flows[1].frames:
        ng.simple_packet(frame)
    ng.unknown(b"")
    for frame in flows[2].frames:
        ng.packet(interface, frame)
    folder.add("simple-packets.pcapng", ng.to_bytes(), "pcapng, the second flow in Simple Packet Blocks (no timestamps), blocks of an unknown type between",
               [ETHERNET], [frame for flow in flows for frame in flow.frames], flows, without_time=len(flows[1].frames))


def cut_files(folder: Folder, flows: list[Flow]) -> None:
    """Two whole flows, then a file that ends inside the record of the third flow's second frame."""
    frames = [*flows[0].frames, *flows[1].frames, *flows[2].frames[:2]]
    lost = flows[2].frames[1]
    data = pcap_bytes(frames, ETHERNET)
    ends = len(data) - len(lost.data) // 2
    folder.add("cut-in-a-record.pcap", data[:ends], "pcap, ends in the middle of a record's bytes", [ETHERNET], frames[:-1], flows[:2],
               "the file ends inside a record", damage_offset=len(data) - len(lost.data) - 16, partial=[flows[2].name])
    header = len(data) - len(lost.data) - 8
    folder.add("cut-in-a-header.pcap", data[:header], "pcap, ends in the middle of a record's header", [ETHERNET], frames[:-1], flows[:2],
               "the file ends inside a record header", damage_offset=len(data) - len(lost.data) - 16, partial=[flows[2].name])
    ng = PcapNg()
    ng.section()
    interface = ng.interface(ETHERNET)
    for frame in frames[:-1]:
        ng.packet(interface, frame)
    before = len(ng.to_bytes())
    ng.packet(interface, lost)
    folder.add("cut-in-a-block.pcapng", ng.to_bytes()[: before + 40], "pcapng, ends in the middle of a block", [ETHERNET], frames[:-1], flows[:2],
               "the file ends inside a block", damage_offset=before, partial=[flows[2].name])


def garbage(folder: Folder, flows: list[Flow]) -> None:
    """Two whole flows, then bytes that are no record: the first claims a length that no frame has in either byte order."""
    frames = [*flows[0].frames, *flows[1].frames]
    data = pcap_bytes(frames, ETHERNET)
    noise = bytearray(random.Random(4096).randbytes(4096))
    noise[8:16] = b"\xf0\xff\xff\xf0" * 2
    folder.add("garbage-after-packets.pcap", data + bytes(noise), "pcap, 4,096 bytes of noise after the last packet", [ETHERNET], frames, flows[:2],
               "bytes that are no record", damage_offset=len(data))


def compose(out: Path, scratch: Path, rustls: Path) -> Path:
    """Writes the folder link-types/ with its expected.json; gives the folder."""
    flows = record(scratch, rustls)
    target = out / "link-types"
    target.mkdir(exist_ok=True)
    folder = Folder(target)
    ethernet = [frame for flow in flows for frame in flow.frames]
    exact = nanoseconds(ethernet)
    four = [frame for flow in flows[:2] for frame in flow.frames]

    def classic(file: str, about: str, link: int, frames: list[Frame], kept: list[Flow], **how) -> None:
        folder.add(file, pcap_bytes(frames, link, **how), about, [link], frames, kept)

    classic("ethernet-us-le.pcap", "pcap, Ethernet, microseconds, little-endian", ETHERNET, ethernet, flows)
    classic("ethernet-ns-le.pcap", "pcap, Ethernet, nanoseconds, little-endian", ETHERNET, exact, flows, nanoseconds=True)
    classic("ethernet-us-be.pcap", "pcap, Ethernet, microseconds, big-endian", ETHERNET, ethernet, flows, order=">")
    classic("ethernet-ns-be.pcap", "pcap, Ethernet, nanoseconds, big-endian", ETHERNET, exact, flows, order=">", nanoseconds=True)
    classic("linux-cooked-v1.pcap", "pcap, Linux cooked v1 (113)", LINUX_SLL, [cooked_v1(frame) for frame in ethernet], flows)
    classic("linux-cooked-v2.pcap", "pcap, Linux cooked v2 (276)", LINUX_SLL2, [cooked_v2(frame) for frame in ethernet], flows)
    classic("raw-ip.pcap", "pcap, raw IP (101), both versions", RAW, [raw(frame) for frame in ethernet], flows)
    classic("raw-ipv4.pcap", "pcap, raw IPv4 (228): the two IPv4 flows", IPV4, [raw(frame) for frame in four], flows[:2])
    classic("raw-ipv6.pcap", "pcap, raw IPv6 (229): the IPv6 flow", IPV6, [raw(frame) for frame in flows[2].frames], flows[2:])
    classic("dot1q.pcap", "pcap, Ethernet with an 802.1Q tag (VLAN 20)", ETHERNET, list(map(tagged((0x8100, 20)), ethernet)), flows)
    classic("qinq.pcap", "pcap, Ethernet with 802.1ad and 802.1Q tags (300, 20)", ETHERNET, list(map(tagged((0x88A8, 300), (0x8100, 20)), ethernet)), flows)
    for file, order in (("ethernet-le.pcapng", "<"), ("ethernet-be.pcapng", ">")):
        ng = PcapNg()
        ng.section(order)
        interface = ng.interface(ETHERNET, 9)
        for frame in exact:
            ng.packet(interface, frame)
        folder.add(file, ng.to_bytes(), f"pcapng, Ethernet, nanoseconds, {'little' if order == '<' else 'big'}-endian", [ETHERNET], exact, flows)
    ng_interfaces(folder, flows)
    ng_sections(folder, flows)
    ng_simple(folder, flows)
    cut_files(folder, flows)
    garbage(folder, flows)
    rarer(folder, flows)
    expected = {
        "composed_by": "pcaps/compose/compose.py",
        "captures": folder.captures,
        "notes": [
            "the same three connections in every file; raw-ipv4 and raw-ipv6 hold those of their version",
            "readable_packets are the packets before the damage; damage_offset is where in the file the first unreadable record begins",
            "flows counts the connections of which at least one packet is readable; partial names those without a readable hello",
        ],
    }
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    return target


def recorded(target: Path) -> list[Flow]:
    """The flows of an earlier recording, from the capture that holds them as they were."""
    by_port: dict[int, list[Frame]] = {port: [] for _, _, _, port, _ in FLOWS}
    for frame in read_pcap(target / "ethernet-us-le.pcap"):
        parts = tcp_parts(frame.data)
        if parts is not None:
            by_port[parts[1] if parts[1] in by_port else parts[3]].append(frame)
    return [Flow(name, source, port, server, by_port[port]) for name, _, source, port, server in FLOWS]


def add_rarer(target: Path) -> None:
    """Writes the captures of rarer link types from an earlier recording, and nothing else."""
    folder = Folder(target)
    rarer(folder, recorded(target))
    expected = json.loads((target / "expected.json").read_text())
    added = {capture["capture"] for capture in folder.captures}
    expected["captures"] = [capture for capture in expected["captures"] if capture["capture"] not in added] + folder.captures
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    add_rarer(Path(sys.argv[1]))
