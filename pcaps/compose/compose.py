#!/usr/bin/env python3
"""Turns cases into captures: records real clients and servers, and writes beside each capture what to expect of it.

    sudo python3 pcaps/compose/compose.py [demo|deliveries|link-types|names|name-services|quic|proxies|hosts|multi-site|tunnels]... --out pcaps/
         python3 pcaps/compose/compose.py --check pcaps/

Needs root, tcpdump, openssl, curl, ip (iproute2), cargo, for `names` also dig, dnsmasq and tinyproxy, for `name-services` named, nmblookup, udhcpc and dhclient, for `proxies` tinyproxy,
microsocks, nghttpd and nghttp, for `hosts` dnsmasq, udhcpc, tinyproxy and dig, for `quic` aioquic from PyPI; --check needs tshark alone. Exit codes: 0 done or
agreed, 1 the check found differences, 2 something is missing or failed (the text says what).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import canaries
import check
import deliveries
import demo
import hosts
import keylog
import linktypes
import name_services
import names
import quic
import proxies
import sites
import tls_servers
import tunnels
import verdicts
from clients import build_rustls_client
from namespaces import ComposeError

CASES = {"demo": demo.compose, "canaries": canaries.compose, "deliveries": deliveries.compose, "link-types": linktypes.compose, "keylog": keylog.compose, "names": names.compose, "name-services": name_services.compose, "quic": quic.compose, "proxies": proxies.compose, "hosts": hosts.compose, "multi-site": sites.compose,
         "tls-servers": tls_servers.compose, "tunnels": tunnels.compose, "verdicts": verdicts.compose}
NEEDED = {"ip": "iproute2", "tcpdump": "tcpdump", "openssl": "openssl", "curl": "curl", "sysctl": "procps", "cargo": "the Rust toolchain"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compose and record the captures of this folder, or check recorded ones.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"which to compose: {', '.join(CASES)} (default: all)")
    parser.add_argument("--out", type=Path, help="folder that the captures are written to")
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="compare the captures of FOLDER with their expected results by tshark")
    given = parser.parse_args()
    unknown = [case for case in given.cases if case not in CASES]
    if unknown:
        parser.error(f"no case is called {unknown[0]!r}: known are {', '.join(CASES)}")
    if given.check is None and given.out is None:
        parser.error("name the folder to write to (--out pcaps/) or to check (--check pcaps/)")
    return given


def require() -> None:
    if os.geteuid() != 0:
        raise ComposeError("recording needs root (network namespaces and tcpdump): run it with sudo; --check does not")
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            raise ComposeError(f"{program} is missing: install {package}")


def leave(number: int, _frame) -> None:
    """A signal unwinds the stack, so that the namespaces go and the scratch folder with its keys."""
    raise SystemExit(128 + number)


def main() -> int:
    given = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    try:
        if given.out is not None:
            require()
            given.out.mkdir(parents=True, exist_ok=True)
            rustls = build_rustls_client()
            for case in given.cases or CASES:
                with tempfile.TemporaryDirectory(prefix="compose-") as scratch:
                    print(f"{case}: {CASES[case](given.out, Path(scratch), rustls)}", flush=True)
        if given.check is not None:
            return 1 if check.check(given.check) else 0
    except ComposeError as error:
        print(f"compose: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
