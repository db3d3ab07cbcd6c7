"""Turns real ClientHellos into hello-deliveries.pcap: the same bytes, delivered in every awkward way a sensor meets.

Each case has a name of its own, for which OpenSSL, Python, curl and rustls each made a real connection. The
recorded bytes of both sides are then laid out again in segments, records, tags and headers as the case says.
"""

from __future__ import annotations

import json
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path

import certificates
from clients import TLS_CLIENTS, Clients, Exchange, run_all
from demo import start_servers
from namespaces import Network, mac_of
from packets import ACK, FIN, PSH, SYN, Conversation, Side, conversations, ethernet, hello_length, internet, segment
from pcapfile import ETHERNET, Frame, pcap_bytes, read_pcap
from recording import Recording

SERVER4, SERVER6 = "203.0.113.20", "2001:db8:20::20"
HOSTS = {client: (31 + number, f"192.168.10.{31 + number}", f"fd5a:10:20:30::{31 + number}") for number, client in enumerate(TLS_CLIENTS)}
# The largest segment: small enough that IPv6 with option headers stays within 1500 bytes.
MAXIMUM = 1400
SYN_OPTIONS = bytes([2, 4]) + struct.pack("!H", MAXIMUM) + bytes([1, 3, 3, 7])
# The first flow begins here, so that packet times are the same in each composition; hellos differ by their randoms.
BEGIN_NS = 1_767_225_600 * 10**9


def slices(data: bytes, size: int, start: int = 0) -> list[tuple[int, bytes]]:
    """Consecutive segments of at most `size` bytes, as (offset, bytes)."""
    return [(start + at, data[at : at + size]) for at in range(0, len(data), size)]


def whole(hello: bytes, _name: str) -> list[tuple[int, bytes]]:
    return slices(hello, MAXIMUM)


def halves(hello: bytes, _name: str) -> list[tuple[int, bytes]]:
    half = len(hello) // 2
    return [(0, hello[:half]), (half, hello[half:])]


def swapped(hello: bytes, name: str) -> list[tuple[int, bytes]]:
    return halves(hello, name)[::-1]


def sixteen(hello: bytes, _name: str) -> list[tuple[int, bytes]]:
    return slices(hello, 16)


def first_byte(hello: bytes, _name: str) -> list[tuple[int, bytes]]:
    return [(0, hello[:1]), *slices(hello[1:], MAXIMUM, 1)]


def repeated(hello: bytes, name: str) -> list[tuple[int, bytes]]:
    """Each half twice, the first once more after the second."""
    first, second = halves(hello, name)
    return [first, first, second, second, first]


def overlapping(hello: bytes, _name: str) -> list[tuple[int, bytes]]:
    """Segments of 200 bytes that each begin 80 bytes before the end of the one before; the same bytes twice."""
    return [(at, hello[at : at + 200]) for at in range(0, len(hello), 120)]


def overlapping_swapped(hello: bytes, name: str) -> list[tuple[int, bytes]]:
    return overlapping(hello, name)[::-1]


def with_hole(hello: bytes, name: str) -> list[tuple[int, bytes]]:
    """Two segments around bytes that the capture lost: the name and a little before it."""
    at = hello.index(name.encode())
    return [(0, hello[: at - 8]), *slices(hello[at + len(name) :], MAXIMUM, at + len(name))]


def records(hello: bytes, size: int) -> bytes:
    """The same handshake message in records of `size` bytes each."""
    version, message = hello[1:3], hello[5:]
    return b"".join(b"\x16" + version + struct.pack("!H", len(piece)) + piece for _, piece in slices(message, size))


