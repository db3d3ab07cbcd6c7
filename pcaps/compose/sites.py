"""Turns two short recordings into multi-site/: two offices with the same private addresses, and the two halves of one capture.

Each office is a network of its own, recorded after the other: 192.168.10.21 in London and 192.168.10.21 in Paris are two hosts.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import certificates
from clients import Clients, Exchange
from demo import start_servers
from namespaces import Network
from pcapfile import ETHERNET, Frame, pcap_bytes, read_pcap
from recording import Recording

# Site, host, source port, server, name, client, vendor (None: nobody's security product).
VISITS = [
    ("london", 21, 40001, "91.228.166.14", "update.eset.com", "openssl", "eset"),
    ("london", 21, 40002, "91.228.166.45", "i1.c.eset.com", "curl", "eset"),
    ("london", 22, 40001, "203.0.113.80", "news.sites.example", "python", None),
    ("paris", 21, 40001, "93.159.228.20", "s03.upd.kaspersky.com", "openssl", "kaspersky"),
    ("paris", 22, 40002, "91.228.166.14", "update.eset.com", "curl", "eset"),
    # The same four numbers as in London, with another name.
    ("paris", 22, 40001, "203.0.113.80", "shop.sites.example", "python", None),
    ("paris", 21, 40002, "91.228.166.45", "i1.c.eset.com", "rustls", "eset"),
]
GATEWAY_MAC = bytes.fromhex("02000a0a0001")


def record(site: str, scratch: Path, rustls: Path) -> list[Frame]:
    visits = [visit for visit in VISITS if visit[0] == site]
    authority, key, files = certificates.make(scratch, [visit[4] for visit in visits])
    with Network() as network:
        network.add_server_addresses([visit[3] for visit in visits])
        for number in sorted({visit[1] for visit in visits}):
            network.add_host(f"pc{number}", number, [f"192.168.10.{number}"])
        start_servers(network, "servers", {"tls": {"certificates": files, "key": str(key), "port": 443, "addresses": sorted({visit[3] for visit in visits})}}, scratch)
        time.sleep(0.5)
        clients = Clients(network, scratch, authority, rustls)
        recorded = scratch / f"{site}.pcap"
        with Recording(network, recorded):
            for _, number, port, server, name, client, _ in visits:
                clients.ask(Exchange(f"pc{number}", f"192.168.10.{number}", port, server, 443, name, client))
    return read_pcap(recorded)


def expected(file: str, site: str, frames: list[Frame], **more) -> dict:
    visits = [visit for visit in VISITS if visit[0] == site]
    names = [{"kind": "tls_sni", "name": name, "src_ip": f"192.168.10.{number}", "src_port": port, "dest_ip": server, "dest_port": 443, "count": 1}
             for _, number, port, server, name, _, _ in visits]
    contacts = sorted({(f"192.168.10.{visit[1]}", visit[6]) for visit in visits if visit[6]})
    return {"capture": file, "site": site, "packets": len(frames), "names": names,
            "contacts": [{"host": host, "vendor": vendor} for host, vendor in contacts], "flows": {"tcp": len(visits)}, **more}


def compose(out: Path, scratch: Path, rustls: Path) -> Path:
    """Records both offices, cuts London into what it sent and what it received, and writes what to expect."""
    folder = out / "multi-site"
    listed = []
    for site in ("london", "paris"):
        own = scratch / site
        own.mkdir()
        frames = record(site, own, rustls)
        (folder / site).mkdir(parents=True, exist_ok=True)
        (folder / site / "office.pcap").write_bytes(pcap_bytes(frames, ETHERNET))
        listed.append(expected(f"multi-site/{site}/office.pcap", site, frames))
        if site == "london":
            to_gateway = [frame for frame in frames if frame.data[6:12] != GATEWAY_MAC]
            from_gateway = [frame for frame in frames if frame.data[6:12] == GATEWAY_MAC]
            halves = folder / "halves"
            halves.mkdir(exist_ok=True)
            for name, part in (("tx", to_gateway), ("rx", from_gateway)):
                (halves / f"{name}.pcap").write_bytes(pcap_bytes(part, ETHERNET))
                entry = expected(f"multi-site/halves/{name}.pcap", site, part, half=name)
                listed.append({**entry, "names": entry["names"] if name == "tx" else [], "contacts": entry["contacts"] if name == "tx" else []})
    notes = [
        "names and contacts are what the clients were told to ask for; only `packets` was counted",
        "halves/ is london/office.pcap, taken apart into what the hosts sent (tx) and what reached them (rx); merged by time it is the whole again",
    ]
    (folder / "expected.json").write_text(json.dumps({"composed_by": "pcaps/compose/compose.py", "captures": listed, "notes": notes}, indent=1) + "\n")
    return folder
