"""Turns a JSON configuration into servers that answer real clients: TLS and plain HTTP, DNS, NTP.

Run inside the namespace of the servers: `servers.py CONFIG.json`. Prints `ready` when all listen.

    {"tls":  {"addresses": [..], "certificates": {"name": "file.pem"}, "key": "key.pem", "port": 443},
     "http": {"addresses": [..], "port": 80},
     "dns":  {"addresses": [..], "answers": {"name": ["address", ..]}, "faults": {"name": "servfail|second|silent"}},
     "ntp":  {"addresses": [..]}}
"""

from __future__ import annotations

import json
import random
import socket
import ssl
import struct
import sys
import threading
import time

# The bytes of every answer: not compressible, the same in each run.
FILLER = random.Random(20170913).randbytes(1 << 16)


def filler(length: int) -> bytes:
    return (FILLER * (length // len(FILLER) + 1))[:length]


def answer(stream) -> None:
    """One HTTP request: reads head and body, answers with as many bytes as `X-Answer-Length` asks for."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = stream.recv(16384)
        if not piece:
            return
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    fields = {}
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        fields[key.strip().lower()] = value.strip()
    missing = int(fields.get(b"content-length", b"0")) - len(body)
    if fields.get(b"expect", b"").lower() == b"100-continue":
        stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while missing > 0:
        piece = stream.recv(65536)
        if not piece:
            return
        missing -= len(piece)
    length = int(fields.get(b"x-answer-length", b"512"))
    stream.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % length
        + filler(length)
    )


def serve_connection(connection: socket.socket, context: ssl.SSLContext | None) -> None:
    connection.settimeout(20)
    try:
        if context is None:
            answer(connection)
            connection.shutdown(socket.SHUT_WR)
        else:
            with context.wrap_socket(connection, server_side=True) as stream:
                answer(stream)
                stream.unwrap()
    except OSError:
        # The client's own exit code says whether its request failed.
        pass
    finally:
        connection.close()


def listen(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    if kind == socket.SOCK_STREAM:
        server.listen(64)
    return server


def accept_all(server: socket.socket, context: ssl.SSLContext | None) -> None:
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve_connection, args=(connection, context), daemon=True).start()


def tls_context(config: dict) -> ssl.SSLContext:
    """One context per name, chosen by the SNI; a hello without one gets the first certificate."""
    contexts = {}
    for name, certificate in config["certificates"].items():
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[name].load_cert_chain(certificate, config["key"])
    first = next(iter(contexts.values()))

    def choose(stream: ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
        if name in contexts:
            stream.context = contexts[name]

    first.sni_callback = choose
    return first


def dns_name(query: bytes, offset: int) -> tuple[str, int]:
    labels = []
    while query[offset]:
        length = query[offset]
        labels.append(query[offset + 1 : offset + 1 + length].decode("ascii"))
        offset += 1 + length
    return ".".join(labels), offset + 1


def serve_dns(server: socket.socket, answers: dict[str, list[str]], faults: dict[str, str]) -> None:
    """Answers from the table; `faults` names what gets SERVFAIL, an answer only when asked a second time, or none."""
    heard: set[str] = set()
    while True:
        query, client = server.recvfrom(2048)
        try:
            name, end = dns_name(query, 12)
            kind = struct.unpack("!H", query[end : end + 2])[0]
        except (IndexError, struct.error, UnicodeDecodeError):
            continue
        fault = faults.get(name.lower())
        if fault == "silent" or (fault == "second" and name not in heard):
            heard.add(name)
            continue
        known = name.lower() in answers
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        records = b""
        count = 0
        for address in answers.get(name.lower(), []):
            if family is not None and (":" in address) == (family == socket.AF_INET6):
                raw = socket.inet_pton(family, address)
                records += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 300, len(raw)) + raw
                count += 1
        flags = 0x8182 if fault == "servfail" else 0x8180 if known else 0x8183
        head = query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0)
        server.sendto(head + query[12 : end + 4] + records, client)


def serve_ntp(server: socket.socket) -> None:
    while True:
        request, client = server.recvfrom(512)
        if len(request) < 48:
            continue
        now = time.time() + 2208988800
        stamp = struct.pack("!II", int(now), int((now % 1) * (1 << 32)))
        reply = struct.pack("!BBbbII4s", 0x24, 1, 6, -20, 0, 0, b"GPS\0") + stamp + request[40:48] + stamp + stamp
        server.sendto(reply, client)


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    threads = []
    for kind in ("tls", "http"):
        part = config.get(kind)
        if part:
            context = tls_context(part) if kind == "tls" else None
            for address in part["addresses"]:
                server = listen(address, part["port"], socket.SOCK_STREAM)
                threads.append(threading.Thread(target=accept_all, args=(server, context), daemon=True))
    for address in config.get("dns", {}).get("addresses", []):
        server = listen(address, 53, socket.SOCK_DGRAM)
        threads.append(threading.Thread(target=serve_dns, args=(server, config["dns"]["answers"], config["dns"].get("faults", {})), daemon=True))
    for address in config.get("ntp", {}).get("addresses", []):
        server = listen(address, 123, socket.SOCK_DGRAM)
        threads.append(threading.Thread(target=serve_ntp, args=(server,), daemon=True))
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
