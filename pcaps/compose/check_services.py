"""The expected results of name-services.pcap against what tshark reads of DNS, NetBIOS names and DHCP."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

TYPES = {"1": "A", "12": "PTR", "16": "TXT", "64": "SVCB", "65": "HTTPS"}
DHCP_TYPES = {"1": "discover", "2": "offer", "3": "request", "5": "ack", "8": "inform"}
DHCPV6_TYPES = {"1": "solicit", "2": "advertise", "3": "request", "7": "reply", "8": "release"}
# A message in an ICMP error is a copy.
ONLY = "!icmp && !icmpv6 && udp"


def questions(capture: Path, expected: dict, tshark: Callable) -> list[str]:
    """Each name as often as it is expected, or (NetBIOS: asked again while nobody answers) at least once."""
    fields = ["ip.src", "udp.srcport", "ip.dst", "dns.qry.name", "dns.qry.type"]
    found = set()
    for row in tshark(capture, fields, f"dns.flags.response == 0 && {ONLY}", "a"):
        found |= {(row[0], int(row[1]), row[2], name, TYPES[kind]) for name, kind in zip(row[3].split(","), row[4].split(","))}
    wanted = {(entry["src_ip"], entry["src_port"], entry["dest_ip"], entry["rrname"], entry["rrtype"]) for entry in expected["questions"] if entry["kind"] != "nbns_query"}
    differences = [f"question: not found: {entry}" for entry in wanted - found] + [f"question: not expected: {entry}" for entry in found - wanted]
    rows = tshark(capture, ["nbns.name"], f"nbns.flags.response == 0 && nbns.flags.opcode == 0 && {ONLY}")
    asked = {row[0].split(" ")[0].removesuffix("<00>").removesuffix("<20>") for row in rows}
    wanted = {entry["rrname"] for entry in expected["questions"] if entry["kind"] == "nbns_query"}
    return differences + ([] if asked == wanted else [f"NetBIOS names: {sorted(asked)} instead of {sorted(wanted)}"])


def dhcp(capture: Path, expected: dict, tshark: Callable) -> list[str]:
    """Each message of DHCP by its kind, with the client's card and the address given."""
    found = {("dhcp", DHCP_TYPES[row[0]], row[1], row[2]) for row in tshark(capture, ["dhcp.option.dhcp", "dhcp.hw.mac_addr", "dhcp.ip.your"], f"dhcp && {ONLY}")}
    rows = tshark(capture, ["dhcpv6.msgtype", "dhcpv6.duidll.link_layer_addr", "dhcpv6.iaaddr.ip"], f"dhcpv6 && {ONLY}")
    found |= {("dhcpv6", DHCPV6_TYPES[row[0]], row[1], row[2]) for row in rows}
    differences = []
    for entry in expected["dhcp"]:
        address = entry.get("assigned_ip") or (entry.get("requested_ip", "") if entry["app_proto"] == "dhcpv6" else "0.0.0.0")
        wanted = (entry["app_proto"], entry["dhcp_type"], entry["client_mac"], address)
        if wanted not in found:
            differences.append(f"DHCP: not found: {wanted}")
    return differences


def check(capture: Path, expected: dict, tshark: Callable) -> list[str]:
    return questions(capture, expected, tshark) + dhcp(capture, expected, tshark)
