"""Turns cases/demo.toml into demo.pcap and demo.expected.json: an office, recorded with real clients and servers.

The expected results are the record of what was asked: each connection's addresses and ports as the client
bound them, the name it was given, the vendor and purpose which the case file holds for that name.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from collections import Counter
from pathlib import Path

import certificates
from clients import Clients, Exchange, run_all
from namespaces import HERE, ComposeError, Network
from pcapfile import read_pcap
from recording import Recording
from servers import filler
from spread import spread_file

# Recorded in half a minute, told as half an hour: what comes back after a minute and more is a program.
SPREAD = 60


def start_servers(network: Network, short: str, config: dict, scratch: Path) -> None:
    """Starts servers.py inside a namespace and waits until it listens."""
    file = scratch / f"servers-{short}.json"
    file.write_text(json.dumps(config))
    process = network.start(short, [sys.executable, str(HERE / "servers.py"), str(file)], stdout=subprocess.PIPE, text=True)
    if process.stdout.readline().strip() != "ready":
        raise ComposeError(f"the servers in {short} did not start: see what they said above")


def start_openssl_server(network: Network, address: str, certificate: str, key: Path, scratch: Path) -> None:
    """OpenSSL's own server, which hands out the files of its folder."""
    folder = scratch / "files"
    folder.mkdir(exist_ok=True)
    (folder / "update.bin").write_bytes(filler(32768))
    network.start(
        "servers", ["openssl", "s_server", "-quiet", "-accept", f"{address}:443", "-cert", certificate, "-key", str(key), "-WWW"],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )


class Office:
    """What the hosts do, and the ledger of what they did."""

    def __init__(self, case: dict, clients: Clients) -> None:
        self.case = case
        self.clients = clients
        self.hosts = {host["id"]: host for host in case["host"]}
        self.servers = {server["name"]: server for server in case["server"]}
        self.lock = threading.Lock()
        self.done: list[dict] = []
        self.ports = {host["id"]: 40000 + 100 * host["number"] for host in case["host"]}

    def port(self, host: str) -> int:
        with self.lock:
            self.ports[host] += 1
            return self.ports[host]

    def address(self, host: str, other: str) -> str:
        six = ":" in other
        return next(address for address in self.hosts[host]["addresses"] if (":" in address) == six)

    def note(self, kind: str, source: str, port: int, destination: str, other_port: int, **more) -> None:
        with self.lock:
            self.done.append({"kind": kind, "src_ip": source, "src_port": port, "dest_ip": destination, "dest_port": other_port, **more})

    def resolve(self, host: str, name: str, six: bool, server: str | None = None) -> None:
        server = server or self.case["resolver"]
        source, port = self.address(host, server), self.port(host)
        self.clients.small(host, ["dns", source, str(port), server, name, "AAAA" if six else "A"])
        self.note("dns", source, port, server, 53, name=name)

    def visit(self, host: str, wish: dict) -> None:
        server = self.servers[wish["name"]]
        destination = server["address"]
        self.resolve(host, wish["name"], ":" in destination)
        plain = wish["client"] == "curl-http"
        exchange = Exchange(host, self.address(host, destination), self.port(host), destination, 80 if plain else 443, wish["name"],
                            wish["client"], wish["up"], wish["down"], tuple(wish.get("options", ())))
        self.clients.ask(exchange)
        self.note("http" if plain else "tls", exchange.source, exchange.source_port, destination, exchange.destination_port,
                  name=wish["name"], client=wish["client"], sent=wish["up"], received=wish["down"])

    def nameless(self, host: str, wish: dict) -> None:
        exchange = Exchange(host, self.address(host, wish["address"]), self.port(host), wish["address"], 443, "", wish["client"], wish["up"], wish["down"])
        self.clients.ask(exchange)
        self.note("tls", exchange.source, exchange.source_port, wish["address"], 443, name="", why=wish["why"], client=wish["client"],
                  sent=wish["up"], received=wish["down"])

    def attempt(self, host: str, wish: dict) -> None:
        source, port = self.address(host, wish["address"]), self.port(host)
        self.clients.small(host, ["attempt", source, str(port), wish["address"], str(wish["port"]), "3.5"])
        self.note("attempt", source, port, wish["address"], wish["port"], answer=wish["answer"])

    def other(self, host: str, wish: dict) -> None:
        if wish["kind"] == "dns":
            self.resolve(host, wish["name"], False, wish["address"])
        elif wish["kind"] == "ntp":
            source, port = self.address(host, wish["address"]), self.port(host)
            self.clients.small(host, ["ntp", source, str(port), wish["address"]])
            self.note("ntp", source, port, wish["address"], 123)
        else:
            source = self.address(host, wish["address"])
            self.clients.small(host, ["ping", source, wish["address"], str(wish["times"])])
            self.note("ping", source, 0, wish["address"], 0, times=wish["times"])

    def day(self, host: str):
        """Everything one host does, in an order and with pauses that the seed gives."""
        chance = random.Random(f"{self.case['seed']}:{host}")
        deeds = []
        for deed, wishes in ((self.visit, self.case["visit"]), (self.nameless, self.case["nameless"])):
            deeds += [(deed, wish) for wish in wishes if wish["host"] == host for _ in range(wish["times"])]
        deeds += [(self.attempt, wish) for wish in self.case["attempt"] if wish["host"] == host]
        deeds += [(self.other, wish) for wish in self.case["other"] if wish["host"] == host]
        chance.shuffle(deeds)

        def run() -> None:
            time.sleep(chance.uniform(0, 2))
            for deed, wish in deeds:
                deed(host, wish)
                time.sleep(chance.uniform(0.2, 3.5))

        return run


