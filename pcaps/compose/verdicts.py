"""Turns products that are blocked in every way there is into verdicts.pcap: what a filter does must not hide what is installed.

Each host asks for the same kind of names several times. What becomes of its attempts is the case; the recording is spread over time as
the demo is, since once is no evidence of a product.
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
from spread import spread

RESOLVER = "192.168.10.1"
BLOCK_PAGE = "192.168.10.2"
VENDOR, VENDOR_REFUSES, VENDOR_SILENT = "91.228.166.14", "91.228.166.15", "91.228.166.16"

# Case, host, name, what the resolver answers (None: no such name), whether it connects and how that ends, times, what must come of it.
CASES = [
    ("reached", 51, "update.eset.com", VENDOR, "tls", 3, ("installed", "reached", "reached")),
    ("seen-once", 52, "update.eset.com", VENDOR, "tls", 1, ("indeterminate", "reached", "reached")),
    ("sinkholed", 53, "ts.eset.com", "0.0.0.0", None, 3, ("installed", "attempted", "name_sinkholed")),
    ("rpz-nxdomain", 54, "edf.eset.com", None, None, 3, ("installed", "attempted", "name_denied")),
    ("rpz-block-page", 55, "i1.c.eset.com", BLOCK_PAGE, "tls", 3, ("installed", "attempted", "diverted")),
    ("refused", 56, "epns.eset.com", VENDOR_REFUSES, "attempt", 3, ("installed", "attempted", "reset")),
    ("unanswered", 57, "activation-v2.kaspersky.com", VENDOR_SILENT, "attempt", 3, ("installed", "attempted", "unanswered")),
    ("one-way", 58, "update.eset.com", VENDOR, "tls", 3, ("installed", "reached", "one_way")),
    ("web-only", 59, "www.eset.com", VENDOR, "tls", 3, ("visited", "reached", "reached")),
    ("embedded", 60, "kav8.zonealarm.com", VENDOR, "tls", 3, ("embedded", "reached", "reached")),
    # The source of this name is weak: however often it is seen, nobody should sign for it.
    ("weak-rule", 61, "um01.eset.com", VENDOR, "tls", 3, ("indeterminate", "reached", "reached")),
]
SPREAD = 60
ONE_WAY = bytes([192, 168, 10, 58])


def is_to_one_way(data: bytes) -> bool:
    """A TCP frame that goes to the host of which the mirror shows one direction only."""
    return data[12:14] == b"\x08\x00" and data[30:34] == ONE_WAY and data[23] == 6


def compose(out: Path, scratch: Path, rustls: Path) -> Path:
    names = sorted({case[2] for case in CASES})
    authority, key, files = certificates.make(scratch, names)
    done = []
    with Network() as network:
        network.add_server_addresses([VENDOR, VENDOR_REFUSES])
        network.add_host("gateway", 2, [BLOCK_PAGE])
        for number in sorted({case[1] for case in CASES}):
            network.add_host(f"pc{number}", number, [f"192.168.10.{number}"])
        tls = {"certificates": files, "key": str(key), "port": 443}
        start_servers(network, "servers", {"tls": {**tls, "addresses": [VENDOR]}}, scratch)
        start_servers(network, "gateway", {"tls": {**tls, "addresses": [BLOCK_PAGE]}}, scratch)
        answers = {case[2]: [case[3]] for case in CASES if case[3]}
        start_servers(network, "router", {"dns": {"answers": answers, "addresses": [RESOLVER]}}, scratch)
        time.sleep(0.5)
        clients = Clients(network, scratch, authority, rustls)
        recorded = scratch / "recorded.pcap"
        with Recording(network, recorded):
            for turn in range(max(case[5] for case in CASES)):
                for case, number, name, answer, way, times, _ in CASES:
                    if turn >= times:
                        continue
                    host, source, port = f"pc{number}", f"192.168.10.{number}", 40000 + 100 * number + 10 * turn
                    clients.small(host, ["dns", source, str(port), RESOLVER, name, "A"])
                    if way == "tls":
                        clients.ask(Exchange(host, source, port + 1, answer, 443, name, "openssl"))
                    elif way == "attempt":
                        clients.small(host, ["attempt", source, str(port + 1), answer, "443", "2.5"])
                    done.append((case, source, name, port, way, answer))
                time.sleep(1.5)
    frames = [frame for frame in spread(read_pcap(recorded), SPREAD) if not is_to_one_way(frame.data)]
    (out / "verdicts.pcap").write_bytes(pcap_bytes(frames, ETHERNET))
    hellos = [{"kind": "tls_sni", "name": name, "src_ip": source, "src_port": port + 1, "dest_ip": answer, "dest_port": 443, "count": 1}
              for _, source, name, port, way, answer in done if way == "tls"]
    questions = [{"kind": "dns_query", "name": name, "src_ip": source, "src_port": port, "dest_ip": RESOLVER, "dest_port": 53, "count": 1}
                 for _, source, name, port, _, _ in done]
    verdicts = [{"case": case, "host": f"192.168.10.{number}", "name": name, "times": times, "verdict": verdict, "contact": contact, "outcome": outcome}
                for case, number, name, _, _, times, (verdict, contact, outcome) in CASES]
    expected = {"capture": "verdicts.pcap", "composed_by": "pcaps/compose/compose.py", "packets": len(frames), "names": hellos, "other_names": questions,
                "flows": {"tcp": sum(1 for entry in done if entry[4])}, "verdicts": verdicts,
                "notes": ["`verdict`, `contact` and `outcome` say what must come of each case, by docs/VERDICTS.md and what was done to the host",
                          "of the host of `one-way` nothing that its servers sent over TCP is in the capture"]}
    (out / "verdicts.expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    return out / "verdicts.pcap"
