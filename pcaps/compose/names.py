"""Turns cases/names.toml into names-in-clear.pcap: names in DNS and HTTP as real clients ask for them, and what follows.

Everything runs one after the other, and each client is bound to a port or given a range of one, so the expected
results are the script's own list of what it sent. The captures that show one direction are cut from the recording.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import certificates
from clients import PATIENCE, Clients, Exchange
from demo import start_servers
from namespaces import HERE, ComposeError, Network
from packets import tcp_parts
from pcapfile import ETHERNET, Frame, pcap_bytes, read_pcap
from recording import Recording

# How long the capture pauses before the last visit: longer than anything asked earlier may be remembered.
GAP_NS = 30 * 3600 * 10**9
PAYLOAD = "A made-up payload of the upload, one line. " * 8
# The shape of the updater's header, with letters of our own.
UPDATER = "*B0cBAAQAcm9tYW5jZW9mdGhldGhyZWVraW5nZG9tc2FzaXRpc25vdHdyaXR0ZW4AA"
UPDATER_ADDRESS = "94.75.236.120"


class Case:
    """What the hosts do, and the list of what they did."""

    def __init__(self, case: dict, network: Network, clients: Clients) -> None:
        self.case, self.network, self.clients = case, network, clients
        self.hosts = {host["id"]: host for host in case["host"]}
        self.records = {record["name"]: record for record in case["record"]}
        self.aliases = {alias["name"]: alias for alias in case["alias"]}
        self.next_port = 40000
        self.dns: list[dict] = []
        self.http: list[dict] = []
        self.flows: list[dict] = []
        self.connections: set[tuple] = set()

    # -- bookkeeping ------------------------------------------------------------------------------

    def port(self) -> int:
        self.next_port += 1
        return self.next_port

    def address(self, host: str, six: bool = False) -> str:
        return next(address for address in self.hosts[host]["addresses"] if (":" in address) == six)

    def only_port(self, host: str, port: int) -> None:
        """Sockets that are not bound take this port."""
        self.network.execute(host, ["sysctl", "-qw", f"net.ipv4.ip_local_port_range={port} {port}"])

    def python(self, host: str, arguments: list[str], given: bytes = b"", expected: int = 0) -> None:
        command = self.network.inside(host, [sys.executable, str(HERE / "names_client.py"), *arguments])
        done = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode != expected:
            raise ComposeError(f"names_client {arguments}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-400:]}")

    def answers(self, name: str, kind: str) -> list[dict]:
        """What the resolver's configuration holds: the chain of aliases, and the address if it is of that type."""
        found, at = [], name.lower()
        while at in self.aliases:
            alias = self.aliases[at]
            found.append({"rrname": at, "rrtype": "CNAME", "ttl": alias["ttl"], "rdata": alias["target"]})
            at = alias["target"]
        record = self.records.get(at)
        if record and (":" in record["address"]) == (kind == "AAAA"):
            found.append({"rrname": at, "rrtype": kind, "ttl": record["ttl"], "rdata": record["address"]})
        return found

    def asked(self, host: str, port: int, name: str, kind: str, outcome: str, server: str | None = None, transport: str = "udp", queries: int = 1) -> None:
        server = server or self.case["resolver"]
        source = self.address(host, ":" in server)
        answers = self.answers(name, kind) if outcome in ("answered", "sinkholed") else []
        self.dns.append({"src_ip": source, "src_port": port, "dest_ip": server, "dest_port": 53, "proto": transport,
                         "rrname": name, "rrtype": kind, "outcome": outcome, "answers": answers, "queries": queries})
        if transport == "tcp":
            self.connections.add((source, port, server))

    def requested(self, host: str, port: int, server: str, other: int, method: str, hostname: str | None, url: str, agent: str | None, **more) -> None:
        source = self.address(host, ":" in server)
        self.http.append({"src_ip": source, "src_port": port, "dest_ip": server, "dest_port": other, "http_method": method,
                          "hostname": hostname, "url": url, "http_user_agent": agent, **more})
        self.connections.add((source, port, server))

    def owner(self, name: str | None) -> dict | None:
        known = self.records.get(name or "") or self.aliases.get(name or "")
        return {key: known.get(key) for key in ("vendor", "purpose", "engine")} if known and "vendor" in known else None

    def flow(self, host: str, port: int, server: str, other: int, evidence: list[tuple[str, str]], attribution: dict | None, why: str) -> None:
        source = self.address(host, ":" in server)
        self.flows.append({"src_ip": source, "src_port": port, "dest_ip": server, "dest_port": other,
                           "evidence": [{"kind": kind, "value": value} for kind, value in evidence], "attribution": attribution, "why": why})
        self.connections.add((source, port, server))

    # -- clients ----------------------------------------------------------------------------------

    def dig(self, host: str, name: str, kind: str, outcome: str, server: str | None = None, *options: str) -> None:
        server = server or self.case["resolver"]
        port = self.port()
        self._dig(host, port, server, [*options, name, kind])
        self.asked(host, port, name, kind, outcome, server)

    def _dig(self, host: str, port: int, server: str, rest: list[str]) -> None:
        source = self.address(host, ":" in server)
        command = self.network.inside(host, ["dig", "-b", f"{source}#{port}", f"@{server}", "+tries=1", "+time=5", *rest])
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode != 0:
            raise ComposeError(f"dig {rest} on {host}: exit {done.returncode}: {done.stdout.decode(errors='replace')[-400:]}")

    def nameless_tls(self, host: str, address: str, evidence: list[tuple[str, str]], attribution: dict | None, why: str) -> None:
        port = self.port()
        self.clients.ask(Exchange(host, self.address(host), port, address, 443, "", "openssl"))
        self.flow(host, port, address, 443, evidence, attribution, why)

    def curl(self, host: str, command: list[str], given: bytes = b"") -> None:
        whole = self.network.inside(host, ["curl", "--silent", "--show-error", "--fail", "--http1.1", "--output", "/dev/null", *command])
        done = subprocess.run(whole, input=given, capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode != 0:
            raise ComposeError(f"curl {command}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-400:]}")


def dns_part(case: Case) -> None:
    """Every outcome of a question, over both transports and both IP versions."""
    faulty, six = case.case["faulty_resolver"], case.case["resolver6"]
    case.dig("pc41", "update.eset.com", "A", "answered")
    case.dig("pc46", "dci.sophosupd.com", "AAAA", "answered", six)
    case.dig("pc46", "news.names.example", "A", "answered", six, "+noedns")
    case.dig("pc43", "UpDaTe.eSeT.cOm", "A", "answered", None, "+noedns")
    case.dig("pc41", "ts.eset.com", "A", "nxdomain")
    case.dig("pc41", "edr.names.test", "A", "refused")
    case.dig("pc41", "update.eset.com", "AAAA", "no_data")
    case.dig("pc41", "servfail.names.example", "A", "servfail", faulty)
    case.dig("pc44", "dc1-file.ksn.kaspersky-labs.com", "A", "sinkholed")
    case.dig("pc44", "dc1-st.ksn.kaspersky-labs.com", "A", "answered")
    port = case.port()
    case._dig("pc42", port, case.case["resolver"], ["+tcp", "+keepopen", "news.names.example", "A", "te.checkpoint.com", "A"])
    case.asked("pc42", port, "news.names.example", "A", "answered", transport="tcp")
    case.asked("pc42", port, "te.checkpoint.com", "A", "answered", transport="tcp")
    port = case.port()
    case.python("pc45", ["again", case.address("pc45"), str(port), faulty, "second.names.example", "4", "0.5"])
    case.asked("pc45", port, "second.names.example", "A", "answered", faulty, queries=2)
    case.dns[-1]["answers"] = [{"rrname": "second.names.example", "rrtype": "A", "ttl": 300, "rdata": "203.0.113.81"}]
    port = case.port()
    case.python("pc45", ["again", case.address("pc45"), str(port), faulty, "silent.names.example", "2", "0.3"], expected=3)
    case.asked("pc45", port, "silent.names.example", "A", "unanswered", faulty, queries=2)
    port = case.port()
    flight = [("definitionupdates.microsoft.com", "A", "answered"), ("news.names.example", "A", "answered"), ("nobody.names.example", "A", "nxdomain"),
              ("news.names.example", "AAAA", "no_data"), ("kav8.zonealarm.com", "A", "answered")]
    case.python("pc45", ["flight", case.address("pc45"), str(port), case.case["resolver"], *(f"{name}:{kind}" for name, kind, _ in flight)])
    for name, kind, outcome in flight:
        case.asked("pc45", port, name, kind, outcome)


def join_part(case: Case) -> None:
    """TLS without a name: by the client that asked, by one that never did."""
    case.dig("pc41", "i1.c.eset.com", "A", "answered")
    case.nameless_tls("pc41", "91.228.166.45", [("dns_answer", "i1.c.eset.com")], case.owner("i1.c.eset.com"), "its client resolved the name just before")
    case.nameless_tls("pc42", "91.228.166.45", [("dns_answer_other", "i1.c.eset.com")], case.owner("i1.c.eset.com"), "only another host resolved the name")
    case.dig("pc43", "ksn-url.geoksn.kaspersky.com", "A", "answered")
    case.nameless_tls("pc43", "77.74.178.11", [("dns_answer", "ksn-url.geoksn.kaspersky.com")], case.owner("ksn-url.geoksn.kaspersky.com"),
                      "the name asked for stands at the head of a chain of three aliases")
    case.dig("pc44", "edf.eset.com", "A", "answered")


def http_part(case: Case, authority: str) -> None:
    """HTTP/1 in the ways that clients send it."""
    port = case.port()
    case.only_port("pc41", port)
    agent = "updater/9.1 (names)"
    case.curl("pc41", ["-4", "--local-port", str(port), "--user-agent", agent, "http://p07.upd.kaspersky.com/index/u0607g.xml"])
    case.asked("pc41", port, "p07.upd.kaspersky.com", "A", "answered")
    case.requested("pc41", port, "93.159.228.27", 80, "GET", "p07.upd.kaspersky.com", "/index/u0607g.xml", agent)
    case.flow("pc41", port, "93.159.228.27", 80, [("http_host", "p07.upd.kaspersky.com"), ("dns_answer", "p07.upd.kaspersky.com")], case.owner("p07.upd.kaspersky.com"), "resolved by the system, asked for by curl")
    port = case.port()
    case.only_port("pc43", port)
    case.python("pc43", ["visit", case.address("pc43"), str(port), "update.eset.com", "/eset_upd/era6/update.ver", "names-visit/1"])
    case.asked("pc43", port, "update.eset.com", "A", "answered")
    case.asked("pc43", port, "update.eset.com", "AAAA", "no_data")
    case.requested("pc43", port, "91.228.166.14", 80, "GET", "update.eset.com", "/eset_upd/era6/update.ver", "names-visit/1")
    case.flow("pc43", port, "91.228.166.14", 80, [("http_host", "update.eset.com"), ("dns_answer", "update.eset.com")], case.owner("update.eset.com"),
              "Python's resolver asks for both types at once")
    port = case.port()
    paths = ["/updaters/updater.xml.dif", "/updaters/updater.xml.klz"]
    headers = {"Host": UPDATER_ADDRESS, "User-Agent": UPDATER}
    given = json.dumps([{"method": "GET", "target": path, "headers": headers} for path in paths]).encode()
    case.python("pc42", ["series", case.address("pc42"), str(port), UPDATER_ADDRESS, "80"], given)
    for path in paths:
        case.requested("pc42", port, UPDATER_ADDRESS, 80, "GET", UPDATER_ADDRESS, path, UPDATER)
    case.flow("pc42", port, UPDATER_ADDRESS, 80, [("http_user_agent", UPDATER), *(("http_uri", path) for path in paths)],
              {"vendor": "kaspersky", "purpose": "update", "engine": None}, "a bare address: only the agent and the path say what it is")
    pieces_part(case, agent)
    port = case.port()
    case.curl("pc46", ["--interface", case.address("pc46", True), "--local-port", str(port), "--resolve", "dci.sophosupd.com:80:[2a04:4e42:200::201]",
                       "http://dci.sophosupd.com/update/catalogue.xml", "--user-agent", "names-six/1"])
    case.requested("pc46", port, "2a04:4e42:200::201", 80, "GET", "dci.sophosupd.com", "/update/catalogue.xml", "names-six/1")
    case.flow("pc46", port, "2a04:4e42:200::201", 80, [("http_host", "dci.sophosupd.com"), ("dns_answer", "dci.sophosupd.com")], case.owner("dci.sophosupd.com"),
              "IPv6; the name was resolved earlier in the capture")
    port = case.port()
    case.curl("pc44", ["-4", "-0", "--local-port", str(port), "--header", "Host:", "--user-agent", "names-old/1", "http://203.0.113.80/robots.txt"])
    case.requested("pc44", port, "203.0.113.80", 80, "GET", None, "/robots.txt", "names-old/1")
    case.flow("pc44", port, "203.0.113.80", 80, [], None, "HTTP/1.0 without a Host")
    proxy_part(case, authority)


def pieces_part(case: Case, agent: str) -> None:
    """Several requests in one segment, one request in many, bodies before further requests."""
    port = case.port()
    three = [f"/pipelined/{number}" for number in (1, 2, 3)]
    given = "".join(f"GET {path} HTTP/1.1\r\nHost: update.eset.com\r\nUser-Agent: names-pipe/1\r\n\r\n" for path in three).encode()
    case.python("pc45", ["send", case.address("pc45"), str(port), "91.228.166.14", "80", "0", "3"], given)
    for path in three:
        case.requested("pc45", port, "91.228.166.14", 80, "GET", "update.eset.com", path, "names-pipe/1")
    port = case.port()
    host = {"Host": "update.eset.com", "User-Agent": "names-series/1"}
    wanted = [{"method": "POST", "target": "/upload/one", "headers": host, "body": PAYLOAD, "chunked": True}, {"method": "GET", "target": "/after/chunks", "headers": host},
              {"method": "PUT", "target": "/upload/two", "headers": host, "body": PAYLOAD}, {"method": "GET", "target": "/after/length", "headers": host}]
    case.python("pc45", ["series", case.address("pc45"), str(port), "91.228.166.14", "80"], json.dumps(wanted).encode())
    for request in wanted:
        case.requested("pc45", port, "91.228.166.14", 80, request["method"], "update.eset.com", request["target"], "names-series/1")
    for piece, path, note in ((7, "/many/segments", None), (40, "/many/reordered", "reordered")):
        port = case.port()
        given = f"GET {path} HTTP/1.1\r\nUser-Agent: names-segments/1\r\nAccept: */*\r\nHost: kav8.zonealarm.com\r\nConnection: close\r\n\r\n".encode()
        case.python("pc45", ["send", case.address("pc45"), str(port), "209.87.209.71", "80", str(piece), "1"], given)
        case.requested("pc45", port, "209.87.209.71", 80, "GET", "kav8.zonealarm.com", path, "names-segments/1", **({"composed": note} if note else {}))
        case.flow("pc45", port, "209.87.209.71", 80, [("http_host", "kav8.zonealarm.com"), ("dns_answer", "kav8.zonealarm.com")], case.owner("kav8.zonealarm.com"),
                  "the request's head in segments of a few bytes" + (", swapped and repeated" if note else ""))
    port = case.port()
    case.curl("pc45", ["-4", "--local-port", str(port), "--resolve", "update.eset.com:80:91.228.166.14", "--header", "Expect: 100-continue", "--user-agent", agent,
                       "--data-binary", "@-", "http://update.eset.com/expect"], PAYLOAD.encode())
    case.requested("pc45", port, "91.228.166.14", 80, "POST", "update.eset.com", "/expect", agent)


def proxy_part(case: Case, authority: str) -> None:
    """Absolute form over one connection for different hosts, and CONNECT with TLS inside; the proxy's own side is seen too."""
    proxy = case.case["proxy"]
    port, first = case.port(), 45001
    wanted = [("update.eset.com", "/by/proxy/one"), ("news.names.example", "/by/proxy/two"), ("kav8.zonealarm.com", "/by/proxy/three")]
    given = json.dumps([{"method": "GET", "target": f"http://{name}{path}", "headers": {"Host": name, "User-Agent": "names-proxied/1"}} for name, path in wanted]).encode()
    case.python("pc41", ["series", case.address("pc41"), str(port), proxy, "3128"], given)
    for number, (name, path) in enumerate(wanted):
        case.requested("pc41", port, proxy, 3128, "GET", name, f"http://{name}{path}", "names-proxied/1")
        upstream = case.records[name]["address"]
        case.requested("proxy", first + number, upstream, 80, "GET", name, path, "names-proxied/1")
    port = case.port()
    case.only_port("proxy", 45101)
    case.curl("pc42", ["-4", "--proxy", f"http://{proxy}:8888", "--local-port", str(port), "--user-agent", "names-tunnel/1", "--cacert", authority, "https://te.checkpoint.com/"])
    case.requested("pc42", port, proxy, 8888, "CONNECT", "te.checkpoint.com:443", "te.checkpoint.com:443", "names-tunnel/1", inner_sni="te.checkpoint.com")
    case.flow("pc42", port, proxy, 8888, [("http_connect", "te.checkpoint.com:443")], case.owner("te.checkpoint.com"), "CONNECT, and TLS with the name inside")
    case.flow("proxy", 45101, "194.29.36.12", 443, [("tls_sni", "te.checkpoint.com")], case.owner("te.checkpoint.com"), "the proxy's side of the tunnel")


def expired_part(case: Case) -> None:
    case.nameless_tls("pc44", "91.228.165.81", [], None, "the answer with this address expired more than a day before")


def dnsmasq_configuration(case: dict, scratch: Path) -> Path:
    lines = ["no-resolv", "no-hosts", "bind-interfaces", "no-daemon", "port=53", "user=root", "local=/com/example/",
             *(f"listen-address={address}" for address in (case["resolver"], case["resolver6"]))]
    lines += [f"host-record={record['name']},{record['address']},{record['ttl']}" for record in case["record"]]
    lines += [f"cname={alias['name']},{alias['target']},{alias['ttl']}" for alias in case["alias"]]
    file = scratch / "dnsmasq.conf"
    file.write_text("\n".join(lines) + "\n")
    return file


def reordered(frames: list[Frame], port: int) -> list[Frame]:
    """Two of the client's segments change places and one comes again: the bytes are those sent, the order is not."""
    carrying = [at for at, frame in enumerate(frames) if (parts := tcp_parts(frame.data)) and parts[1] == port and parts[6]]
    first, second = carrying[0], carrying[1]
    changed = list(frames)
    changed[first], changed[second] = replace(frames[second], time_ns=frames[first].time_ns), replace(frames[first], time_ns=frames[second].time_ns)
    again = replace(frames[carrying[2]], time_ns=frames[carrying[2]].time_ns + 1000)
    changed.insert(carrying[2] + 1, again)
    return changed


def is_dns(frame: Frame, source: bool) -> bool:
    """Whether the frame comes from (or goes to) port 53, over UDP or TCP."""
    data = frame.data
    kind = struct.unpack("!H", data[12:14])[0]
    start = 14 + (data[14] & 15) * 4 if kind == 0x0800 else 54
    protocol = data[23] if kind == 0x0800 else data[20]
    if kind not in (0x0800, 0x86DD) or protocol not in (6, 17):
        return False
    return struct.unpack("!HH", data[start : start + 4])[0 if source else 1] == 53


def compose(out: Path, scratch: Path, rustls: Path) -> Path:
    """Records names-in-clear.pcap, cuts the two of one direction from it, and writes what to expect of each."""
    for program, package in (("dig", "bind9-dnsutils"), ("dnsmasq", "dnsmasq-base"), ("tinyproxy", "tinyproxy-bin")):
        if shutil.which(program) is None:
            raise ComposeError(f"{program} is missing: install {package}")
    data = tomllib.loads((HERE / "cases" / "names.toml").read_text())
    records = {record["name"]: record["address"] for record in data["record"]}
    authority, key, files = certificates.make(scratch, ["default.names.example", "te.checkpoint.com"])
    outside = sorted({address for address in records.values() if address not in ("0.0.0.0", "146.112.61.108")} | {UPDATER_ADDRESS})
    settings: list[Path] = []
    with Network() as network:
        try:
            case = prepare(data, network, scratch, rustls, authority, key, files, outside, records, settings)
            recorded = scratch / "recorded.pcap"
            with Recording(network, recorded):
                dns_part(case)
                join_part(case)
                http_part(case, str(authority))
                time.sleep(1)
                later = time.time_ns()
                expired_part(case)
        finally:
            for folder in settings:
                shutil.rmtree(folder, ignore_errors=True)
    frames = read_pcap(recorded)
    for request in case.http:
        if request.get("composed") == "reordered":
            frames = reordered(frames, request["src_port"])
    frames = [replace(frame, time_ns=frame.time_ns + GAP_NS) if frame.time_ns >= later else frame for frame in frames]
    write(out, case, frames)
    return out / "names-in-clear.pcap"


def prepare(data: dict, network: Network, scratch: Path, rustls: Path, authority: Path, key: Path, files: dict, outside: list[str], records: dict, settings: list[Path]) -> Case:
    network.add_server_addresses([*outside, data["resolver"], data["resolver6"], data["faulty_resolver"]])
    for host in data["host"]:
        network.add_host(host["id"], host["number"], host["addresses"])
        # What `ip netns exec` puts in the place of the machine's own.
        folder = Path("/etc/netns") / network.name(host["id"])
        folder.mkdir(parents=True)
        settings.append(folder)
        (folder / "resolv.conf").write_text(f"nameserver {data['resolver']}\noptions attempts:1\n")
        if host["id"] == "proxy":
            (folder / "hosts").write_text("194.29.36.12 te.checkpoint.com\n")
    network.start("servers", ["dnsmasq", "-C", str(dnsmasq_configuration(data, scratch))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    four = [address for address in outside if ":" not in address]
    start_servers(network, "servers", {
        "tls": {"certificates": files, "key": str(key), "port": 443, "addresses": four},
        "dns": {"answers": {"second.names.example": ["203.0.113.81"]}, "addresses": [data["faulty_resolver"]],
                "faults": {"servfail.names.example": "servfail", "second.names.example": "second", "silent.names.example": "silent"}},
    }, scratch)
    start_names_server(network, "servers", {"http": {"addresses": outside, "port": 80}}, scratch)
    start_names_server(network, "proxy", {"proxy": {"address": data["proxy"], "port": 3128, "hosts": records, "source": data["proxy"], "first_port": 45001}}, scratch)
    tinyproxy = scratch / "tinyproxy.conf"
    tinyproxy.write_text(f'Port 8888\nListen {data["proxy"]}\nTimeout 60\nMaxClients 20\nConnectPort 443\nDisableViaHeader Yes\n')
    network.start("proxy", ["tinyproxy", "-d", "-c", str(tinyproxy)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    return Case(data, network, Clients(network, scratch, authority, rustls))


def start_names_server(network: Network, short: str, config: dict, scratch: Path) -> None:
    file = scratch / f"names-{short}.json"
    file.write_text(json.dumps(config))
    process = network.start(short, [sys.executable, str(HERE / "names_server.py"), str(file)], stdout=subprocess.PIPE, text=True)
    if process.stdout.readline().strip() != "ready":
        raise ComposeError(f"the servers in {short} did not start: see what they said above")


def write(out: Path, case: Case, frames: list[Frame]) -> None:
    tls = [entry for entry in case.flows if entry["dest_port"] == 443 and any(item["kind"] == "tls_sni" for item in entry["evidence"])]
    inner = [entry for entry in case.http if "inner_sni" in entry]
    common = {"composed_by": "pcaps/compose/compose.py"}
    whole = {
        "capture": "names-in-clear.pcap", **common, "packets": len(frames),
        "names": [sni(entry, entry["evidence"][0]["value"]) for entry in tls],
        "inner_names": [sni(entry, entry["inner_sni"]) for entry in inner],
        "dns": case.dns, "http": case.http, "contacts_by_flow": case.flows,
        "flows": {"tcp": len(case.connections)},
        "notes": [
            "everything here is what the clients were told to send and the servers to answer; only `packets` was counted afterwards",
            "`queries` counts the datagrams with one question: a repeated question is one transaction",
            "`evidence` holds kinds and values that must be among a flow's; an empty list means that nothing says whose it is",
            "`sinkholed` is an answer with 0.0.0.0; an address that blocks and can be reached is an answer like others",
            "before the last connection the clock was moved forward by thirty hours; two segments of one request were exchanged and one repeated",
        ],
    }
    dump(out / "names-in-clear", whole, frames)
    for side, source in (("answers", True), ("questions", False)):
        part = [frame for frame in frames if is_dns(frame, source)]
        # What was asked cannot be told apart from what is never answered if only one direction is seen.
        kept = [entry if source else {**entry, "outcome": "unanswered", "answers": []} for entry in case.dns if not source or entry["outcome"] != "unanswered"]
        dump(out / f"names-in-clear-{side}", {
            "capture": f"names-in-clear-{side}.pcap", **common, "packets": len(part), "names": [], "seen": side, "dns": kept,
            "flows": {"tcp": len({(entry["src_ip"], entry["src_port"]) for entry in kept if entry["proto"] == "tcp"})},
            "notes": [f"the frames of names-in-clear.pcap {'from' if source else 'to'} port 53, and no others: {'answers to nothing' if source else 'questions without answers'}"],
        }, part)


def sni(entry: dict, name: str) -> dict:
    return {"kind": "tls_sni", "name": name, **{key: entry[key] for key in ("src_ip", "src_port", "dest_ip", "dest_port")}, "count": 1}


def dump(path: Path, expected: dict, frames: list[Frame]) -> None:
    path.with_suffix(".pcap").write_bytes(pcap_bytes(frames, ETHERNET))
    path.with_suffix(".expected.json").write_text(json.dumps(expected, indent=1) + "\n")
