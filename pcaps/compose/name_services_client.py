"""Sends one message as a client would that has no program of its own here: NetBIOS names, multicast DNS, LLMNR, DHCPINFORM, the beginning of QUIC.

    name_services_client.py KIND SOURCE PORT TARGET TARGET_PORT NAME [ADDRESS]
"""

from __future__ import annotations

import socket
import struct
import sys


def netbios(name: str, suffix: int = 0) -> bytes:
    """The first-level encoding (RFC 1001 section 14.1)."""
    padded = name.encode().ljust(15, b" ") + bytes([suffix])
    return b"\x20" + bytes(0x41 + half for byte in padded for half in (byte >> 4, byte & 15)) + b"\0"


def labels(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def header(number: int, flags: int, questions: int = 0, answers: int = 0, additional: int = 0) -> bytes:
    return struct.pack("!HHHHHH", number, flags, questions, answers, 0, additional)


def claim(opcode: int, name: str, address: str, ttl: int) -> bytes:
    """A registration, refresh or release: a question, and a record that points to its name (RFC 1002 section 4.2.2)."""
    record = struct.pack("!HHHIHH", 0xC00C, 0x20, 1, ttl, 6, 0) + socket.inet_aton(address)
    return header(0x7101 + opcode, opcode << 11 | 0x0110, 1, 0, 1) + netbios(name) + struct.pack("!HH", 0x20, 1) + record


def message(kind: str, name: str, address: str) -> bytes:
    if kind == "nbns-register":
        return claim(5, name, address, 300000)
    if kind == "nbns-release":
        return claim(6, name, address, 0)
    if kind == "nbns-answer":
        return header(0x7201, 0x8500, 0, 1) + netbios(name) + struct.pack("!HHIHH", 0x20, 1, 300000, 6, 0) + socket.inet_aton(address)
    if kind == "mdns-query":
        return header(0, 0, 1) + labels(name) + struct.pack("!HH", 12, 1)
    if kind in ("mdns-announce", "mdns-goodbye"):
        ttl = 120 if kind == "mdns-announce" else 0
        return header(0, 0x8400, 0, 1) + labels(name) + struct.pack("!HHIH", 1, 0x8001, ttl, 4) + socket.inet_aton(address)
    if kind == "llmnr-query":
        return header(0x7301, 0, 1) + labels(name) + struct.pack("!HH", 1, 1)
    if kind == "dns-two-questions":
        return header(0x7401, 0x0100, 2) + labels(name) + struct.pack("!HH", 1, 1) + struct.pack("!HHH", 0xC00C, 65, 1)
    if kind == "dhcp-inform":
        # A client that has its address asks for the rest (RFC 2131 section 3.4); NAME is its MAC.
        link = bytes.fromhex(name.replace(":", ""))
        fixed = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0x71017102, 0, 0) + socket.inet_aton(address) + bytes(12) + link + bytes(10 + 64 + 128)
        return fixed + bytes([99, 130, 83, 99, 53, 1, 8, 12, 4]) + b"pc74" + b"\xff"
    if kind == "quic":
        # A long header of version 1 with an Initial that nobody can open; what is recognised is the form.
        return b"\xc3\0\0\0\1\x08connect1\0\0\x44\x9e" + bytes(number * 7 % 251 for number in range(1182))
    raise SystemExit(f"unknown kind {kind}")


def main() -> None:
    kind, source, port, target, target_port, name, *rest = sys.argv[1:]
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sender.bind((source, int(port)))
        sender.sendto(message(kind, name, rest[0] if rest else ""), (target, int(target_port)))


if __name__ == "__main__":
    main()