def two_records(hello: bytes) -> bytes:
    return records(hello, len(hello) // 2)


def tiny_records(hello: bytes) -> bytes:
    return records(hello, 5)


@dataclass(frozen=True)
class Case:
    """One way of delivery; the fields say what differs from an ordinary recorded connection."""

    name: str
    about: str
    cut: object = whole
    rerecord: object = None
    six: bool = False
    extended: bool = False
    begin: str = "handshake"  # handshake | none | no-syn-ack | repeated
    server: str = "all"  # all | none | syn-ack
    client_tags: tuple = ()
    hello_tags: tuple = ()
    snap: int | None = None
    wraps: bool = False
    unnamed: str | None = None

    @property
    def host(self) -> str:
        return f"{self.name}.deliveries.example"


CASES = [
    Case("whole", "as the client sent it: one segment, or two where it is larger than one"),
    Case("two-segments", "cut in the middle", cut=halves),
    Case("swapped-segments", "cut in the middle, the second half first", cut=swapped),
    Case("segments-of-16", "sixteen bytes a segment", cut=sixteen),
    Case("first-byte-alone", "a segment of one byte, then the rest", cut=first_byte),
    Case("repeated-segments", "each half sent twice, the first a third time at the end", cut=repeated),
    Case("overlapping-segments", "each segment repeats the last 80 bytes of the one before", cut=overlapping),
    Case("overlapping-reversed", "overlapping segments, the last first", cut=overlapping_swapped),
    Case("two-records", "the handshake message in two TLS records, one segment", rerecord=two_records),
    Case("two-records-swapped", "two TLS records and two segments, the second half first", rerecord=two_records, cut=swapped),
    Case("tiny-records", "the handshake message in TLS records of five bytes", rerecord=tiny_records),
    Case("tiny-records-of-16", "TLS records of five bytes in segments of sixteen", rerecord=tiny_records, cut=sixteen),
    Case("no-syn", "the capture begins after the TCP handshake", begin="none"),
    Case("no-syn-two-segments", "the capture begins after the TCP handshake, the hello is cut in the middle", begin="none", cut=halves),
    Case("client-side-only", "only what the client sent", server="none", cut=halves),
    Case("syn-ack-missing", "both directions, but the SYN-ACK is not in the capture", begin="no-syn-ack", cut=halves),
    Case("syn-ack-alone", "of the server's packets only the SYN-ACK is in the capture", server="syn-ack", cut=halves),
    Case("sequence-wrap", "sequence numbers pass 2^32 within the hello", wraps=True, cut=halves),
    Case("sequence-wrap-swapped", "sequence numbers pass 2^32 within the hello, the second half first", wraps=True, cut=swapped),
    Case("vlan-one-direction", "the client's frames carry an 802.1Q tag, the server's none", client_tags=((0x8100, 20),), cut=halves),
    Case("qinq-hello-only", "only the frames of the hello carry two tags (802.1ad, 802.1Q)", hello_tags=((0x88A8, 300), (0x8100, 20)), cut=halves),
    Case("syn-repeated", "SYN and SYN-ACK twice, empty acknowledgements before and between the hello's halves", begin="repeated", cut=halves),
    Case("ipv6-whole", "IPv6", six=True),
    Case("ipv6-options", "IPv6 with hop-by-hop and destination options in every packet", six=True, extended=True, cut=halves),
    Case("hole", "the capture lost the bytes of the name", cut=with_hole, unnamed="lost"),
    Case("snap-length", "every frame cut at 96 bytes, before the name", snap=96, unnamed="truncated"),
]


@dataclass
class Layout:
    """Writes the frames of one flow, a hundred microseconds apart."""

    case: Case
    client: Side
    server: Side
    time_ns: int
    client_first: int
    server_first: int
    identifier: int = 1
    frames: list[Frame] = field(default_factory=list)

    def put(self, data: bytes) -> None:
        frame = Frame.whole(self.time_ns, data)
        self.frames.append(frame.cut(self.case.snap) if self.case.snap else frame)
        self.time_ns += 100_000

    def _frame(self, source: Side, target: Side, body: bytes, tags: tuple) -> None:
        self.identifier += 1
        self.put(ethernet(source, target, internet(source, target, body, self.identifier, self.case.extended), tags))

    def from_client(self, at: int, acknowledged: int, flags: int, payload: bytes = b"", options: bytes = b"", hello: bool = False) -> None:
        """`at` and `acknowledged` count from the first byte of each stream; -1 is the SYN."""
        tags = self.case.hello_tags if hello else self.case.client_tags
        number = 0 if not flags & ACK else self.server_first + 1 + acknowledged
        self._frame(self.client, self.server, segment(self.client, self.server, self.client_first + 1 + at, number, flags, payload, options), tags)

    def from_server(self, at: int, acknowledged: int, flags: int, payload: bytes = b"", options: bytes = b"") -> None:
        if self.case.server == "none" or (self.case.server == "syn-ack" and not flags & SYN):
            return
        body = segment(self.server, self.client, self.server_first + 1 + at, self.client_first + 1 + acknowledged, flags, payload, options)
        self._frame(self.server, self.client, body, ())


def lay_out(layout: Layout, talk: Conversation) -> None:
    """One connection: handshake, the hello as the case delivers it, the rest of both streams, a polite end."""
    case = layout.case
    length = hello_length(talk.client)
    hello, rest = talk.client[:length], talk.client[length:]
    if case.rerecord is not None:
        hello = case.rerecord(hello)
    if case.begin != "none":
        for _ in range(2 if case.begin == "repeated" else 1):
            layout.from_client(-1, 0, SYN, options=SYN_OPTIONS)
        if case.begin != "no-syn-ack":
            for _ in range(2 if case.begin == "repeated" else 1):
                layout.from_server(-1, 0, SYN | ACK, options=SYN_OPTIONS)
        layout.from_client(0, 0, ACK)
    if case.begin == "repeated":
        layout.from_client(0, 0, ACK)
        layout.from_server(0, 0, ACK)
    received = 0
    got: set[int] = set()
    for at, payload in case.cut(hello, case.host):
        layout.from_client(at, 0, ACK | PSH, payload, hello=True)
        got.update(range(at, at + len(payload)))
        while received in got:
            received += 1
        if case.begin == "repeated":
            layout.from_server(0, received, ACK)
            layout.from_client(at + len(payload), 0, ACK)
    # The server had every byte, also where the capture has a hole.
    sent = len(hello)
    layout.from_server(0, sent, ACK)
    for at, payload in slices(talk.server, MAXIMUM):
        layout.from_server(at, sent, ACK, payload)
    answered = len(talk.server)
    layout.from_client(sent, answered, ACK)
    for at, payload in slices(rest, MAXIMUM, sent):
        layout.from_client(at, answered, ACK | PSH, payload)
    sent += len(rest)
    layout.from_server(answered, sent, FIN | ACK)
    layout.from_client(sent, answered + 1, FIN | ACK)
    layout.from_server(answered + 1, sent + 1, ACK)


def record(scratch: Path, rustls: Path, names: list[str], label: str, asking: tuple[str, ...] = TLS_CLIENTS) -> dict[tuple[str, str], Conversation]:
    """Lets each client of `asking` ask each name once; gives both sides' bytes by (client, name)."""
    authority, key, files = certificates.make(scratch, names)
    ports = {name: 41000 + number for number, name in enumerate(names)}
    found: dict[tuple[str, str], Conversation] = {}
    recorded = scratch / f"{label}.pcap"
    with Network() as network:
        network.add_server_addresses([SERVER4])
        for client, (number, address, _) in HOSTS.items():
            network.add_host(client, number, [address])
        start_servers(network, "servers", {"tls": {"addresses": [SERVER4], "certificates": files, "key": str(key), "port": 443}}, scratch)
        clients = Clients(network, scratch, authority, rustls)

        def all_names(client: str):
            offset = 1000 * TLS_CLIENTS.index(client)

            def run() -> None:
                for name in names:
                    clients.ask(Exchange(client, HOSTS[client][1], ports[name] + offset, SERVER4, 443, name, client, 0, 600))

            return run

        with Recording(network, recorded):
            run_all([all_names(client) for client in asking])
            time.sleep(0.2)
    talks = conversations(read_pcap(recorded))
    for client in asking:
        for name in names:
            found[client, name] = talks[ports[name] + 1000 * TLS_CLIENTS.index(client)]
    return found


def first_sequence(case: Case, hello: int, number: int) -> int:
    """The client's initial sequence number: fixed, or such that the hello passes 2^32 at a place that differs by flow."""
    if not case.wraps:
        return 1_000_000_007 * (number + 1) % (1 << 31)
    # The wrap falls on the hello's first byte, into the first half, onto the cut, one byte before the end.
    before = (0, hello // 4, hello // 2, hello - 1)[number % 4]
    return ((1 << 32) - before - 1) % (1 << 32)


def compose(out: Path, scratch: Path, rustls: Path) -> Path:
    """Composes hello-deliveries.pcap and writes what to expect of it; gives the capture's path."""
    talks = record(scratch, rustls, [case.host for case in CASES], "deliveries")
    gateway = mac_of(1)
    frames: list[Frame] = []
    cases: list[dict] = []
    now = BEGIN_NS
    for position, case in enumerate(CASES):
        for number, client in enumerate(TLS_CLIENTS):
            talk = talks[client, case.host]
            length = hello_length(talk.client)
            host, four, six = HOSTS[client]
            source = Side(mac_of(host), six if case.six else four, 50000 + 10 * position + number)
            target = Side(gateway, SERVER6 if case.six else SERVER4, 443)
            layout = Layout(case, source, target, now, first_sequence(case, length, number), 3_000_000_019)
            lay_out(layout, talk)
            frames += layout.frames
            now = layout.time_ns + 10_000_000
            cases.append({
                "case": case.name, "about": case.about, "client": client, "name": case.host, "named": case.unnamed is None,
                "src_ip": source.address, "src_port": source.port, "dest_ip": target.address, "dest_port": target.port,
                "hello_bytes": length, "packets": len(layout.frames),
            })
    keys = ("src_ip", "src_port", "dest_ip", "dest_port")
    reasons = {case.name: case.unnamed for case in CASES}
    expected = {
        "capture": "hello-deliveries.pcap",
        "composed_by": "pcaps/compose/compose.py",
        "packets": len(frames),
        "names": [{"kind": "tls_sni", "name": entry["name"], **{key: entry[key] for key in keys}, "count": 1} for entry in cases if entry["named"]],
        "unnamed": [{"case": entry["case"], **{key: entry[key] for key in keys}, "reason": reasons[entry["case"]]} for entry in cases if not entry["named"]],
        "cases": cases,
        "contacts": [],
        "flows": {"tcp": len(cases), "udp": 0, "icmp": 0, "tls": len(cases)},
        "notes": [
            "the bytes of the hellos and of the answers are real recordings; their delivery in packets is composed",
            "a flow whose capture begins after the TCP handshake or lacks a direction is named all the same",
            "repeated and overlapping segments repeat the same bytes; frames of one flow may differ in their VLAN tags",
        ],
    }
    (out / "hello-deliveries.pcap").write_bytes(pcap_bytes(frames, ETHERNET))
    (out / "hello-deliveries.expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    return out / "hello-deliveries.pcap"
