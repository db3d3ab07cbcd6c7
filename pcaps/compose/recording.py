"""Turns a running network into a capture file: tcpdump on the router's bridge, for as long as a block lasts."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from namespaces import BRIDGE, ComposeError, Network


class Recording:
    """`with Recording(network, path):` records every packet of the office once, whole, with its time."""

    def __init__(self, network: Network, path: Path) -> None:
        self.network = network
        self.path = path
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "Recording":
        # Its own stderr tells when it listens; the buffer is large, so that a busy machine loses nothing.
        self.process = self.network.start(
            "router",
            ["tcpdump", "-i", BRIDGE, "-w", str(self.path), "-s", "0", "-n", "-U", "-B", "32768", "-Z", "root"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        line = self.process.stderr.readline()
        while line and "listening on" not in line:
            line = self.process.stderr.readline()
        if not line:
            raise ComposeError("tcpdump did not start: is it installed (apt-get install tcpdump)?")
        return self

    def __exit__(self, kind, *_) -> None:
        # The last segments of the last connection are still under way when its client has ended.
        time.sleep(1.0)
        self.process.terminate()
        said = self.process.stderr.read()
        self.process.wait()
        self.network.stop(self.process)
        dropped = [line for line in said.splitlines() if "dropped by kernel" in line]
        if kind is None and dropped and not dropped[0].startswith("0 "):
            raise ComposeError(f"tcpdump lost packets ({dropped[0]}): record again on a quieter machine")