def identity(entry: dict) -> dict:
    return {key: entry[key] for key in ("src_ip", "src_port", "dest_ip", "dest_port")}


def named(kind: str, entry: dict) -> dict:
    return {"kind": kind, "name": entry["name"], **identity(entry), "count": 1}


def contacts(office: Office, kind: str) -> list[dict]:
    """Per host and name what the case file holds about the name, and over how many connections."""
    met = Counter((entry["src_ip"], entry["name"]) for entry in office.done if entry["kind"] == kind and entry["name"])
    found = []
    for (host, name), connections in sorted(met.items()):
        server = office.servers[name]
        if "vendor" in server:
            found.append({"host": host, "vendor": server["vendor"], "purpose": server["purpose"], "name": name,
                          "engine": server.get("engine"), "pattern": server["pattern"], "server": server["address"], "connections": connections})
    return found


def expected(office: Office, packets: int) -> dict:
    order = sorted(office.done, key=lambda entry: (entry["src_ip"], entry["src_port"]))
    tls = [entry for entry in order if entry["kind"] == "tls"]
    kinds = Counter(entry["kind"] for entry in order)
    return {
        "capture": "demo.pcap",
        "composed_by": "pcaps/compose/compose.py",
        "packets": packets,
        "names": [named("tls_sni", entry) for entry in tls if entry["name"]],
        "unnamed": [{**identity(entry), "reason": entry["why"]} for entry in tls if not entry["name"]],
        "contacts": contacts(office, "tls"),
        "not_security": sorted({entry["name"] for entry in order if entry.get("name") and "vendor" not in office.servers[entry["name"]]}),
        "attempted": [{**identity(entry), "answer": entry["answer"]} for entry in order if entry["kind"] == "attempt"],
        "other_names": [named("http_host", entry) for entry in order if entry["kind"] == "http"]
        + [named("dns_query", entry) for entry in order if entry["kind"] == "dns"],
        "contacts_by_http_host": contacts(office, "http"),
        "flows": {
            "tcp": kinds["tls"] + kinds["http"] + kinds["attempt"],
            "udp": kinds["dns"] + kinds["ntp"],
            "icmp": kinds["ping"],
            "tls": kinds["tls"], "http": kinds["http"], "dns": kinds["dns"], "ntp": kinds["ntp"], "attempted": kinds["attempt"],
        },
        "application_bytes": [{**identity(entry), "sent_at_least": entry["sent"], "received_at_least": entry["received"]}
                              for entry in order if entry["kind"] in ("tls", "http")],
        "notes": [
            "names, contacts and flows are what the clients were told to do; nothing here was read from the capture but `packets`",
            "names holds the kind tls_sni; other_names holds the names of plain HTTP and DNS",
            "the home network is 192.168.10.0/24 and fd5a:10:20:30::/64; the resolver and intranet.office.example are home-home traffic",
            "kav8.zonealarm.com and kav8.checkpoint.com are Check Point's own names for updates of the Kaspersky engine inside its products",
            "www.kaspersky.com.example.net and kaspersky-labs.com.example.net only look like a vendor's names",
            "the frames include ARP and IPv6 neighbour discovery; each ping is one flow of echo requests and replies",
        ],
    }


def compose(out: Path, scratch: Path, rustls: Path) -> Path:
    """Records demo.pcap and writes what to expect of it; gives the capture's path."""
    case = tomllib.loads((HERE / "cases" / "demo.toml").read_text())
    names = [server["name"] for server in case["server"]]
    authority, key, files = certificates.make(scratch, ["default.office.example", *names])
    home = {address for host in case["host"] for address in host["addresses"]}
    openssl_served = {server["name"]: server["address"] for server in case["server"] if server.get("openssl_server")}
    outside = {server["address"] for server in case["server"]} - home
    with Network() as network:
        network.add_server_addresses([*outside, *(wish["address"] for wish in case["other"])])
        for host in case["host"]:
            network.add_host(host["id"], host["number"], host["addresses"])
        tls = {"certificates": files, "key": str(key), "port": 443}
        answers: dict[str, list[str]] = {}
        for server in case["server"]:
            answers.setdefault(server["name"], []).append(server["address"])
        dns = {"answers": answers}
        plain = {server["address"] for server in case["server"] if server.get("plain")}
        start_servers(network, "servers", {
            "tls": {**tls, "addresses": sorted(outside - set(openssl_served.values()))},
            "http": {"addresses": sorted(plain), "port": 80},
            "dns": {**dns, "addresses": ["9.9.9.9"]},
            "ntp": {"addresses": ["162.159.200.1"]},
        }, scratch)
        start_servers(network, "router", {"dns": {**dns, "addresses": [case["resolver"]]}}, scratch)
        inside = [server["address"] for server in case["server"] if server["address"] in home]
        for host in case["host"]:
            mine = [address for address in inside if address in host["addresses"]]
            if mine:
                start_servers(network, host["id"], {"tls": {**tls, "addresses": mine}}, scratch)
        for name, address in openssl_served.items():
            start_openssl_server(network, address, files[name], key, scratch)
        time.sleep(0.5)
        office = Office(case, Clients(network, scratch, authority, rustls))
        recorded = scratch / "demo.pcap"
        with Recording(network, recorded):
            run_all([office.day(host["id"]) for host in case["host"]])
    packets = len(read_pcap(recorded))
    shutil.copyfile(recorded, out / "demo.pcap")
    spread_file(out / "demo.pcap", SPREAD)
    (out / "demo.expected.json").write_text(json.dumps(expected(office, packets), indent=1) + "\n")
    return out / "demo.pcap"
