"""Turns a list of visits into proxies.pcap: names behind a beginning in another protocol, by real clients.

HTTP proxies (tinyproxy, and one of our own that asks for a password), SOCKS proxies (microsocks, and one of our own for version 4),
servers that begin TLS when asked, and HTTP/2 in clear (nghttpd). Each client is bound to a port or given a range of one, and one
visit follows another, so the expected results are the script's own list. What the proxies asked for on their side is left out.
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
from demo import start_servers
from namespaces import HERE, ComposeError, Network
from packets import tcp_parts
from pcapfile import ETHERNET, Frame, pcap_bytes, read_pcap
from recording import Recording

HOST, PROXY, SECOND = "192.168.10.51", "192.168.10.5", "192.168.10.6"
WEB, MAIL, H2 = "203.0.113.90", "203.0.113.91", "203.0.113.92"
VENDOR, VENDOR_ADDRESS = "update.eset.com", "91.228.166.14"
INNER, PLAIN = "inner.proxies.example", "plain.proxies.example"
HOSTS = {INNER: WEB, PLAIN: WEB, VENDOR: VENDOR_ADDRESS}
STARTTLS = {"smtp": 25, "imap": 143, "pop3": 110, "ftp": 21, "nntp": 119, "irc": 6667, "ldap": 389, "postgres": 5432, "mysql": 3306, "xmpp": 5222}
# Ports on which tshark, which checks `names`, does not see TLS begin.
UNREAD = (STARTTLS["irc"],)
NEEDED = {"tinyproxy": "tinyproxy-bin", "microsocks": "microsocks", "nghttpd": "nghttp2-server", "nghttp": "nghttp2-client"}


class Visits:
    """What the host does, and the list of what it did."""

    def __init__(self, network: Network, authority: Path) -> None:
        self.network, self.authority = network, str(authority)
        self.port = 41000
        self.names: list[dict] = []
        self.other_names: list[dict] = []
        self.flows: list[dict] = []

    def visit(self, server: str, port: int, why: str, shown: list[tuple[str, str]], deciding: str | None, coverage: str) -> int:
        """Writes a visit down, and gives the port it comes from. `deciding` is the kind that says whose it is."""
        self.port += 1
        ends = {"src_ip": HOST, "src_port": self.port, "dest_ip": server, "dest_port": port}
        for kind, name in shown:
            rows = self.names if kind == "tls_sni" and port not in UNREAD else self.other_names
            known = next((row for row in rows if row["kind"] == kind and row["name"] == name and row["src_port"] == self.port), None)
            if known:
                known["count"] += 1
            else:
                rows.append({"kind": kind, "name": name, **ends, "count": 1})
        self.flows.append({**ends, "why": why, "deciding": deciding, "coverage": coverage})
        return self.port

    def run(self, command: list[str], given: bytes = b"") -> None:
        try:
            done = subprocess.run(self.network.inside("pc51", command), input=given, capture_output=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired as error:
            raise ComposeError(f"{' '.join(command)} did not end") from error
        if done.returncode != 0:
            raise ComposeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-400:]}")

    def curl(self, port: int, *arguments: str) -> None:
        self.run(["curl", "--silent", "--show-error", "--output", "/dev/null", "--noproxy", "", "--local-port", str(port), "--user-agent", "proxies/1",
                  "--cacert", self.authority, *arguments])

    # -- proxies ----------------------------------------------------------------------------------

    def connect(self) -> None:
        proxy = ["--proxy", f"http://{PROXY}:8888"]
        port = self.visit(PROXY, 8888, "CONNECT, TLS inside", [("http_connect", INNER), ("tls_sni", INNER)], None, "named_not_security")
        self.curl(port, *proxy, f"https://{INNER}/")
        port = self.visit(PROXY, 8888, "CONNECT to a vendor's name", [("http_connect", VENDOR), ("tls_sni", VENDOR)], "tls_sni", "attributed")
        self.curl(port, *proxy, f"https://{VENDOR}/")
        port = self.visit(PROXY, 8888, "CONNECT to an address, a vendor's name inside", [("http_connect", VENDOR_ADDRESS), ("tls_sni", VENDOR)], "tls_sni", "attributed")
        self.curl(port, *proxy, "--connect-to", f"{VENDOR}:443:{VENDOR_ADDRESS}:443", f"https://{VENDOR}/")
        port = self.visit(PROXY, 8888, "CONNECT to a vendor's name, another name inside", [("http_connect", VENDOR), ("tls_sni", INNER)], None, "named_not_security")
        self.curl(port, *proxy, "--insecure", "--connect-to", f"{INNER}:443:{VENDOR}:443", f"https://{INNER}/")
        port = self.visit(PROXY, 8888, "CONNECT to an address, no name inside", [("http_connect", WEB)], None, "proxied")
        self.curl(port, *proxy, "--insecure", f"https://{WEB}/")
        port = self.visit(PROXY, 8888, "CONNECT, HTTP inside", [("http_connect", PLAIN), ("http_host", PLAIN)], None, "named_not_security")
        self.curl(port, *proxy, "--proxytunnel", f"http://{PLAIN}/")
        port = self.visit(SECOND, 3128, "CONNECT refused, and asked again on the same connection",
                          [("http_connect", INNER), ("http_connect", INNER), ("tls_sni", INNER)], None, "named_not_security")
        self.curl(port, "--proxy", f"http://{SECOND}:3128", "--proxy-anyauth", "--proxy-user", "fred:secret", f"https://{INNER}/")

    def socks(self) -> None:
        for scheme, server, port, target in (("socks5h", PROXY, 1080, INNER), ("socks5", PROXY, 1080, WEB), ("socks4a", SECOND, 1080, INNER), ("socks4", SECOND, 1080, WEB),
                                             ("socks5h", PROXY, 1081, INNER)):
            user = "fred:secret@" if port == 1081 else ""
            proxy = ["--proxy", f"{scheme}://{user}{server}:{port}", "--resolve", f"{INNER}:443:{WEB}", "--resolve", f"{PLAIN}:80:{WEB}"]
            said = f"{scheme}{' with a password' if user else ''}"
            own = self.visit(server, port, f"{said}, TLS inside", [("socks", target), ("tls_sni", INNER)], None, "named_not_security")
            self.curl(own, *proxy, f"https://{INNER}/")
            own = self.visit(server, port, f"{said}, HTTP inside", [("socks", target if target == WEB else PLAIN), ("http_host", PLAIN)], None, "named_not_security")
            self.curl(own, *proxy, f"http://{PLAIN}/")
        own = self.visit(PROXY, 1080, "socks5h to a vendor's name", [("socks", VENDOR), ("tls_sni", VENDOR)], "tls_sni", "attributed")
        self.curl(own, "--proxy", f"socks5h://{PROXY}:1080", f"https://{VENDOR}/")
        own = self.visit(PROXY, 1080, "socks5 to an address, no name inside", [("socks", WEB)], None, "proxied")
        self.curl(own, "--proxy", f"socks5h://{PROXY}:1080", "--insecure", f"https://{WEB}/")

    # -- TLS that is asked for --------------------------------------------------------------------

    def starttls(self) -> None:
        for protocol, port in STARTTLS.items():
            name = f"{protocol}.proxies.example"
            own = self.visit(MAIL, port, f"STARTTLS of {protocol}", [("tls_sni", name)], None, "named_not_security")
            self.run(["openssl", "s_client", "-starttls", protocol, "-bind", f"{HOST}:{own}", "-connect", f"{MAIL}:{port}", "-servername", name, "-CAfile", self.authority], b"Q\n")

    # -- HTTP/2 -----------------------------------------------------------------------------------

    def http2(self) -> None:
        name = "h2.proxies.example"
        own = self.visit(H2, 8080, "HTTP/2 by prior knowledge, curl", [("http_host", name)], None, "named_not_security")
        self.curl(own, "--http2-prior-knowledge", "--resolve", f"{name}:8080:{H2}", f"http://{name}:8080/one")
        own = self.visit(H2, 8080, "HTTP/2 with priorities, two requests of a vendor's name, padded", [("http_host", VENDOR), ("http_host", VENDOR)], "http_host", "attributed")
        self.network.execute("pc51", ["sysctl", "-qw", f"net.ipv4.ip_local_port_range={own} {own}"])
        self.run(["nghttp", "-n", "-b", "16", "-H", f":authority: {VENDOR}", f"http://{H2}:8080/one", f"http://{H2}:8080/two"])


def start_own_servers(network: Network, short: str, config: dict, scratch: Path) -> None:
    file = scratch / f"proxies-{short}.json"
    file.write_text(json.dumps(config))
    process = network.start(short, [sys.executable, str(HERE / "proxies_server.py"), str(file)], stdout=subprocess.PIPE, text=True)
    if process.stdout.readline().strip() != "ready":
        raise ComposeError(f"the servers in {short} did not start: see what they said above")


def prepare(network: Network, scratch: Path, key: Path, files: dict, settings: list[Path]) -> None:
    network.add_server_addresses([WEB, MAIL, H2, VENDOR_ADDRESS])
    for host, number, address in (("proxy", 5, PROXY), ("second", 6, SECOND), ("pc51", 51, HOST)):
        network.add_host(host, number, [address])
        folder = Path("/etc/netns") / network.name(host)
        folder.mkdir(parents=True)
        settings.append(folder)
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        (folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{at} {name}\n" for name, at in HOSTS.items() if host != "pc51"))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    start_servers(network, "servers", {"tls": {"certificates": files, "key": str(key), "port": 443, "addresses": [WEB, VENDOR_ADDRESS]},
                                       "http": {"addresses": [WEB], "port": 80}}, scratch)
    start_own_servers(network, "servers", {"starttls": {"address": MAIL, "certificate": files["mail.proxies.example"], "key": str(key), "protocols": STARTTLS}}, scratch)
    start_own_servers(network, "second", {"socks4": {"address": SECOND, "port": 1080, "hosts": HOSTS}, "connect": {"address": SECOND, "port": 3128, "hosts": HOSTS}}, scratch)
    site = scratch / "site"
    site.mkdir()
    for name in ("one", "two"):
        (site / name).write_text("One line.\n")
    network.start("servers", ["nghttpd", "--no-tls", "--address", H2, "-d", str(site), "8080"], **quiet)
    configuration = scratch / "tinyproxy.conf"
    configuration.write_text(f"Port 8888\nListen {PROXY}\nTimeout 60\nMaxClients 20\nConnectPort 443\nConnectPort 80\nDisableViaHeader Yes\n")
    network.start("proxy", ["tinyproxy", "-d", "-c", str(configuration)], **quiet)
    network.start("proxy", ["microsocks", "-i", PROXY, "-p", "1080"], **quiet)
    network.start("proxy", ["microsocks", "-i", PROXY, "-p", "1081", "-u", "fred", "-P", "secret"], **quiet)
    time.sleep(1)


def is_own(frame: Frame) -> bool:
    parts = tcp_parts(frame.data)
    return parts is not None and HOST in (parts[0], parts[2])


def compose(out: Path, scratch: Path, _rustls: Path) -> Path:
    """Records proxies.pcap, and writes what to expect of it."""
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            raise ComposeError(f"{program} is missing: install {package}")
    authority, key, files = certificates.make(scratch, [INNER, VENDOR, "mail.proxies.example"])
    settings: list[Path] = []
    recorded = scratch / "recorded.pcap"
    with Network() as network:
        try:
            prepare(network, scratch, key, files, settings)
            visits = Visits(network, authority)
            with Recording(network, recorded):
                for part in (visits.connect, visits.socks, visits.starttls, visits.http2):
                    part()
        finally:
            for folder in settings:
                shutil.rmtree(folder, ignore_errors=True)
    frames = [frame for frame in read_pcap(recorded) if is_own(frame)]
    (out / "proxies.pcap").write_bytes(pcap_bytes(frames, ETHERNET))
    expected = {
        "capture": "proxies.pcap", "composed_by": "pcaps/compose/compose.py", "packets": len(frames), "names": visits.names, "other_names": visits.other_names,
        "tunnelled": visits.flows, "flows": {"tcp": len(visits.flows)},
        "notes": [
            "everything here is what the clients were told to ask for; only `packets` was counted afterwards",
            "`deciding` is the kind of evidence that says whose a flow is, null where nobody's name was shown, and `coverage` its bucket",
            "what the proxies asked for on their side was recorded and left out",
            "the name behind STARTTLS of IRC stands in `other_names`, as tshark does not see TLS begin there",
        ],
    }
    (out / "proxies.expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    return out / "proxies.pcap"
