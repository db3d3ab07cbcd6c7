"""Records name-services.pcap: services in DNS, the local name services, DHCP, and DNS that is encrypted; and what follows.

BIND answers over UDP, TLS and HTTPS; dig, curl, openssl, nmblookup, udhcpc and dhclient ask; dnsmasq gives addresses. Each client is
bound to a port or has one of its own by its protocol, so the expected results are the script's own list of what it sent.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import certificates
from clients import PATIENCE
from namespaces import BRIDGE, GATEWAY4, HERE, ComposeError, Network, mac_of
from pcapfile import ETHERNET, pcap_bytes, read_pcap
from recording import Recording

RESOLVER, OTHER, BACKEND, EDGE = "9.9.9.9", "203.0.113.91", "91.228.166.14", "203.0.113.92"
LEASE = 3600
NEEDED = {"named": "bind9", "dig": "bind9-dnsutils", "dnsmasq": "dnsmasq-base", "nmblookup": "samba-common-bin", "udhcpc": "udhcpc", "dhclient": "isc-dhcp-client"}

ZONES = {
    "eset.com": ['update 300 IN HTTPS 1 . alpn="h2,h3" ipv4hint=91.228.166.14', "update 300 IN A 91.228.166.14"],
    "services.example": [
        'www 300 IN HTTPS 1 edge alpn="h2" ipv4hint=203.0.113.92 ech="AAAA"', "www 300 IN HTTPS 2 . alpn=\"h3\" ipv6hint=2001:db8::92",
        "alias 60 IN HTTPS 0 update.eset.com.", "edge 60 IN A 203.0.113.92", '_dns 60 IN SVCB 1 dns alpn="dot" port=853', "dns 60 IN A 203.0.113.91",
        '2.dnscrypt-cert 60 IN TXT "no certificate"',
    ],
}


class Case:
    """What the hosts do, and the list of what they did."""

    def __init__(self, network: Network, scratch: Path) -> None:
        self.network, self.scratch = network, scratch
        self.next_port = 42000
        self.questions: list[dict] = []
        self.hosts: list[dict] = []
        self.dhcp: list[dict] = []
        self.flows: list[dict] = []

    def port(self) -> int:
        self.next_port += 1
        return self.next_port

    def run(self, host: str, command: list[str], given: bytes = b"", fine: tuple[int, ...] = (0,)) -> None:
        done = subprocess.run(self.network.inside(host, command), input=given, capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode not in fine:
            raise ComposeError(f"{command}: exit {done.returncode}: {(done.stderr + done.stdout).decode(errors='replace')[-500:]}")

    def asked(self, kind: str, source: str, port: int | None, target: str, target_port: int, name: str, rrtype: str, outcome: str, answers: list[str] = ()) -> None:
        self.questions.append({"kind": kind, "src_ip": source, "src_port": port, "dest_ip": target, "dest_port": target_port,
                               "rrname": name, "rrtype": rrtype, "outcome": outcome, "rdata": list(answers)})

    def dig(self, number: int, name: str, kind: str, answers: list[str], *options: str) -> None:
        port, source = self.port(), f"192.168.10.{number}"
        self.run(f"pc{number}", ["dig", "-b", f"{source}#{port}", f"@{RESOLVER}", "+tries=1", "+time=5", *options, name, kind])
        self.asked("dns_query", source, port, RESOLVER, 53, name, kind, "answered", answers)

    def flow(self, number: int, port: int, target: str, target_port: int, coverage: str, encrypted: bool, why: str, sni: str | None = None,
             evidence: dict | None = None, vendor: str | None = None, proto: str = "TCP") -> None:
        self.flows.append({"src_ip": f"192.168.10.{number}", "src_port": port, "dest_ip": target, "dest_port": target_port, "proto": proto,
                           "coverage": coverage, "encrypted_dns": encrypted, "sni": sni, "evidence": evidence, "vendor": vendor, "why": why})

    def encrypted_dig(self, number: int, target: str, target_port: int, options: list[str], coverage: str, encrypted: bool, why: str) -> None:
        port, source = self.port(), f"192.168.10.{number}"
        self.run(f"pc{number}", ["dig", "-b", f"{source}#{port}", f"@{target}", "-p", str(target_port), "+tries=1", "+time=5", *options, "update.eset.com", "A"])
        self.flow(number, port, target, target_port, coverage, encrypted, why)

    def openssl(self, number: int, target: str, target_port: int, name: str | None) -> int:
        port = self.port()
        names = ["-servername", name] if name else ["-noservername"]
        command = ["openssl", "s_client", "-connect", f"{target}:{target_port}", "-bind", f"192.168.10.{number}:{port}", "-quiet", *names]
        self.run(f"pc{number}", command, fine=(0, 1))
        return port

    def send(self, number: int, kind: str, port: int, target: str, target_port: int, name: str, address: str = "") -> None:
        command = [sys.executable, str(HERE / "name_services_client.py"), kind, f"192.168.10.{number}", str(port), target, str(target_port), name, address]
        self.run(f"pc{number}", command)

    def host(self, kind: str, state: str, address: str, name: str, lease: int | None) -> None:
        self.hosts.append({"kind": kind, "state": state, "address": address, "name": name, "lease_seconds": lease})


def services_part(case: Case) -> None:
    """Services, and TLS without a name to the address of a hint: nobody asked for an A record."""
    case.dig(71, "update.eset.com", "HTTPS", ["1 update.eset.com alpn=h2,h3 ipv4hint=91.228.166.14"])
    port = case.openssl(71, BACKEND, 443, None)
    case.flow(71, port, BACKEND, 443, "attributed", False, "the address was a hint in the answer for HTTPS",
              evidence={"kind": "dns_answer", "value": "update.eset.com"}, vendor="eset")
    case.dig(72, "www.services.example", "HTTPS", ["1 edge.services.example alpn=h2 ipv4hint=203.0.113.92 ech", "2 www.services.example alpn=h3 ipv6hint=2001:db8::92"], "+bufsize=1232")
    case.dig(72, "alias.services.example", "HTTPS", ["0 update.eset.com"])
    case.dig(72, "_dns.services.example", "SVCB", ["1 dns.services.example alpn=dot"])
    port = case.port()
    case.send(73, "dns-two-questions", port, RESOLVER, 53, "update.eset.com")
    for kind in ("A", "HTTPS"):
        # BIND refuses more than one (RFC 9619), and repeats them.
        case.asked("dns_query", "192.168.10.73", port, RESOLVER, 53, "update.eset.com", kind, "other_error")


def local_part(case: Case) -> None:
    """Names on the local network: questions, and what hosts say of themselves."""
    everybody = "192.168.10.255"
    configuration = case.scratch / "smb.conf"
    configuration.write_text("[global]\n")
    for name, shown in (("WPAD", "WPAD"), ("FILESERVER#20", "FILESERVER"), ("WORKGROUP#1d", "WORKGROUP<1d>")):
        # It asks several times, and says by its exit code that nobody answered.
        case.run("pc71", ["nmblookup", f"--configfile={configuration}", "--option=interfaces=192.168.10.71/24", "-B", everybody, name], fine=(0, 1))
        case.asked("nbns_query", "192.168.10.71", None, everybody, 137, shown, "NB", "asked")
    case.send(72, "nbns-register", 137, everybody, 137, "PC72", "192.168.10.72")
    case.host("nbns", "held", "192.168.10.72", "PC72", 300000)
    case.send(72, "nbns-answer", 137, "192.168.10.73", 137, "PC72", "192.168.10.72")
    case.host("nbns", "held", "192.168.10.72", "PC72", 300000)
    case.send(72, "nbns-answer", 137, "192.168.10.73", 137, "PC79", "192.168.10.79")
    case.send(72, "nbns-release", 137, everybody, 137, "PC72", "192.168.10.72")
    case.host("nbns", "released", "192.168.10.72", "PC72", None)
    case.send(73, "mdns-query", 5353, "224.0.0.251", 5353, "_ipp._tcp.local")
    case.asked("mdns_query", "192.168.10.73", 5353, "224.0.0.251", 5353, "_ipp._tcp.local", "PTR", "asked")
    case.send(73, "mdns-announce", 5353, "224.0.0.251", 5353, "pc73.local", "192.168.10.73")
    case.host("mdns", "held", "192.168.10.73", "pc73.local", 120)
    case.send(73, "mdns-goodbye", 5353, "224.0.0.251", 5353, "pc73.local", "192.168.10.73")
    case.host("mdns", "released", "192.168.10.73", "pc73.local", 0)
    case.send(73, "mdns-announce", 5353, "224.0.0.251", 5353, "printer.local", "192.168.10.200")
    port = case.port()
    case.send(73, "llmnr-query", port, "224.0.0.252", 5355, "wpad")
    case.asked("llmnr_query", "192.168.10.73", port, "224.0.0.252", 5355, "wpad", "A", "asked")


def dhcp_part(case: Case) -> None:
    """Two clients of IPv4 and one of IPv6; the answers are what the server was configured to give."""
    for number, name, full, make in ((81, "pc81", None, "MSFT 5.0"), (82, "till-82", "till-82.office.example", "udhcp names")):
        command = ["udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "3", "-s", "/bin/true", "-V", make, "-x", f"hostname:{name}", "-r", f"192.168.10.1{number}"]
        case.run(f"pc{number}", command + (["-F", full] if full else []))
        own = {"app_proto": "dhcp", "client_mac": mac_of(number)}
        said = {**own, "type": "request", "hostname": full or name, "vendor_class_identifier": make, "requested_ip": f"192.168.10.1{number}"}
        given = {**own, "type": "reply", "assigned_ip": f"192.168.10.1{number}", "lease_time": LEASE}
        case.dhcp += [{**said, "dhcp_type": "discover"}, {**given, "dhcp_type": "offer"}, {**said, "dhcp_type": "request"}, {**given, "dhcp_type": "ack"}]
    case.send(74, "dhcp-inform", 68, GATEWAY4, 67, mac_of(74), "192.168.10.74")
    own = {"app_proto": "dhcp", "client_mac": mac_of(74), "client_ip": "192.168.10.74"}
    case.dhcp += [{**own, "type": "request", "dhcp_type": "inform", "hostname": "pc74"}, {**own, "type": "reply", "dhcp_type": "ack"}]
    configuration = case.scratch / "dhclient.conf"
    configuration.write_text('send fqdn.fqdn "pc83.office.example";\nsend fqdn.encoded on;\nsend fqdn.server-update on;\n')
    files = [case.scratch / name for name in ("dhclient.leases", "dhclient.pid")]
    case.run("pc83", ["dhclient", "-6", "-1", "-D", "LL", "-sf", "/bin/true", "-cf", str(configuration), "-lf", str(files[0]), "-pf", str(files[1]), "eth0"])
    case.run("pc83", ["dhclient", "-6", "-r", "-D", "LL", "-sf", "/bin/true", "-cf", str(configuration), "-lf", str(files[0]), "-pf", str(files[1]), "eth0"])
    own = {"app_proto": "dhcpv6", "client_mac": mac_of(83)}
    address = {"assigned_ip": "fd5a:10:20:30::183", "lease_time": LEASE}
    case.dhcp += [
        {**own, "type": "request", "dhcp_type": "solicit", "hostname": "pc83.office.example"}, {**own, **address, "type": "reply", "dhcp_type": "advertise"},
        {**own, "type": "request", "dhcp_type": "request", "hostname": "pc83.office.example", "requested_ip": "fd5a:10:20:30::183"},
        {**own, **address, "type": "reply", "dhcp_type": "reply"},
        {**own, "type": "request", "dhcp_type": "release", "requested_ip": "fd5a:10:20:30::183"},
    ]


def encrypted_part(case: Case, authority: str) -> None:
    """Each sign of encrypted DNS, and what only looks like it."""
    case.encrypted_dig(74, RESOLVER, 853, ["+tls"], "encrypted_dns", True, "TLS to port 853")
    case.encrypted_dig(75, OTHER, 853, ["+tls"], "encrypted_dns", True, "TLS to port 853 of a resolver that is on no list")
    case.encrypted_dig(75, RESOLVER, 443, ["+https"], "encrypted_dns", True, "HTTPS without a name at the address of a public resolver")
    case.encrypted_dig(71, OTHER, 443, ["+https"], "sni_absent", False, "HTTPS without a name at an address that is on no list")
    port = case.port()
    question = f"http://{EDGE}/dns-query?dns=AAABAAABAAAAAAAABnVwZGF0ZQRlc2V0A2NvbQAAAQAB"
    case.run("pc76", ["curl", "--silent", "--http1.1", "--output", "/dev/null", "--local-port", str(port), question])
    case.flow(76, port, EDGE, 80, "encrypted_dns", True, "a question over HTTP without TLS")
    for number, name, target, coverage, encrypted, why in (
        (76, "dns.quad9.net", OTHER, "encrypted_dns", True, "the name of a public resolver, wherever it stands"),
        (71, "www.quad9.net", RESOLVER, "named_not_security", False, "a web site's name goes before the address"),
    ):
        port = case.port()
        case.run(f"pc{number}", ["curl", "--silent", "--output", "/dev/null", "--local-port", str(port), "--cacert", authority, "--insecure",
                                 "--resolve", f"{name}:443:{target}", f"https://{name}/"])
        case.flow(number, port, target, 443, coverage, encrypted, why, sni=name)
    port = case.openssl(77, RESOLVER, 853, "i1.c.eset.com")
    case.flow(77, port, RESOLVER, 853, "attributed", True, "what a rule knows stays the vendor's", sni="i1.c.eset.com",
              evidence={"kind": "tls_sni", "value": "i1.c.eset.com"}, vendor="eset")
    for target_port, coverage, encrypted in ((853, "encrypted_dns", True), (784, "encrypted_dns", True), (4433, "quic_undecryptable", False)):
        port = case.port()
        case.send(78, "quic", port, OTHER, target_port, "-")
        case.flow(78, port, OTHER, target_port, coverage, encrypted, f"the form of QUIC to port {target_port}", proto="UDP")
    case.dig(79, "2.dnscrypt-cert.services.example", "TXT", [])


def bind_configuration(scratch: Path, key: Path, certificate: str) -> Path:
    zones = ""
    for name, records in ZONES.items():
        file = scratch / f"{name}.zone"
        file.write_text("\n".join(["$TTL 300", f"@ IN SOA ns.{name}. hostmaster.{name}. 1 3600 600 86400 60", "@ IN NS ns", "ns IN A 9.9.9.9", *records]) + "\n")
        zones += f'zone "{name}" {{ type primary; file "{file}"; }};\n'
    everywhere = f"{RESOLVER}; {OTHER}; {BACKEND};"
    configuration = scratch / "named.conf"
    configuration.write_text(
        f'tls own {{ key-file "{key}"; cert-file "{certificate}"; }};\n'
        f'options {{ directory "{scratch}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no; minimal-responses yes; listen-on-v6 {{ none; }};\n'
        f"listen-on port 53 {{ {RESOLVER}; }}; listen-on port 853 tls own {{ {everywhere} }};\n"
        f"listen-on port 443 tls own http default {{ {everywhere} }}; }};\n"
        f'controls {{ }};\n{zones}'
    )
    return configuration


def dhcp_configuration(scratch: Path) -> Path:
    lines = ["port=0", "no-daemon", "user=root", f"interface={BRIDGE}", "bind-interfaces", "dhcp-authoritative", "no-ping", "leasefile-ro",
             f"dhcp-range=192.168.10.150,192.168.10.199,{LEASE}", f"dhcp-range=fd5a:10:20:30::100,fd5a:10:20:30::1ff,64,{LEASE}",
             *(f"dhcp-host={mac_of(number)},192.168.10.1{number},{LEASE}" for number in (81, 82)), f"dhcp-host=id:00:03:00:01:{mac_of(83)},[fd5a:10:20:30::183],{LEASE}"]
    file = scratch / "dhcp.conf"
    file.write_text("\n".join(lines) + "\n")
    return file


def compose(out: Path, scratch: Path, _rustls: Path) -> Path:
    """Records the capture and writes what to expect of it."""
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            raise ComposeError(f"{program} is missing: install {package}")
    authority, key, files = certificates.make(scratch, ["dns.quad9.net"])
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with Network() as network:
        network.add_server_addresses([RESOLVER, OTHER, BACKEND, EDGE])
        for number in range(71, 80):
            network.add_host(f"pc{number}", number, [f"192.168.10.{number}"])
        for number in (81, 82):
            network.add_host(f"pc{number}", number, [])
        network.add_host("pc83", 83, ["fd5a:10:20:30::83"])
        network.start("servers", ["named", "-f", "-n", "1", "-c", str(bind_configuration(scratch, key, files["dns.quad9.net"]))], **quiet)
        # BIND answers questions over HTTP/2 alone; that this server knows none does not matter.
        network.start("servers", [sys.executable, "-m", "http.server", "80", "--bind", EDGE, "--directory", str(scratch)], **quiet)
        network.start("router", ["dnsmasq", "-C", str(dhcp_configuration(scratch))], **quiet)
        time.sleep(2)
        case = Case(network, scratch)
        recorded = scratch / "recorded.pcap"
        with Recording(network, recorded):
            services_part(case)
            local_part(case)
            dhcp_part(case)
            encrypted_part(case, str(authority))
    frames = read_pcap(recorded)
    write(out, case, frames)
    return out / "name-services.pcap"


def write(out: Path, case: Case, frames: list) -> None:
    ends = ("src_ip", "src_port", "dest_ip", "dest_port")
    expected = {
        "capture": "name-services.pcap", "composed_by": "pcaps/compose/compose.py", "packets": len(frames),
        "names": [{"kind": "tls_sni", "name": entry["sni"], **{key: entry[key] for key in ends}, "count": 1} for entry in case.flows if entry["sni"]],
        "questions": case.questions, "hosts": case.hosts, "dhcp": case.dhcp, "services_flows": case.flows,
        "encrypted_dns_hosts": len({entry["src_ip"] for entry in case.flows if entry["encrypted_dns"]} | {"192.168.10.79"}),
        "flows": {"tcp": sum(entry["proto"] == "TCP" for entry in case.flows)},
        "notes": [
            "everything here is what the clients were told to send and the servers to give; only `packets` was counted afterwards",
            "a question without `src_port` came from ports that the system chose, and was sent several times",
            "`dhcp` holds what must be in a message of that kind; clients may repeat a message",
            "an answer about another host's name and an announcement of another host's address say nothing of their sender",
        ],
    }
    path = out / "name-services"
    path.with_suffix(".pcap").write_bytes(pcap_bytes(frames, ETHERNET))
    path.with_suffix(".expected.json").write_text(json.dumps(expected, indent=1) + "\n")
