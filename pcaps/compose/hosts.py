"""Records hosts.pcap: hosts that are more than an address, addresses that change hands, and hosts that speak for others.

udhcpc takes addresses from dnsmasq, curl and dig do the visits, dnsmasq forwards questions, tinyproxy connects. Each visit comes from a
port of its own, so the expected results are the script's list of who did what. What a machine alone cannot show here is put in
afterwards, from packets that were recorded: the address of a NAT in place of two hosts', a router in front of a few, a VLAN tag, and an
hour before a static address is used by somebody else.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import certificates
from clients import PATIENCE
from demo import start_servers
from namespaces import BRIDGE, HERE, ComposeError, Network, mac_of
from packets import internet_checksum, packed
from pcapfile import ETHERNET, Frame, pcap_bytes, read_pcap
from recording import Recording

RESOLVER, WEB = "9.9.9.9", "203.0.113.90"
# Whose name it is, and where its server stands.
SERVERS = {
    "update.eset.com": ("eset", "91.228.166.14"), "i1.c.eset.com": ("eset", "91.228.166.45"),
    "downloads.upd.kaspersky.com": ("kaspersky", "77.74.178.10"), "dc1-file.ksn.kaspersky-labs.com": ("kaspersky", "77.74.178.11"),
    "upgrade.bitdefender.com": ("bitdefender", "91.199.104.40"), "www.example.org": (None, WEB),
}
LINUX, WINDOWS = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"
LEASED, STATIC, NAT, FORWARDER, PROXY, RELAY = "192.168.10.150", "192.168.10.151", "192.168.10.160", "192.168.10.170", "192.168.10.171", "192.168.10.172"
BEHIND_NAT = {"pc95": "192.168.10.95", "pc96": "192.168.10.96"}
BEHIND_ROUTER = [f"192.168.10.{last}" for last in range(180, 186)]
ROUTER_MAC, NAT_MAC, TAG, TAGGED = mac_of(2), mac_of(160), 30, "192.168.10.99"
HOUR_NS = 3600 * 10**9
NEEDED = {"dnsmasq": "dnsmasq-base", "udhcpc": "udhcpc", "tinyproxy": "tinyproxy-bin", "dig": "bind9-dnsutils"}
ADDRESSING = """#!/bin/sh
case "$1" in bound|renew) ip addr flush dev "$interface" scope global; ip addr add "$ip/24" dev "$interface"; ip route replace default via 192.168.10.1 ;; esac
"""


class Case:
    """What the hosts do, and the list of what they did."""

    def __init__(self, network: Network, scratch: Path, authority: Path) -> None:
        self.network, self.scratch, self.authority = network, scratch, str(authority)
        self.next_port = 43000
        self.visits: list[dict] = []
        self.questions: list[dict] = []
        self.tcp = 0

    def port(self) -> int:
        self.next_port += 1
        return self.next_port

    def run(self, host: str, command: list[str]) -> None:
        done = subprocess.run(self.network.inside(host, command), capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode != 0:
            raise ComposeError(f"{command}: exit {done.returncode}: {(done.stderr + done.stdout).decode(errors='replace')[-500:]}")

    def visit(self, host: str, source: str, name: str, shown_as: str | None = None, tenancy: int = 1) -> None:
        """TLS to the server of a name; `shown_as` is the address that the capture has in place of the host's own."""
        vendor, address = SERVERS[name]
        port = self.port()
        self.run(host, ["curl", "--silent", "--output", "/dev/null", "--interface", source, "--local-port", str(port), "--cacert", self.authority,
                        "--resolve", f"{name}:443:{address}", f"https://{name}/"])
        self.tcp += 1
        self.visits.append({"src_ip": shown_as or source, "src_port": port, "dest_ip": address, "dest_port": 443, "name": name, "vendor": vendor, "tenancy": tenancy})

    def browse(self, host: str, source: str, agent: str) -> None:
        port = self.port()
        self.run(host, ["curl", "--silent", "--output", "/dev/null", "--interface", source, "--local-port", str(port), "--user-agent", agent, f"http://{WEB}/"])
        self.tcp += 1

    def ask(self, host: str, source: str, server: str, name: str) -> None:
        port = self.port()
        self.run(host, ["dig", "-b", f"{source}#{port}", f"@{server}", "+tries=1", "+time=5", name, "A"])
        self.questions.append({"src_ip": source, "src_port": port, "dest_ip": server, "dest_port": 53, "rrname": name})

    def lease(self, host: str, name: str) -> None:
        self.run(host, ["udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "3", "-s", str(self.scratch / "addressing.sh"), "-x", f"hostname:{name}", "-V", "MSFT 5.0"])

    def forget(self, host: str) -> None:
        """The host loses its address; nobody tells anybody."""
        self.run(host, ["ip", "addr", "flush", "dev", "eth0", "scope", "global"])
        self.run("router", ["ip", "neigh", "flush", "dev", BRIDGE])

    def say(self, host: str, kind: str, source: str, port: int, target: str, name: str) -> None:
        self.run(host, [sys.executable, str(HERE / "name_services_client.py"), kind, source, str(port), target, str(port), name, source])


def dhcp_server(network: Network, scratch: Path) -> subprocess.Popen:
    """A server with one address to give; a new one knows of no lease."""
    leases = scratch / "leases"
    leases.unlink(missing_ok=True)
    file = scratch / "dhcp.conf"
    file.write_text("\n".join(["port=0", "no-daemon", "user=root", f"interface={BRIDGE}", "bind-interfaces", "dhcp-authoritative", "no-ping",
                               f"dhcp-leasefile={leases}", f"dhcp-range={LEASED},{LEASED},3600"]) + "\n")
    server = network.start("router", ["dnsmasq", "-C", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    return server


def lease_part(case: Case) -> None:
    """One address, two laptops: the second takes it once the server has forgotten the first. In between the first renews."""
    server = dhcp_server(case.network, case.scratch)
    case.lease("pc91", "anna-laptop")
    for name in ("update.eset.com", "i1.c.eset.com"):
        case.visit("pc91", LEASED, name, tenancy=1)
    case.lease("pc91", "anna-laptop")
    case.visit("pc91", LEASED, "www.example.org", tenancy=1)
    case.network.stop(server)
    case.forget("pc91")
    server = dhcp_server(case.network, case.scratch)
    case.lease("pc92", "berta-laptop")
    for name in ("downloads.upd.kaspersky.com", "update.eset.com"):
        case.visit("pc92", LEASED, name, tenancy=2)
    case.network.stop(server)


def nat_part(case: Case) -> None:
    """Two hosts that the capture shows as one address: another system, other programs, three vendors."""
    for agent, host, names in ((LINUX, "pc95", ["update.eset.com", "i1.c.eset.com"]),
                               (WINDOWS, "pc96", ["downloads.upd.kaspersky.com", "dc1-file.ksn.kaspersky-labs.com", "upgrade.bitdefender.com", "upgrade.bitdefender.com"])):
        for _ in range(2):
            case.browse(host, BEHIND_NAT[host], agent)
        for name in names:
            case.visit(host, BEHIND_NAT[host], name, shown_as=NAT)


def relays_part(case: Case) -> None:
    """A resolver, a proxy and a KSN proxy, each with two clients, and what each does itself."""
    for number in (98, 99):
        host, source = f"pc{number}", f"192.168.10.{number}"
        case.ask(host, source, FORWARDER, "update.eset.com" if number == 98 else "www.example.org")
        for name in ("downloads.upd.kaspersky.com", "www.example.org"):
            port, behind = case.port(), case.port()
            case.run("proxy", ["sysctl", "-qw", f"net.ipv4.ip_local_port_range={behind} {behind}"])
            case.run(host, ["curl", "--silent", "--output", "/dev/null", "--interface", source, "--local-port", str(port), "--cacert", case.authority,
                            "--proxy", f"http://{PROXY}:8888", f"https://{name}/"])
            case.tcp += 2
            vendor, address = SERVERS[name]
            case.visits.append({"src_ip": source, "src_port": port, "dest_ip": PROXY, "dest_port": 8888, "name": name, "vendor": vendor, "tenancy": 1})
            case.visits.append({"src_ip": PROXY, "src_port": behind, "dest_ip": address, "dest_port": 443, "name": name, "vendor": vendor, "tenancy": 1})
        port = case.port()
        case.run(host, ["curl", "--silent", "--output", "/dev/null", "--interface", source, "--local-port", str(port), "--cacert", case.authority,
                        "--insecure", f"https://{RELAY}:13111/"])
        case.tcp += 1
    for name in ("dc1-file.ksn.kaspersky-labs.com", "update.eset.com"):
        case.visit("relay", RELAY, name)


def names_part(case: Case) -> None:
    """Two hosts say what they are called."""
    case.say("pc98", "nbns-register", "192.168.10.98", 137, "192.168.10.255", "PC98")
    case.say("pc99", "mdns-announce", TAGGED, 5353, "224.0.0.251", "pc99.local")


def router_part(case: Case) -> None:
    """Six addresses that the capture shows behind one router."""
    for source in BEHIND_ROUTER:
        case.visit("branch", source, "update.eset.com" if source == BEHIND_ROUTER[0] else "www.example.org")


def static_part(case: Case, host: str, tenancy: int, names: list[str]) -> None:
    case.run(host, ["ip", "addr", "add", f"{STATIC}/24", "dev", "eth0"])
    case.run(host, ["ip", "route", "replace", "default", "via", "192.168.10.1"])
    for name in names:
        case.visit(host, STATIC, name, tenancy=tenancy)
    case.forget(host)


def readdressed(frame: Frame) -> Frame | None:
    """The frame as the sensor's place shows it; None for what would not be there."""
    data = bytearray(frame.data)
    if data[12:14] != b"\x08\0":
        told = {packed(address) for address in [*BEHIND_NAT.values(), *BEHIND_ROUTER]}
        # Nobody resolves addresses that are not on the segment.
        return None if data[12:14] == b"\x08\x06" and {bytes(data[28:32]), bytes(data[38:42])} & told else frame
    outside = {packed(address): (packed(NAT), NAT_MAC) for address in BEHIND_NAT.values()}
    outside |= {packed(address): (packed(address), ROUTER_MAC) for address in BEHIND_ROUTER}
    for address_at, mac_at in ((26, 6), (30, 0)):
        shown = outside.get(bytes(data[address_at : address_at + 4]))
        if shown:
            data[address_at : address_at + 4] = shown[0]
            data[mac_at : mac_at + 6] = bytes.fromhex(shown[1].replace(":", ""))
            if mac_at == 6:
                # One hop more: what was behind has come out.
                data[22] -= 1
            checksums(data)
    if packed(TAGGED) in (bytes(data[26:30]), bytes(data[30:34])):
        data[12:12] = struct.pack("!HH", 0x8100, TAG)
    return Frame.whole(frame.time_ns, bytes(data))


def checksums(data: bytearray) -> None:
    """The checksums of IPv4 and TCP anew."""
    head = (data[14] & 15) * 4
    end = 14 + struct.unpack("!H", data[16:18])[0]
    data[24:26] = bytes(2)
    data[24:26] = struct.pack("!H", internet_checksum(bytes(data[14 : 14 + head])))
    if data[23] == 6:
        start = 14 + head
        data[start + 16 : start + 18] = bytes(2)
        pseudo = bytes(data[26:34]) + struct.pack("!BBH", 0, 6, end - start)
        data[start + 16 : start + 18] = struct.pack("!H", internet_checksum(pseudo + bytes(data[start:end])))


def start(network: Network, scratch: Path, key: Path, files: dict[str, str]) -> None:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    network.add_server_addresses([RESOLVER, *(address for _, address in SERVERS.values())])
    for number in (91, 92, 93, 94):
        network.add_host(f"pc{number}", number, [])
    for number in (95, 96, 98, 99):
        network.add_host(f"pc{number}", number, [f"192.168.10.{number}"])
    network.execute("pc96", ["sysctl", "-qw", "net.ipv4.ip_default_ttl=128"])
    for short, number, address in (("forwarder", 170, FORWARDER), ("proxy", 171, PROXY), ("relay", 172, RELAY)):
        network.add_host(short, number, [address])
    network.add_host("branch", 180, BEHIND_ROUTER[:1])
    for address in BEHIND_ROUTER[1:]:
        network.execute("branch", ["ip", "addr", "add", f"{address}/24", "dev", "eth0"])
    tls = {"certificates": files, "key": str(key)}
    addresses = [address for _, address in SERVERS.values()]
    answers = {name: [address] for name, (_, address) in SERVERS.items()}
    start_servers(network, "servers", {"tls": {**tls, "addresses": addresses, "port": 443}, "http": {"addresses": [WEB], "port": 80},
                                       "dns": {"addresses": [RESOLVER], "answers": answers}}, scratch)
    start_servers(network, "relay", {"tls": {**tls, "addresses": [RELAY], "port": 13111}}, scratch)
    network.start("forwarder", ["dnsmasq", "--no-daemon", "--user=root", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", f"--server={RESOLVER}",
                                f"--listen-address={FORWARDER}", "--bind-interfaces"], **quiet)
    configuration = scratch / "tinyproxy.conf"
    configuration.write_text(f"Port 8888\nListen {PROXY}\nTimeout 60\nMaxClients 20\nConnectPort 443\nDisableViaHeader Yes\n")
    folder = Path("/etc/netns") / network.name("proxy")
    folder.mkdir(parents=True)
    try:
        (folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in answers_of(answers)))
        network.start("proxy", ["tinyproxy", "-d", "-c", str(configuration)], **quiet)
        time.sleep(1.5)
    finally:
        shutil.rmtree(folder)


def answers_of(answers: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, addresses[0]) for name, addresses in answers.items()]


def compose(out: Path, scratch: Path, _rustls: Path) -> Path:
    """Records the capture and writes what to expect of it."""
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            raise ComposeError(f"{program} is missing: install {package}")
    authority, key, files = certificates.make(scratch, list(SERVERS))
    script = scratch / "addressing.sh"
    script.write_text(ADDRESSING)
    script.chmod(0o755)
    with Network() as network:
        start(network, scratch, key, files)
        case = Case(network, scratch, authority)
        recorded = scratch / "recorded.pcap"
        with Recording(network, recorded):
            lease_part(case)
            nat_part(case)
            relays_part(case)
            names_part(case)
            router_part(case)
            static_part(case, "pc93", 1, ["update.eset.com", "i1.c.eset.com"])
            time.sleep(1)
            pause = time.time_ns()
            static_part(case, "pc94", 2, ["downloads.upd.kaspersky.com", "update.eset.com"])
    frames = [readdressed(frame) for frame in read_pcap(recorded)]
    frames = [frame if frame.time_ns < pause else replace(frame, time_ns=frame.time_ns + HOUR_NS) for frame in frames if frame]
    write(out, case, frames)
    return out / "hosts.pcap"


def write(out: Path, case: Case, frames: list) -> None:
    ends = ("src_ip", "src_port", "dest_ip", "dest_port")
    tunnelled = {entry["src_port"] for entry in case.visits if entry["dest_ip"] == PROXY}
    rows = [{"kind": "tls_sni", "name": entry["name"], **{key: entry[key] for key in ends}, "count": 1} for entry in case.visits]
    endpoint, none = {"roles": ["endpoint"]}, {"name": None}
    expected = {
        "capture": "hosts.pcap", "composed_by": "pcaps/compose/compose.py", "packets": len(frames),
        "names": [row for row in rows if row["src_port"] not in tunnelled], "inner_names": [row for row in rows if row["src_port"] in tunnelled],
        "home_hosts": [
            {"host": LEASED, "tenancy": 1, "cause": "first", "mac": mac_of(91), "name": "anna-laptop", **endpoint},
            {"host": LEASED, "tenancy": 2, "cause": "dhcp", "mac": mac_of(92), "name": "berta-laptop", **endpoint},
            {"host": STATIC, "tenancy": 1, "cause": "first", "mac": mac_of(93), **none, **endpoint},
            {"host": STATIC, "tenancy": 2, "cause": "link", "mac": mac_of(94), **none, **endpoint},
            {"host": NAT, "tenancy": 1, "cause": "first", "mac": NAT_MAC, **none, "roles": ["nat"]},
            {"host": FORWARDER, "tenancy": 1, "cause": "first", "mac": mac_of(170), **none, "roles": ["resolver"]},
            {"host": PROXY, "tenancy": 1, "cause": "first", "mac": mac_of(171), **none, "roles": ["proxy"]},
            {"host": RELAY, "tenancy": 1, "cause": "first", "mac": mac_of(172), **none, "roles": ["vendor_relay"], "relay_of": "kaspersky"},
            {"host": "192.168.10.98", "tenancy": 1, "cause": "first", "mac": mac_of(98), "name": "PC98", **endpoint},
            {"host": TAGGED, "tenancy": 1, "cause": "first", "mac": mac_of(99), "name": "pc99.local", "vlan": TAG, **endpoint},
            *({"host": address, "tenancy": 1, "cause": "first", "mac": None, **none, **endpoint} for address in BEHIND_ROUTER),
        ],
        "stations": [{"host": host, "mac": mac, "vlan": vlan} for host, mac, vlan in (
            (LEASED, mac_of(91), None), (LEASED, mac_of(92), None), (STATIC, mac_of(93), None), (STATIC, mac_of(94), None), (NAT, NAT_MAC, None),
            (PROXY, mac_of(171), None), (RELAY, mac_of(172), None), ("192.168.10.98", mac_of(98), None), (TAGGED, mac_of(99), TAG),
            *((address, ROUTER_MAC, None) for address in BEHIND_ROUTER))],
        "host_contacts": [{"host": host, "tenancy": tenancy, "vendor": vendor} for host, tenancy, vendor in
                          sorted({(entry["src_ip"], entry["tenancy"], entry["vendor"]) for entry in case.visits if entry["vendor"]})],
        "host_questions": case.questions,
        "relayed": [{"host": NAT, "vendors": ["bitdefender", "eset", "kaspersky"], "role": "nat"}, {"host": FORWARDER, "vendors": ["eset"], "role": "resolver"},
                    {"host": PROXY, "vendors": ["kaspersky"], "role": "proxy"}, {"host": RELAY, "vendors": ["kaspersky"], "role": "vendor_relay"}],
        "flows": {"tcp": case.tcp},
        "notes": [
            "everything here is what the clients were told to do and the servers to give; only `packets` was counted afterwards",
            "`tenancy` numbers the hosts that had an address in turn; a contact belongs to the one that made it",
            f"two hosts are shown as {NAT}, one of them with the time to live of another system; six addresses come by way of a router; one host's frames carry a tag",
            "the relay contacts a vendor of its own beside the one that it relays: of that contact it is the host",
        ],
    }
    path = out / "hosts"
    path.with_suffix(".pcap").write_bytes(pcap_bytes(frames, ETHERNET))
    path.with_suffix(".expected.json").write_text(json.dumps(expected, indent=1) + "\n")
