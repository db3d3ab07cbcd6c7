"""Turns a list of office hosts and server addresses into network namespaces joined by a router.

Each host has a namespace, a fixed MAC and a veth pair that ends in the router's bridge, so that the
bridge sees every packet of the office once, also those between two hosts. The servers' addresses
all live on the loopback of one namespace behind the router.

      host .21 ──┐
      host .22 ──┼── bridge (192.168.10.1) ─ router ── servers (77.74.178.10, 91.228.166.14 ...)
      host .23 ──┘        ▲ tcpdump listens here
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GATEWAY4 = "192.168.10.1"
GATEWAY6 = "fd5a:10:20:30::1"
BRIDGE = "office0"

HERE = Path(__file__).resolve().parent


class ComposeError(Exception):
    """Something the person at the terminal has to put right; the text says what."""


def run(command: list[str], **options) -> subprocess.CompletedProcess:
    """Runs a command to its end; a failure names the command and what it said."""
    done = subprocess.run(command, capture_output=True, check=False, **options)
    if done.returncode != 0:
        said = (done.stderr or b"") if isinstance(done.stderr, bytes) else (done.stderr or "").encode()
        raise ComposeError(f"{' '.join(command[:12])}: exit {done.returncode}: {said.decode(errors='replace').strip()[-600:]}")
    return done


def mac_of(number: int) -> str:
    """A locally administered MAC that is the same in every recording."""
    return f"02:00:0a:0a:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}"


class Network:
    """The namespaces of one recording; a context manager that removes what it made, also on failure."""

    def __init__(self) -> None:
        self.prefix = f"avs{os.getpid()}"
        self.made: list[str] = []
        self.processes: list[subprocess.Popen] = []

    def __enter__(self) -> "Network":
        if os.geteuid() != 0:
            raise ComposeError("recording needs root (network namespaces and tcpdump): run it with sudo; --check does not")
        try:
            self._router()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # -- building ---------------------------------------------------------------------------------

    def name(self, short: str) -> str:
        return f"{self.prefix}-{short}"

    def _namespace(self, short: str) -> None:
        run(["ip", "netns", "add", self.name(short)])
        self.made.append(self.name(short))
        self.execute(short, ["ip", "link", "set", "lo", "up"])

    def _quiet6(self, short: str, interface: str, on: bool) -> None:
        """Hosts without an IPv6 address send no router solicitations; the others skip address detection."""
        base = f"net.ipv6.conf.{interface}"
        self.execute(short, ["sysctl", "-qw", f"{base}.disable_ipv6={0 if on else 1}"])
        if on:
            self.execute(short, ["sysctl", "-qw", f"{base}.accept_ra=0", f"{base}.accept_dad=0", f"{base}.router_solicitations=0"])

    def _no_offloads(self, short: str, interface: str) -> None:
        """Frames as a wire would carry them: real-sized and with valid checksums."""
        self.execute(short, [sys.executable, str(HERE / "offloads.py"), interface])

    def _router(self) -> None:
        self._namespace("router")
        self._namespace("servers")
        for command in (
            f"ip link add {BRIDGE} address {mac_of(1)} type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
            f"ip addr add {GATEWAY4}/24 dev {BRIDGE}",
            f"ip link set {BRIDGE} up",
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
            f"ip link add up0 type veth peer name down0 netns {self.name('servers')}",
            "ip addr add 198.18.0.1/30 dev up0",
            "ip link set up0 up",
            "ip route add default via 198.18.0.2",
        ):
            self.execute("router", command.split())
        self._quiet6("router", BRIDGE, True)
        self._quiet6("router", "up0", True)
        self._quiet6("servers", "down0", True)
        for command in (
            "ip addr add 198.18.0.2/30 dev down0",
            "ip link set down0 up",
            "ip route add 192.168.10.0/24 via 198.18.0.1",
            "ip -6 addr add fd5a:10:20:ff::2/64 dev down0 nodad",
            "ip -6 route add fd5a:10:20:30::/64 via fd5a:10:20:ff::1",
        ):
            self.execute("servers", command.split())
        for command in (
            f"ip -6 addr add {GATEWAY6}/64 dev {BRIDGE} nodad",
            "ip -6 addr add fd5a:10:20:ff::1/64 dev up0 nodad",
            "ip -6 route add default via fd5a:10:20:ff::2",
        ):
            self.execute("router", command.split())
        self._no_offloads("router", "up0")
        self._no_offloads("router", BRIDGE)
        self._no_offloads("servers", "down0")

    def add_host(self, short: str, number: int, addresses: list[str]) -> None:
        """A host of the office: `number` gives its MAC, `addresses` one IPv4 and perhaps one IPv6 address."""
        self._namespace(short)
        port = f"port{number}"
        self.execute("router", f"ip link add {port} type veth peer name eth0 netns {self.name(short)}".split())
        self.execute("router", ["ip", "link", "set", port, "master", BRIDGE])
        self._quiet6("router", port, False)
        self.execute("router", ["ip", "link", "set", port, "up"])
        self.execute(short, ["ip", "link", "set", "eth0", "address", mac_of(number)])
        six = [address for address in addresses if ":" in address]
        self._quiet6(short, "eth0", bool(six))
        self.execute(short, ["ip", "link", "set", "eth0", "up"])
        for address in addresses:
            if ":" in address:
                self.execute(short, ["ip", "-6", "addr", "add", f"{address}/64", "dev", "eth0", "nodad"])
                self.execute(short, ["ip", "-6", "route", "add", "default", "via", GATEWAY6])
            else:
                self.execute(short, ["ip", "addr", "add", f"{address}/24", "dev", "eth0"])
                self.execute(short, ["ip", "route", "add", "default", "via", GATEWAY4])
        self._no_offloads(short, "eth0")
        self._no_offloads("router", port)

    def add_server_addresses(self, addresses: list[str]) -> None:
        """Addresses that answer; any other address beyond the router swallows what is sent to it."""
        for address in sorted(set(addresses)):
            if ":" in address:
                self.execute("servers", ["ip", "-6", "addr", "add", f"{address}/128", "dev", "lo", "nodad"])
            else:
                self.execute("servers", ["ip", "addr", "add", f"{address}/32", "dev", "lo"])

    # -- running ----------------------------------------------------------------------------------

    def inside(self, short: str, command: list[str]) -> list[str]:
        return ["ip", "netns", "exec", self.name(short), *command]

    def execute(self, short: str, command: list[str], **options) -> subprocess.CompletedProcess:
        return run(self.inside(short, command), **options)

    def start(self, short: str, command: list[str], **options) -> subprocess.Popen:
        process = subprocess.Popen(self.inside(short, command), **options)
        self.processes.append(process)
        return process

    def stop(self, process: subprocess.Popen) -> None:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.processes:
            self.processes.remove(process)

    def close(self) -> None:
        for process in list(self.processes):
            self.stop(process)
        for name in reversed(self.made):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        self.made.clear()
