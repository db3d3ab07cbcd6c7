"""Turns conversations of a real QUIC client and server (aioquic, from PyPI) into quic.pcap: their datagrams, delivered in many ways.

Client and server run in this process and pass each other their datagrams, so that the script decides about order, loss and
copies. What is expected is what the clients were told to ask for.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import certificates
from namespaces import ComposeError, mac_of
from packets import Side, ethernet, internet_checksum, packed
from pcapfile import ETHERNET, Frame, pcap_bytes

BEGIN_NS = 1_767_225_600 * 10**9
MILLISECOND = 10**6
CLIENT4, CLIENT6 = "192.168.10.51", "fd5a:10:20:30::51"
SERVER4, SERVER6 = "203.0.113.51", "2001:db8:113::51"
SNAP_LENGTH = 128
V1, V2 = 1, 0x6B3343CF
# Names of application protocols that make a hello as long as one with a post-quantum key share (X25519MLKEM768).
PADDING_ALPN = [f"padding-protocol-{number:03}" for number in range(64)]


@dataclass
class Datagram:
    from_client: bool
    data: bytes


@dataclass
class Case:
    """One connection, and how its datagrams reach the sensor."""

    name: str
    about: str
    host: str | None = None
    client: dict = field(default_factory=dict)
    server: dict = field(default_factory=dict)
    deliver: Callable[[list[Datagram]], list[Datagram]] = list
    retry: bool = False
    large: bool = False
    six: bool = False
    port: int = 443
    snap: int | None = None
    unnamed: str | None = None
    version: str = "1"

    @property
    def server_name(self) -> str | None:
        return f"{self.name}.quic.example" if self.host is None else self.host or None


def of_client(datagrams: list[Datagram]) -> list[Datagram]:
    return [datagram for datagram in datagrams if datagram.from_client]


def of_server(datagrams: list[Datagram]) -> list[Datagram]:
    return [datagram for datagram in datagrams if not datagram.from_client]


def second_first(datagrams: list[Datagram]) -> list[Datagram]:
    return [datagrams[1], datagrams[0], *datagrams[2:]]


def without_first(datagrams: list[Datagram]) -> list[Datagram]:
    return datagrams[1:]


def doubled(datagrams: list[Datagram]) -> list[Datagram]:
    return [datagram for datagram in datagrams for _ in range(2)]


def server_first(datagrams: list[Datagram]) -> list[Datagram]:
    """The server's first datagram overtakes the client's on the way to the sensor."""
    answer = next(datagram for datagram in datagrams if not datagram.from_client)
    return [answer, *[datagram for datagram in datagrams if datagram is not answer]]


def short_headers(datagrams: list[Datagram]) -> list[Datagram]:
    return [datagram for datagram in datagrams if not datagram.data[0] & 0x80]


CASES = (
    Case("version-1", "QUIC version 1"),
    Case("ipv6", "version 1 over IPv6", six=True),
    Case("version-2", "QUIC version 2 from the first packet on", client=dict(original_version=V2, supported_versions=[V2]), server=dict(supported_versions=[V2, V1]), version="6b3343cf"),
    Case("compatible-versions", "begins with version 1, and both agree on version 2 without a round trip", client=dict(original_version=V1, supported_versions=[V2, V1]), server=dict(supported_versions=[V2, V1])),
    Case("negotiated", "begins with version 2, of which the server knows nothing, and again with version 1", client=dict(original_version=V2, supported_versions=[V2, V1]), server=dict(supported_versions=[V1]), version="6b3343cf"),
    Case("negotiated-late", "the same, and the capture lacks the client's first datagram", client=dict(original_version=V2, supported_versions=[V2, V1]), server=dict(supported_versions=[V1]), deliver=without_first),
    Case("reserved-version", "begins with a version that is kept free, protected like version 1", client=dict(original_version=0x1A2A3A4A, supported_versions=[0x1A2A3A4A, V1]), server=dict(supported_versions=[V1]), version="1a2a3a4a"),
    Case("unknown-version", "begins with a version that nobody knows, protected like version 1", client=dict(original_version=0x5A6B7C8D, supported_versions=[0x5A6B7C8D, V1]), server=dict(supported_versions=[V1]), version="5a6b7c8d"),
    Case("retry", "the server asks for another beginning (Retry)", retry=True),
    Case("retry-late", "the same, and the capture lacks the client's first datagram", retry=True, deliver=without_first),
    Case("large", "a hello of 1.7 kB in two datagrams", large=True),
    Case("large-reordered", "the same, the second datagram first", large=True, deliver=second_first),
    Case("large-doubled", "the same, every datagram twice", large=True, deliver=doubled),
    Case("large-retry", "a hello of 1.7 kB, sent again after a Retry", large=True, retry=True),
    Case("doubled", "every datagram twice", deliver=doubled),
    Case("client-only", "only what the client sent", deliver=of_client),
    Case("server-first", "the server's answer before the client's first datagram, on a port that tells nothing", deliver=server_first, port=4433),
    Case("other-port", "on a port that tells nothing", port=40433),
    Case("vendor", "the name of a vendor", host="update.eset.com"),
    Case("large-first-missing", "a hello in two datagrams, of which the capture lacks the first", large=True, deliver=without_first, unnamed="lost"),
    Case("server-only", "only what the server sent", deliver=of_server, unnamed="quic_undecryptable"),
    Case("midstream", "the capture begins after the handshake", deliver=short_headers, unnamed="quic_undecryptable"),
    Case("snap-length", f"every frame cut at {SNAP_LENGTH} bytes", snap=SNAP_LENGTH, unnamed="truncated"),
    Case("no-name", "a hello without a server name", host="", unnamed="sni_absent"),
)


def converse(case: Case, certificate: Path, key: Path, authority: Path) -> list[Datagram]:
    """All datagrams of one connection: handshake, a question, an answer, the end."""
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import HandshakeCompleted, StreamDataReceived
    from aioquic.quic.packet import encode_quic_retry, encode_quic_version_negotiation, pull_quic_header
    from aioquic.buffer import Buffer

    protocols = (PADDING_ALPN if case.large else []) + ["hq-interop"]
    client = QuicConnection(configuration=QuicConfiguration(
        is_client=True, alpn_protocols=protocols, server_name=case.server_name, cafile=str(authority), verify_mode=0, **case.client,
    ))
    settings = QuicConfiguration(is_client=False, alpn_protocols=["hq-interop"], **case.server)
    settings.load_cert_chain(certificate, key)
    server, now, sent = None, 1.0, []
    client.connect(("server", 443), now=now)
    first_id, retry_id, is_over = None, None, False
    for _ in range(40):
        now += 0.005
        burst = [data for data, _ in client.datagrams_to_send(now)]
        sent += [Datagram(True, data) for data in burst]
        if server is None and burst:
            header = pull_quic_header(Buffer(data=burst[0]), host_cid_length=8)
            answer = None
            if header.version not in settings.supported_versions:
                answer = encode_quic_version_negotiation(source_cid=header.destination_cid, destination_cid=header.source_cid, supported_versions=settings.supported_versions)
            elif case.retry and not header.token:
                # The token proves nothing to anybody here: the client has only to give it back.
                first_id, retry_id = header.destination_cid, bytes(range(8))
                answer = encode_quic_retry(version=header.version, source_cid=retry_id, destination_cid=header.source_cid, original_destination_cid=first_id, retry_token=b"a token of thirty-two characters")
            if answer is not None:
                sent.append(Datagram(False, answer))
                client.receive_datagram(answer, ("server", 443), now)
                continue
            server = QuicConnection(configuration=settings, original_destination_connection_id=first_id or header.destination_cid, retry_source_connection_id=retry_id)
        for data in burst:
            server.receive_datagram(data, ("client", 1), now)
        if server is None:
            continue
        while (event := server.next_event()) is not None:
            if isinstance(event, StreamDataReceived) and event.end_stream:
                server.send_stream_data(0, b"An answer of one line.\n" * 20, end_stream=True)
        for data, _ in server.datagrams_to_send(now):
            sent.append(Datagram(False, data))
            client.receive_datagram(data, ("server", 443), now)
        while (event := client.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                client.send_stream_data(0, b"GET /\r\n", end_stream=True)
            elif isinstance(event, StreamDataReceived) and event.end_stream:
                is_over = True
                client.close()
    if not is_over:
        raise ComposeError(f"quic: the conversation {case.name} came to no end")
    return sent


def datagram_frame(source: Side, target: Side, payload: bytes, identifier: int) -> bytes:
    """An Ethernet frame with a UDP datagram."""
    length = 8 + len(payload)
    head = struct.pack("!HHHH", source.port, target.port, length, 0)
    ends = packed(source.address) + packed(target.address)
    pseudo = ends + (struct.pack("!IHBB", length, 0, 0, 17) if ":" in source.address else struct.pack("!BBH", 0, 17, length))
    body = head[:6] + struct.pack("!H", internet_checksum(pseudo + head + payload) or 0xFFFF) + payload
    if ":" in source.address:
        packet = struct.pack("!IHBB", 6 << 28, len(body), 17, 64) + ends + body
    else:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), identifier & 0xFFFF, 0x4000, 64, 17, 0) + ends
        packet = ip[:10] + struct.pack("!H", internet_checksum(ip)) + ip[12:] + body
    return ethernet(source, target, packet)


def compose(out: Path, scratch: Path, _rustls: Path) -> Path:
    """Composes quic.pcap and writes what to expect of it; gives the capture's path."""
    try:
        import aioquic  # noqa: F401
    except ImportError as error:
        raise ComposeError("aioquic is missing: pip install aioquic") from error
    authority, key, files = certificates.make(scratch, ["quic.example"])
    certificate = Path(files["quic.example"])
    frames: list[Frame] = []
    entries: list[dict] = []
    now = BEGIN_NS
    for position, case in enumerate(CASES):
        client = Side(mac_of(51), CLIENT6 if case.six else CLIENT4, 51000 + position)
        server = Side(mac_of(1), SERVER6 if case.six else SERVER4, case.port)
        for datagram in case.deliver(converse(case, certificate, key, authority)):
            ends = (client, server) if datagram.from_client else (server, client)
            frame = Frame.whole(now, datagram_frame(*ends, datagram.data, len(frames)))
            frames.append(frame.cut(case.snap) if case.snap else frame)
            now += 2 * MILLISECOND
        now += 100 * MILLISECOND
        entries.append({
            "case": case.name, "about": case.about, "name": case.server_name, "named": case.unnamed is None, "reason": case.unnamed, "version": case.version,
            "src_ip": client.address, "src_port": client.port, "dest_ip": server.address, "dest_port": server.port,
        })
    keys = ("src_ip", "src_port", "dest_ip", "dest_port")
    expected = {
        "capture": "quic.pcap",
        "composed_by": "pcaps/compose/compose.py",
        "packets": len(frames),
        "names": [{"kind": "quic_sni", "name": entry["name"], **{key: entry[key] for key in keys}, "version": entry["version"], "count": 1} for entry in entries if entry["named"]],
        "unnamed": [{"case": entry["case"], **{key: entry[key] for key in keys}, "reason": entry["reason"]} for entry in entries if not entry["named"]],
        "cases": entries,
        "contacts": [],
        "flows": {"tcp": 0, "udp": len(entries), "icmp": 0, "tls": 0},
        "notes": [
            "the datagrams are those of a real client and server; their order, loss and copies are composed",
            "version is that of the packet by which the name is first whole",
        ],
    }
    (out / "quic.pcap").write_bytes(pcap_bytes(frames, ETHERNET))
    (out / "quic.expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    return out / "quic.pcap"
