"""Turns hosts that speak names which nobody has into sensor-test.pcap and canaries.pcap.

The first is what every sensor must recognise, with the one fixed token. In the second hosts of two networks speak tokens as if they had
been issued; which of them prove what depends on whom the reader says they were issued for.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import certificates
from clients import Clients, Exchange
from demo import start_servers
from namespaces import Network
from pcapfile import ETHERNET, pcap_bytes, read_pcap
from recording import Recording

RESOLVER, SERVER = "192.168.10.1", "203.0.113.80"
TEST = "0" * 24 + "74657374"
ALPHA, BETA = "a1" * 16, "b2" * 16


def name(token: str) -> str:
    return f"avscope-canary-{token}.invalid"


def record(scratch: Path, rustls: Path, spoken: list[tuple[int, str]]) -> tuple[list, list[dict]]:
    """Each host asks for its name, requests it over HTTP and begins TLS with it."""
    names = sorted({name(token) for _, token in spoken})
    authority, key, files = certificates.make(scratch, names)
    said = []
    with Network() as network:
        network.add_server_addresses([SERVER])
        for number in sorted({number for number, _ in spoken}):
            network.add_host(f"pc{number}", number, [f"192.168.10.{number}"])
        start_servers(network, "servers", {"tls": {"certificates": files, "key": str(key), "port": 443, "addresses": [SERVER]},
                                           "http": {"addresses": [SERVER], "port": 80}}, scratch)
        start_servers(network, "router", {"dns": {"answers": {}, "addresses": [RESOLVER]}}, scratch)
        time.sleep(0.5)
        clients = Clients(network, scratch, authority, rustls)
        recorded = scratch / "recorded.pcap"
        with Recording(network, recorded):
            for number, token in spoken:
                host, source = f"pc{number}", f"192.168.10.{number}"
                port = 41000 + 10 * number
                clients.small(host, ["dns", source, str(port), RESOLVER, name(token), "A"])
                clients.ask(Exchange(host, source, port + 1, SERVER, 80, name(token), "curl-http"))
                clients.ask(Exchange(host, source, port + 2, SERVER, 443, name(token), "openssl"))
                for kind, own, server, other in (("dns_query", port, RESOLVER, 53), ("http_host", port + 1, SERVER, 80), ("tls_sni", port + 2, SERVER, 443)):
                    said.append({"kind": kind, "name": name(token), "src_ip": source, "src_port": own, "dest_ip": server, "dest_port": other, "count": 1})
    return read_pcap(recorded), said


def compose(out: Path, scratch: Path, rustls: Path) -> Path:
    for file, spoken in (("sensor-test", [(21, TEST)]), ("canaries", [(21, ALPHA), (40, BETA)])):
        own = scratch / file
        own.mkdir()
        frames, said = record(own, rustls, spoken)
        (out / f"{file}.pcap").write_bytes(pcap_bytes(frames, ETHERNET))
        expected = {"capture": f"{file}.pcap", "composed_by": "pcaps/compose/compose.py", "packets": len(frames),
                    "names": [entry for entry in said if entry["kind"] == "tls_sni"],
                    "other_names": [entry for entry in said if entry["kind"] != "tls_sni"], "flows": {"tcp": 2 * len(spoken), "udp": len(spoken)}}
        (out / f"{file}.expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    return out / "canaries.pcap"
