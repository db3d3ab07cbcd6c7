"""Turns its arguments into one exchange with a server: TLS by Python's ssl, DNS, NTP, ping, a bare connect.

Run inside the namespace of a host; exits 0 if the exchange went as its kind expects.

    python_client.py tls      BIND PORT ADDRESS PORT NAME CA  < request
    python_client.py dns      BIND PORT ADDRESS NAME KIND
    python_client.py ntp      BIND PORT ADDRESS
    python_client.py ping     BIND ADDRESS COUNT
    python_client.py attempt  BIND PORT ADDRESS PORT SECONDS  (nobody answers, or a reset does)
"""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import time


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bound(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(family_of(address), kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    made.settimeout(15)
    return made


def tls(bind: str, bind_port: str, address: str, port: str, name: str, authority: str) -> int:
    context = ssl.create_default_context(cafile=authority)
    plain = bound(bind, int(bind_port), socket.SOCK_STREAM)
    plain.connect((address, int(port)))
    with context.wrap_socket(plain, server_hostname=name) as stream:
        stream.sendall(sys.stdin.buffer.read())
        first = stream.recv(65536)
        while stream.recv(65536):
            pass
        stream.unwrap()
    return 0 if first.startswith(b"HTTP/1.1 200") else 1


def dns(bind: str, bind_port: str, address: str, name: str, kind: str) -> int:
    number = {"A": 1, "AAAA": 28}[kind]
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with bound(bind, int(bind_port), socket.SOCK_DGRAM) as client:
        client.sendto(struct.pack("!HHHHHH", int(bind_port), 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", number, 1), (address, 53))
        reply = client.recv(2048)
    return 0 if reply[:2] == struct.pack("!H", int(bind_port)) else 1


def ntp(bind: str, bind_port: str, address: str) -> int:
    with bound(bind, int(bind_port), socket.SOCK_DGRAM) as client:
        client.sendto(b"\x23" + bytes(39) + struct.pack("!Q", int(time.time() + 2208988800) << 32), (address, 123))
        return 0 if len(client.recv(512)) == 48 else 1


def ones_complement(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping(bind: str, address: str, count: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as client:
        client.bind((bind, 0))
        client.settimeout(3)
        for sequence in range(1, int(count) + 1):
            body = struct.pack("!HH", 4711, sequence) + bytes(range(56))
            check = ones_complement(b"\x08\0\0\0" + body)
            client.sendto(b"\x08\0" + struct.pack("!H", check) + body, (address, 0))
            client.recv(2048)
            time.sleep(0.2)
    return 0


def attempt(bind: str, bind_port: str, address: str, port: str, seconds: str) -> int:
    with bound(bind, int(bind_port), socket.SOCK_STREAM) as client:
        client.settimeout(float(seconds))
        try:
            client.connect((address, int(port)))
        except OSError:
            return 0
    return 1


if __name__ == "__main__":
    raise SystemExit({"tls": tls, "dns": dns, "ntp": ntp, "ping": ping, "attempt": attempt}[sys.argv[1]](*sys.argv[2:]))
