"""Turns a JSON configuration into what stands before a server's name: proxies, and servers that begin TLS when they are asked to.

Run inside a namespace: `proxies_server.py CONFIG.json`. Prints `ready` when all listen.

    {"starttls": {"address": "..", "certificate": "file.pem", "key": "key.pem", "protocols": {"smtp": 25, ..}},
     "socks4":   {"address": "..", "port": 1080, "hosts": {"name": "address"}},
     "connect":  {"address": "..", "port": 3128, "hosts": {"name": "address"}}}

`connect` asks for a password once on each connection and keeps it open.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
import threading


def line(stream: socket.socket) -> bytes:
    read = b""
    while not read.endswith(b"\n"):
        byte = stream.recv(1)
        if not byte:
            raise ConnectionError("closed")
        read += byte
    return read


def exactly(stream: socket.socket, length: int) -> bytes:
    read = b""
    while len(read) < length:
        piece = stream.recv(length - len(read))
        if not piece:
            raise ConnectionError("closed")
        read += piece
    return read


# -- what is said before TLS -------------------------------------------------------------------------------------------------


def by_lines(greeting: bytes, answers: dict[bytes, bytes], asked: tuple[bytes, ...], agreed: bytes):
    """A dialogue of lines: answers by the command, up to the one that asks for TLS."""

    def talk(stream: socket.socket) -> None:
        stream.sendall(greeting)
        while True:
            said = line(stream).strip()
            words = said.split()
            tag = b"." if words[:1] == [b"."] else b""
            command = b" ".join(words[1:] if tag else words).upper()
            if any(command.startswith(word) for word in asked):
                stream.sendall(agreed.replace(b"TAG", tag))
                return
            answer = next((answer for word, answer in answers.items() if command.startswith(word)), b"500 ?\r\n")
            stream.sendall(answer.replace(b"TAG", tag))

    return talk


def ldap(stream: socket.socket) -> None:
    length = exactly(stream, 2)[1]
    if b"1.3.6.1.4.1.1466.20037" not in exactly(stream, length):
        raise ConnectionError("no request for TLS")
    stream.sendall(bytes.fromhex("300c02010178070a010004000400"))


def postgres(stream: socket.socket) -> None:
    if struct.unpack("!II", exactly(stream, 8)) != (8, 80877103):
        raise ConnectionError("no request for TLS")
    stream.sendall(b"S")


def mysql(stream: socket.socket) -> None:
    capabilities = 0x0800 | 0x0200 | 0x8000
    greeting = b"\x0a8.0.0-composed\0" + struct.pack("<I", 7) + b"12345678\0" + struct.pack("<HBHH", capabilities, 33, 2, 0) + bytes([21]) + bytes(10) + b"123456789012\0"
    stream.sendall(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
    exactly(stream, 36)


def xmpp(stream: socket.socket) -> None:
    read = b""
    while b">" not in read or b"stream:stream" not in read:
        read += stream.recv(1024)
    stream.sendall(b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'>"
                   b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>")
    read = b""
    while b"starttls" not in read:
        read += stream.recv(1024)
    stream.sendall(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")


BEFORE_TLS = {
    "smtp": by_lines(b"220 mail ESMTP\r\n", {b"EHLO": b"250-mail\r\n250 STARTTLS\r\n"}, (b"STARTTLS",), b"220 go on\r\n"),
    "imap": by_lines(b"* OK IMAP4rev1 ready\r\n", {b"CAPABILITY": b"* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK done\r\n"}, (b"STARTTLS",), b"TAG OK go on\r\n"),
    "pop3": by_lines(b"+OK ready\r\n", {b"CAPA": b"+OK\r\nSTLS\r\n.\r\n"}, (b"STLS",), b"+OK go on\r\n"),
    "ftp": by_lines(b"220 FTP ready\r\n", {b"FEAT": b"211-Features\r\n AUTH TLS\r\n211 End\r\n"}, (b"AUTH",), b"234 go on\r\n"),
    "nntp": by_lines(b"200 NNTP ready\r\n", {b"CAPABILITIES": b"101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"}, (b"STARTTLS",), b"382 go on\r\n"),
    "irc": by_lines(b"", {}, (b"STARTTLS",), b":irc.proxies.example 670 * :STARTTLS successful, go ahead with TLS handshake\r\n"),
    "ldap": ldap, "postgres": postgres, "mysql": mysql, "xmpp": xmpp,
}


def start_tls(stream: socket.socket, protocol: str, context: ssl.SSLContext) -> None:
    BEFORE_TLS[protocol](stream)
    with context.wrap_socket(stream, server_side=True) as inside:
        while inside.recv(4096):
            pass


# -- proxies -----------------------------------------------------------------------------------------------------------------


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def tunnel(stream: socket.socket, address: str, port: int, agreed: bytes) -> None:
    with socket.create_connection((address, port), timeout=20) as upstream:
        stream.sendall(agreed)
        other = threading.Thread(target=pump, args=(upstream, stream))
        other.start()
        pump(stream, upstream)
        other.join()


def socks4(stream: socket.socket, hosts: dict) -> None:
    version, command, port, address = struct.unpack("!BBH4s", exactly(stream, 8))
    if (version, command) != (4, 1):
        raise ConnectionError("not SOCKS 4")
    fields = []
    for _ in range(2 if address[:3] == b"\0\0\0" else 1):
        field = b""
        while (byte := exactly(stream, 1)) != b"\0":
            field += byte
        fields.append(field)
    host = hosts[fields[1].decode()] if len(fields) == 2 else socket.inet_ntoa(address)
    tunnel(stream, host, port, b"\0\x5a" + bytes(6))


def connect(stream: socket.socket, hosts: dict) -> None:
    for refused in (True, False):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += line(stream)
        if refused:
            stream.sendall(b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="composed"\r\nContent-Length: 7\r\n\r\nno, no\n')
    host, _, port = head.split()[1].decode().partition(":")
    tunnel(stream, hosts[host], int(port), b"HTTP/1.1 200 Connection established\r\n\r\n")


def listen(address: str, port: int, handle) -> None:
    listener = socket.create_server((address, port))

    def guarded(stream: socket.socket) -> None:
        with stream:
            try:
                stream.settimeout(20)
                handle(stream)
            except (OSError, KeyError) as error:
                print(f"{address}:{port}: {error!r}", file=sys.stderr)

    def accept() -> None:
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=guarded, args=(stream,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def main() -> None:
    with open(sys.argv[1]) as file:
        config = json.load(file)
    if given := config.get("starttls"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given["certificate"], given["key"])
        for protocol, port in given["protocols"].items():
            listen(given["address"], port, lambda stream, protocol=protocol: start_tls(stream, protocol, context))
    for name, handle in (("socks4", socks4), ("connect", connect)):
        if given := config.get(name):
            listen(given["address"], given["port"], lambda stream, handle=handle, hosts=given["hosts"]: handle(stream, hosts))
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
