"""Turns addresses, ports and payloads into Ethernet frames with valid checksums, and recorded frames back into streams."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from pcapfile import Frame

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ETHERTYPE4, ETHERTYPE6 = 0x0800, 0x86DD
SEQUENCES = 1 << 32


@dataclass(frozen=True)
class Side:
    """One end of a connection."""

    mac: str
    address: str
    port: int


def internet_checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def segment(source: Side, target: Side, sequence: int, acknowledged: int, flags: int, payload: bytes = b"", options: bytes = b"") -> bytes:
    """A TCP segment; sequence numbers are taken modulo 2^32."""
    options += bytes([1]) * (-len(options) % 4)
    offset = 5 + len(options) // 4
    head = struct.pack("!HHIIBBHHH", source.port, target.port, sequence % SEQUENCES, acknowledged % SEQUENCES, offset << 4, flags, 64240, 0, 0) + options
    length = len(head) + len(payload)
    if ":" in source.address:
        pseudo = packed(source.address) + packed(target.address) + struct.pack("!IHBB", length, 0, 0, 6)
    else:
        pseudo = packed(source.address) + packed(target.address) + struct.pack("!BBH", 0, 6, length)
    check = internet_checksum(pseudo + head + payload)
    return head[:16] + struct.pack("!H", check) + head[18:] + payload


def options_header(next_header: int) -> bytes:
    """An IPv6 options header of eight bytes that holds nothing but a PadN option."""
    return struct.pack("!BBBB4x", next_header, 0, 1, 4)


def internet(source: Side, target: Side, body: bytes, identifier: int, extended: bool = False) -> bytes:
    """An IPv4 or IPv6 packet around a TCP segment; `extended` puts hop-by-hop and destination options before it."""
    if ":" in source.address:
        first = 6
        if extended:
            body = options_header(60) + options_header(6) + body
            first = 0
        return struct.pack("!IHBB", 6 << 28, len(body), first, 64) + packed(source.address) + packed(target.address) + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), identifier & 0xFFFF, 0x4000, 64, 6, 0) + packed(source.address) + packed(target.address)
    return head[:10] + struct.pack("!H", internet_checksum(head)) + head[12:] + body


def ethernet(source: Side, target: Side, packet: bytes, tags: tuple[tuple[int, int], ...] = ()) -> bytes:
    """An Ethernet frame; `tags` are (ethertype of the tag, VLAN id), the outermost first."""
    macs = bytes.fromhex(target.mac.replace(":", "")) + bytes.fromhex(source.mac.replace(":", ""))
    inner = ETHERTYPE6 if packet[0] >> 4 == 6 else ETHERTYPE4
    stack = b"".join(struct.pack("!HH", kind, vlan) for kind, vlan in tags)
    return macs + stack + struct.pack("!H", inner) + packet


@dataclass
class Conversation:
    """The bytes that both sides of a recorded connection sent, in order."""

    client: bytes
    server: bytes


def tcp_parts(frame: bytes) -> tuple[str, int, str, int, int, int, bytes] | None:
    """Source, port, destination, port, sequence, flags and payload of an untagged Ethernet frame with TCP; else None."""
    kind = struct.unpack("!H", frame[12:14])[0]
    if kind == ETHERTYPE4 and frame[23] == 6:
        start, end = 14 + (frame[14] & 15) * 4, 14 + struct.unpack("!H", frame[16:18])[0]
        family, source, target = socket.AF_INET, frame[26:30], frame[30:34]
    elif kind == ETHERTYPE6 and frame[20] == 6:
        start, end = 54, 54 + struct.unpack("!H", frame[18:20])[0]
        family, source, target = socket.AF_INET6, frame[22:38], frame[38:54]
    else:
        return None
    source_port, target_port, sequence = struct.unpack("!HHI", frame[start : start + 8])
    payload = frame[start + (frame[start + 12] >> 4) * 4 : end]
    return socket.inet_ntop(family, source), source_port, socket.inet_ntop(family, target), target_port, sequence, frame[start + 13], payload


def conversations(frames: list[Frame]) -> dict[int, Conversation]:
    """The connections of a recording by the client's port, each side put in order by its sequence numbers."""
    first: dict[tuple, int] = {}
    pieces: dict[tuple, dict[int, bytes]] = {}
    clients: list[tuple] = []
    for frame in frames:
        parts = tcp_parts(frame.data)
        if parts is None:
            continue
        source, source_port, target, target_port, sequence, flags, payload = parts
        key = (source, source_port, target, target_port)
        if flags & SYN:
            first[key] = (sequence + 1) % SEQUENCES
            if not flags & ACK and key not in clients:
                clients.append(key)
        elif payload and key in first:
            at = (sequence - first[key]) % SEQUENCES
            known = pieces.setdefault(key, {})
            known[at] = max(known.get(at, b""), payload, key=len)

    def joined(key: tuple) -> bytes:
        whole = b""
        for at, payload in sorted(pieces.get(key, {}).items()):
            if at > len(whole):
                break
            whole = whole[:at] + payload
        return whole

    return {key[1]: Conversation(joined(key), joined((key[2], key[3], key[0], key[1]))) for key in clients}


def hello_length(stream: bytes) -> int:
    """How many bytes of a client's stream its ClientHello takes, which has to lie in one record as all these clients send it."""
    kind, _, length = struct.unpack("!BHH", stream[:5])
    message = struct.unpack("!I", b"\0" + stream[6:9])[0]
    if kind != 22 or stream[5] != 1 or message + 4 != length or len(stream) < 5 + length:
        raise ValueError("the stream does not begin with a whole ClientHello in one record")
    return 5 + length
