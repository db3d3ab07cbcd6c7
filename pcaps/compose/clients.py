"""Turns "this host asks that name for so many bytes" into a command of a real client, and runs it.

Every client binds its source address and port before it connects, so the expected results know the
four numbers of each connection without looking at the recording.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from namespaces import HERE, ComposeError, Network
from servers import filler

TLS_CLIENTS = ("openssl", "curl", "python", "rustls")
# What a client is given to finish; the machine may be busy with other things.
PATIENCE = 60


@dataclass
class Exchange:
    """One request of a host: everything the client is told."""

    host: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    name: str
    client: str
    sent: int = 0
    received: int = 512
    options: tuple[str, ...] = ()


def target(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def request_bytes(exchange: Exchange, path: str = "/") -> bytes:
    """The HTTP request that asks for `received` bytes and carries `sent` bytes."""
    verb = "POST" if exchange.sent else "GET"
    length = f"Content-Length: {exchange.sent}\r\n" if exchange.sent else ""
    host = exchange.name or exchange.destination
    head = f"{verb} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Answer-Length: {exchange.received}\r\n{length}\r\n"
    return head.encode() + filler(exchange.sent)


def build_rustls_client() -> Path:
    """Builds the crate beside this file and gives the path of its program."""
    crate = HERE / "rustls-client"
    try:
        done = subprocess.run(
            ["cargo", "build", "--locked", "--message-format=json-render-diagnostics", "--manifest-path", str(crate / "Cargo.toml")],
            stdout=subprocess.PIPE, check=False, text=True,
        )
    except FileNotFoundError as error:
        raise ComposeError("cargo is missing: the post-quantum hello comes from a Rust client that it builds") from error
    if done.returncode != 0:
        raise ComposeError(f"cargo build of {crate} failed: see what it said above")
    marker = '"executable":"'
    programs = [line.split(marker)[1].split('"')[0] for line in done.stdout.splitlines() if marker in line]
    if not programs:
        raise ComposeError(f"cargo build of {crate} named no program")
    return Path(programs[-1])


class Clients:
    """Runs exchanges inside the namespaces of a network."""

    def __init__(self, network: Network, scratch: Path, authority: Path, rustls: Path) -> None:
        self.network = network
        self.scratch = scratch
        self.authority = str(authority)
        self.rustls = str(rustls)

    def _command(self, exchange: Exchange) -> tuple[list[str], bytes | None]:
        source = target(exchange.source, exchange.source_port)
        destination = target(exchange.destination, exchange.destination_port)
        if exchange.client == "openssl":
            naming = ["-servername", exchange.name] if exchange.name else ["-noservername"]
            command = ["openssl", "s_client", "-quiet", "-bind", source, "-connect", destination, *naming, "-CAfile", self.authority, *exchange.options]
            path = "/update.bin" if exchange.options and "serve-file" in exchange.options else "/"
            return [part for part in command if part != "serve-file"], request_bytes(exchange, path)
        if exchange.client in ("curl", "curl-http"):
            scheme = "http" if exchange.client == "curl-http" else "https"
            named = exchange.name or exchange.destination
            url = f"{scheme}://{named}:{exchange.destination_port}/"
            command = ["curl", "--silent", "--show-error", "--fail", "--http1.1", "--output", "/dev/null", "--noproxy", "*",
                       "--interface", exchange.source, "--local-port", str(exchange.source_port),
                       "--header", f"X-Answer-Length: {exchange.received}", *exchange.options]
            if exchange.name:
                address = f"[{exchange.destination}]" if ":" in exchange.destination else exchange.destination
                command += ["--resolve", f"{exchange.name}:{exchange.destination_port}:{address}", "--cacert", self.authority]
            else:
                command += ["--insecure"]
            if exchange.sent:
                command += ["--data-binary", "@-", "--header", "Expect:"]
            return [*command, url], filler(exchange.sent) if exchange.sent else None
        if exchange.client == "python":
            return [sys.executable, str(HERE / "python_client.py"), "tls", exchange.source, str(exchange.source_port),
                    exchange.destination, str(exchange.destination_port), exchange.name, self.authority], request_bytes(exchange)
        if exchange.client == "rustls":
            return [self.rustls, source, destination, exchange.name, self.authority], request_bytes(exchange)
        raise ComposeError(f"no client is called {exchange.client!r}: known are {', '.join(TLS_CLIENTS)}, curl-http")

    def ask(self, exchange: Exchange) -> None:
        """One exchange to its end; a client that failed ends the recording with what it said."""
        command, given = self._command(exchange)
        try:
            done = subprocess.run(
                self.network.inside(exchange.host, command), input=given if given is not None else b"",
                capture_output=True, timeout=PATIENCE, check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ComposeError(f"{exchange.client} on {exchange.host} to {exchange.name} did not end in {PATIENCE} s") from error
        # s_client's exit code does not tell whether a request was answered; the answer does.
        answered = b"200 " in done.stdout[:64] if exchange.client in ("openssl", "rustls") else True
        if done.returncode != 0 or not answered:
            said = done.stderr.decode(errors="replace").strip()[-400:]
            raise ComposeError(f"{exchange.client} on {exchange.host} to {exchange.name or exchange.destination}: exit {done.returncode}: {said}")

    def small(self, host: str, arguments: list[str]) -> None:
        """DNS, NTP, ping or a bare connect by the Python client."""
        self.network.execute(host, [sys.executable, str(HERE / "python_client.py"), *arguments], timeout=PATIENCE)


def run_all(plans: list) -> None:
    """Runs callables in one thread each and re-raises the first failure."""
    failures: list[BaseException] = []

    def guarded(plan) -> None:
        try:
            plan()
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
