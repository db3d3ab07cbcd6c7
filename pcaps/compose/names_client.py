"""Turns its arguments into DNS and HTTP exchanges that the usual programs do not make at will.

Run inside the namespace of a host; exits 0 if everything that should be answered was.

    names_client.py flight   BIND PORT RESOLVER NAME:TYPE...        all questions at once, from one port
    names_client.py again    BIND PORT RESOLVER NAME TRIES SECONDS  the same datagram until an answer comes
    names_client.py visit    BIND PORT NAME PATH AGENT              resolved by the system, then one GET
    names_client.py series   BIND PORT ADDRESS PORT  < requests     one connection; JSON list of {method, target, headers, body, chunked}
    names_client.py send     BIND PORT ADDRESS PORT PIECE ANSWERS < bytes   as given, PIECE bytes a segment (0: at once)
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import sys
import time

from python_client import bound

TYPES = {"A": 1, "AAAA": 28}


def question(identifier: int, name: str, kind: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", TYPES[kind], 1)


def flight(bind: str, port: str, resolver: str, *questions: str) -> int:
    with bound(bind, int(port), socket.SOCK_DGRAM) as client:
        for number, asked in enumerate(questions):
            name, kind = asked.rsplit(":", 1)
            client.sendto(question(0x4000 + number, name, kind), (resolver, 53))
        answered = {struct.unpack("!H", client.recv(2048)[:2])[0] for _ in questions}
    return 0 if len(answered) == len(questions) else 1


def again(bind: str, port: str, resolver: str, name: str, tries: str, seconds: str) -> int:
    """Exits 0 if an answer came, 3 if none did."""
    with bound(bind, int(port), socket.SOCK_DGRAM) as client:
        client.settimeout(float(seconds))
        for _ in range(int(tries)):
            client.sendto(question(0x5151, name, "A"), (resolver, 53))
            try:
                client.recv(2048)
                return 0
            except TimeoutError:
                pass
    return 3


def visit(bind: str, port: str, name: str, path: str, agent: str) -> int:
    connection = http.client.HTTPConnection(name, 80, timeout=15, source_address=(bind, int(port)))
    connection.request("GET", path, headers={"User-Agent": agent})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return 0 if answer.status == 200 else 1


def series(bind: str, port: str, address: str, other: str) -> int:
    connection = http.client.HTTPConnection(address, int(other), timeout=15, source_address=(bind, int(port)))
    for wanted in json.load(sys.stdin):
        body = wanted.get("body", "").encode() or None
        connection.putrequest(wanted["method"], wanted["target"], skip_host=True, skip_accept_encoding=True)
        headers = dict(wanted["headers"])
        if wanted.get("chunked"):
            headers["Transfer-Encoding"] = "chunked"
            body = iter([body[at : at + 100] for at in range(0, len(body), 100)])
        elif body:
            headers["Content-Length"] = str(len(body))
        for key, value in headers.items():
            connection.putheader(key, value)
        connection.endheaders(body, encode_chunked=bool(wanted.get("chunked")))
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            return 1
    connection.close()
    return 0


def send(bind: str, port: str, address: str, other: str, piece: str, answers: str) -> int:
    given = sys.stdin.buffer.read()
    step = int(piece) or len(given)
    with bound(bind, int(port), socket.SOCK_STREAM) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.connect((address, int(other)))
        # Each write is a segment: the initial window takes ten, so the rest leaves as acknowledgements come.
        for at in range(0, len(given), step):
            client.sendall(given[at : at + step])
            if step < len(given):
                time.sleep(0.004)
        seen = b""
        while seen.count(b"HTTP/1.1 200") + seen.count(b"HTTP/1.0 200") < int(answers) or len(seen) < 256 * int(answers):
            part = client.recv(65536)
            if not part:
                break
            seen += part
    return 0 if seen.count(b" 200 OK") == int(answers) else 1


if __name__ == "__main__":
    raise SystemExit({"flight": flight, "again": again, "visit": visit, "series": series, "send": send}[sys.argv[1]](*sys.argv[2:]))
