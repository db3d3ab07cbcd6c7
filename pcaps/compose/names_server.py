"""Turns a JSON configuration into HTTP/1.1 servers that keep connections open, and a forward proxy that does too.

Run inside a namespace: `names_server.py CONFIG.json`. Prints `ready` when all listen. The servers are those of
Python's http.server: they answer several requests on a connection, also pipelined ones, and send 100 Continue.

    {"http":  {"addresses": [..], "port": 80},
     "proxy": {"address": "..", "port": 3128, "hosts": {"name": "address"}, "source": "..", "first_port": 45001}}
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from servers import filler


class Site(BaseHTTPRequestHandler):
    """Answers every request with 256 bytes, having read its body."""

    protocol_version = "HTTP/1.1"
    server_version = "site/1"
    sys_version = ""

    def log_message(self, *_) -> None:
        pass

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        whole = b""
        while length := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(length)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return whole

    def respond(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self.body()
        self.respond(filler(256))

    do_POST = do_PUT = do_GET


class Proxy(Site):
    """Forwards requests in absolute form, each over a connection of its own from the next port."""

    config: dict = {}
    lock = threading.Lock()

    def do_GET(self) -> None:
        wanted = urlsplit(self.path)
        with self.lock:
            port = self.config["first_port"]
            self.config["first_port"] += 1
        upstream = http.client.HTTPConnection(self.config["hosts"][wanted.hostname], 80, timeout=20, source_address=(self.config["source"], port))
        passed = {key: value for key, value in self.headers.items() if key.lower() not in ("proxy-connection", "connection")}
        upstream.request(self.command, wanted.path, self.body() or None, {**passed, "Connection": "close"})
        self.respond(upstream.getresponse().read())
        upstream.close()

    do_POST = do_PUT = do_GET


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    made = []
    listening = [(address, config["http"]["port"], Site) for address in config.get("http", {}).get("addresses", [])]
    if "proxy" in config:
        Proxy.config = config["proxy"]
        listening.append((Proxy.config["address"], Proxy.config["port"], Proxy))
    for address, port, handler in listening:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made.append(type("Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})((address, port), handler))
    threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in made]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
