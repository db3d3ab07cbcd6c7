"""Turns capture files into frames and frames into capture files: pcap and pcapng, in either byte order.

Only what the composed captures need; the readers take what tcpdump wrote.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path

ETHERNET, RAW, LINUX_SLL, IPV4, IPV6, LINUX_SLL2 = 1, 101, 113, 228, 229, 276
NULL, PPP, PPP_HDLC, C_HDLC, IEEE802_11, FRELAY, LOOP, PRISM, RADIOTAP, NFLOG = 0, 9, 50, 104, 105, 107, 108, 119, 127, 239


@dataclass(frozen=True)
class Frame:
    """A frame: time in nanoseconds, the bytes captured, and the length it had on the wire."""

    time_ns: int
    data: bytes
    wire_length: int

    @staticmethod
    def whole(time_ns: int, data: bytes) -> "Frame":
        return Frame(time_ns, data, len(data))

    def cut(self, length: int) -> "Frame":
        return replace(self, data=self.data[:length])


def read_pcap(path: Path) -> list[Frame]:
    """The frames of a little-endian pcap file in microseconds, as tcpdump writes it here."""
    raw = path.read_bytes()
    magic, _, _, _, _, _, link = struct.unpack("<IHHiIII", raw[:24])
    if magic != 0xA1B2C3D4 or link != ETHERNET:
        raise ValueError(f"{path}: not the little-endian Ethernet pcap that tcpdump writes")
    frames, at = [], 24
    while at + 16 <= len(raw):
        seconds, fraction, length, wire = struct.unpack("<IIII", raw[at : at + 16])
        frames.append(Frame(seconds * 10**9 + fraction * 1000, raw[at + 16 : at + 16 + length], wire))
        at += 16 + length
    return frames


def pcap_bytes(frames: list[Frame], link: int, order: str = "<", nanoseconds: bool = False, snap: int = 262144) -> bytes:
    """A classic pcap file; `order` is `<` or `>`."""
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for frame in frames:
        seconds, rest = divmod(frame.time_ns, 10**9)
        parts.append(struct.pack(order + "IIII", seconds, rest // unit, len(frame.data), frame.wire_length) + frame.data)
    return b"".join(parts)


def modified_pcap_bytes(frames: list[Frame], link: int, order: str = "<") -> bytes:
    """A pcap file with the modified record header: interface index, protocol, packet type and padding behind the usual one."""
    parts = [struct.pack(order + "IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, link)]
    for frame in frames:
        seconds, rest = divmod(frame.time_ns, 10**9)
        parts.append(struct.pack(order + "IIIIIHBB", seconds, rest // 1000, len(frame.data), frame.wire_length, 2, 0x0800, 0, 0) + frame.data)
    return b"".join(parts)


class PcapNg:
    """Writes one pcapng section after another; blocks come out in the order of the calls."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.order = "<"
        self.units: list[int] = []

    def _block(self, kind: int, body: bytes) -> None:
        body += bytes(-len(body) % 4)
        length = struct.pack(self.order + "I", len(body) + 12)
        self.parts.append(struct.pack(self.order + "I", kind) + length + body + length)

    def _option(self, code: int, value: bytes) -> bytes:
        return struct.pack(self.order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

    def section(self, order: str = "<") -> None:
        self.order, self.units = order, []
        self._block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))

    def interface(self, link: int, resolution: int | None = None, name: str = "", snap: int = 0) -> int:
        """An interface; `resolution` is the byte of if_tsresol: 6, 9, or 0x80 | exponent of two."""
        options = self._option(2, name.encode()) if name else b""
        if resolution is not None:
            options += self._option(9, bytes([resolution]))
        if options:
            options += self._option(0, b"")
        self._block(1, struct.pack(self.order + "HHI", link, 0, snap) + options)
        exponent = 6 if resolution is None else resolution
        self.units.append(1 << (exponent & 0x7F) if exponent & 0x80 else 10**exponent)
        return len(self.units) - 1

    def packet(self, interface: int, frame: Frame) -> None:
        """An Enhanced Packet Block."""
        ticks = frame.time_ns * self.units[interface] // 10**9
        head = struct.pack(self.order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(frame.data), frame.wire_length)
        self._block(6, head + frame.data)

    def simple_packet(self, frame: Frame) -> None:
        """A Simple Packet Block: no interface, no time; it belongs to the section's first interface."""
        self._block(3, struct.pack(self.order + "I", frame.wire_length) + frame.data)

    def unknown(self, body: bytes) -> None:
        """A block of a type that no reader knows and every reader has to step over."""
        self._block(0x00AB5C0E, body)

    def to_bytes(self) -> bytes:
        return b"".join(self.parts)
