"""Turns captures and the expected results beside them into agreement or a list of differences, by what tshark reads.

tshark is the second opinion: it wrote none of the expected results.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import check_services
from namespaces import ComposeError

REASSEMBLE = ["-o", "tcp.reassemble_out_of_order:TRUE"]
VERIFY = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
# `Bad` is 0 in tshark's checksum status; a frame cut by a snap length is `Unverified`.
BAD = "tcp.checksum.status == 0 || ip.checksum.status == 0 || udp.checksum.status == 0"


def tshark(capture: Path, fields: list[str], only: str = "", occurrence: str = "f") -> list[list[str]]:
    """The fields of the frames that match, of each the first occurrence or (`a`) all; what a damaged file holds before the damage counts."""
    command = ["tshark", "-n", "-r", str(capture), *REASSEMBLE, *VERIFY, "-T", "fields", "-E", f"occurrence={occurrence}"]
    for name in fields:
        command += ["-e", name]
    if only:
        command += ["-Y", only]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ComposeError("tshark is missing: apt-get install tshark") from error
    if done.returncode != 0 and not ("cut short" in done.stderr or "damaged or corrupt" in done.stderr):
        raise ComposeError(f"tshark on {capture}: {done.stderr.strip()[-300:]}")
    return [line.split("\t") for line in done.stdout.splitlines()]


ENDS = ["ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport"]


def ends(row: list[str]) -> tuple:
    return row[0] or row[1], int(row[2]), row[3] or row[4], int(row[5])


def of(entry: dict) -> tuple:
    return entry["src_ip"], entry["src_port"], entry["dest_ip"], entry["dest_port"]


def compare(what: str, wanted: Counter, found: Counter) -> list[str]:
    return [f"{what}: not found: {entry}" for entry in (wanted - found)] + [f"{what}: not expected: {entry}" for entry in (found - wanted)]


def check_quic(capture: Path, expected: dict) -> list[str]:
    """Names and versions of QUIC; of a hello that came twice the first counts."""
    fields = ["ip.src", "ipv6.src", "udp.srcport", "ip.dst", "ipv6.dst", "udp.dstport"]
    rows = tshark(capture, [*fields, "tls.handshake.extensions_server_name", "quic.version"], "quic && tls.handshake.extensions_server_name")
    # Of a connection whose Retry comes first tshark takes the keys from before it; versions that it does not know it does not try.
    beyond = {of(entry) for entry in expected["cases"] if entry["case"] in ("retry-late", "reserved-version", "unknown-version")}
    wanted = Counter((*of(entry), entry["name"], entry["version"]) for entry in expected["names"] if of(entry) not in beyond)
    found = {(*ends(row), row[6], f"{int(row[7], 16):x}") for row in rows if ends(row) not in beyond}
    differences = compare("quic_sni", wanted, Counter(found))
    named = {ends(row) for row in rows}
    return differences + [f"named, but should not be: {of(entry)}" for entry in expected["unnamed"] if of(entry) in named]


def check_names(capture: Path, expected: dict) -> list[str]:
    if any(entry.get("kind") == "quic_sni" for entry in expected["names"]):
        return check_quic(capture, expected)
    rows = tshark(capture, [*ENDS, "tls.handshake.extensions_server_name"], "tls.handshake.extensions_server_name")
    wanted = Counter({(*of(entry), entry["name"]): entry["count"] for entry in expected["names"] + expected.get("inner_names", [])})
    differences = compare("tls_sni", wanted, Counter((*ends(row), row[6]) for row in rows))
    named = {ends(row) for row in rows}
    differences += [f"named, but should not be: {of(entry)}" for entry in expected.get("unnamed", []) if of(entry) in named]
    if "questions" in expected:
        return differences + check_services.check(capture, expected, tshark)
    if "dns" in expected:
        return differences + check_dns(capture, expected) + check_http(capture, expected)
    if "home_hosts" in expected:
        return differences + check_stations(capture, expected)
    if "tunnelled" in expected:
        # A Host beside a CONNECT repeats its target, and HTTP/2 has other fields.
        return differences
    wanted = Counter(of(entry) + (entry["name"],) for entry in expected.get("other_names", []) if entry["kind"] == "http_host")
    rows = tshark(capture, [*ENDS, "http.host"], "http.request")
    differences += compare("http_host", wanted, Counter((*ends(row), row[6].split(":")[0]) for row in rows))
    wanted = Counter((entry["src_ip"], entry["src_port"], entry["dest_ip"], entry["name"]) for entry in expected.get("other_names", []) if entry["kind"] == "dns_query")
    rows = tshark(capture, ["ip.src", "udp.srcport", "ip.dst", "dns.qry.name"], "dns.flags.response == 0")
    return differences + compare("dns_query", wanted, Counter((row[0], int(row[1]), row[2], row[3]) for row in rows))


def check_stations(capture: Path, expected: dict) -> list[str]:
    """Who begins connections from which card in which VLAN, and what was asked of name servers."""
    rows = tshark(capture, ["ip.src", "eth.src", "vlan.id"], "tcp.flags.syn == 1 && tcp.flags.ack == 0")
    wanted = {(entry["host"], entry["mac"], str(entry["vlan"] or "")) for entry in expected["stations"]}
    differences = compare("station", Counter(wanted), Counter({tuple(row) for row in rows}))
    rows = tshark(capture, ["ip.src", "udp.srcport", "ip.dst", "dns.qry.name"], "dns.flags.response == 0 && udp.dstport == 53 && ip.src != 192.168.10.170")
    wanted = Counter((entry["src_ip"], entry["src_port"], entry["dest_ip"], entry["rrname"]) for entry in expected["host_questions"])
    return differences + compare("dns_query", wanted, Counter((row[0], int(row[1]), row[2], row[3]) for row in rows))


ENDS_DNS = ["ip.src", "ipv6.src", "udp.srcport", "tcp.srcport", "ip.dst", "ipv6.dst", "udp.dstport", "tcp.dstport"]
RCODES = {"0": "answered", "2": "servfail", "3": "nxdomain", "5": "refused"}
TYPES = {"1": "A", "28": "AAAA"}


def check_dns(capture: Path, expected: dict) -> list[str]:
    """Every question as often as it was sent, every answer with its code, its aliases and its addresses."""
    fields = [*ENDS_DNS, "dns.qry.name", "dns.qry.type", "dns.flags.rcode", "dns.cname", "dns.a", "dns.aaaa"]
    differences = []
    for response in (0, 1):
        found: Counter = Counter()
        for row in tshark(capture, fields, f"dns.flags.response == {response}", "a"):
            ends = [row[0] or row[1], int(row[2] or row[3]), row[4] or row[5], int(row[6] or row[7])]
            if response:
                ends = ends[2:] + ends[:2]
            data = tuple(sorted(",".join(row[11:]).strip(",").replace(",,", ",").split(","))) if response else ()
            outcome = RCODES[row[10]] if response else None
            if outcome == "answered":
                outcome = {("",): "no_data", ("0.0.0.0",): "sinkholed"}.get(data, outcome)
            found[(*ends, row[8], TYPES[row[9]], outcome, data)] += 1
        wanted: Counter = Counter()
        for entry in expected["dns"]:
            if response and entry["outcome"] != "unanswered":
                data = tuple(sorted(answer["rdata"] for answer in entry["answers"])) or ("",)
                wanted[(*of(entry), entry["rrname"], entry["rrtype"], entry["outcome"], data)] += 1
            elif not response and expected.get("seen") != "answers":
                wanted[(*of(entry), entry["rrname"], entry["rrtype"], None, ())] += entry["queries"]
        differences += compare("dns answer" if response else "dns question", wanted, found)
    return differences


def check_http(capture: Path, expected: dict) -> list[str]:
    """Every request with its method, target, Host and User-Agent; a frame may hold several."""
    fields = ["http.request.method", "http.request.uri", "http.host", "http.user_agent"]
    found: Counter = Counter()
    for row in tshark(capture, [*ENDS, *fields], "http.request", "a"):
        columns = [value.split(",") for value in row[6:]]
        for request in zip(*(column * len(columns[0]) if len(column) == 1 and len(columns[0]) > 1 else column for column in columns)):
            found[(*ends(row), *request)] += 1
    wanted = Counter((*of(entry), entry["http_method"], entry["url"], entry["hostname"] or "", entry["http_user_agent"] or "") for entry in expected.get("http", []))
    return compare("http request", wanted, found)


def check_packets(capture: Path, packets: int, tcp_flows: int | None) -> list[str]:
    rows = tshark(capture, ["frame.number", "tcp.stream"])
    differences = [] if len(rows) == packets else [f"packets: {len(rows)} instead of {packets}"]
    streams = len({row[1] for row in rows if row[1]})
    if tcp_flows is not None and streams != tcp_flows:
        differences.append(f"TCP connections: {streams} instead of {tcp_flows}")
    bad = tshark(capture, ["frame.number"], BAD)
    if bad:
        differences.append(f"{len(bad)} frames with a bad checksum, the first is {bad[0][0]}")
    large = tshark(capture, ["frame.number"], "ip.len > 1500 || ipv6.plen > 1460")
    return differences + ([f"{len(large)} frames larger than a wire carries, the first is {large[0][0]}"] if large else [])


def check_times(capture: Path, expected: dict) -> list[str]:
    """First and last packet time to the nanosecond, in whatever clock the file counts."""
    if "first_time_ns" not in expected:
        return []
    stamps = [row[0].partition(".") for row in tshark(capture, ["frame.time_epoch"])]
    found = [int(seconds) * 10**9 + int(rest.ljust(9, "0")) for seconds, _, rest in (stamps[0], stamps[-1])]
    wanted = [expected["first_time_ns"], expected["last_time_ns"]]
    return [] if found == wanted else [f"first and last time: {found} instead of {wanted}"]


def check_bytes(capture: Path, expected: dict) -> list[str]:
    """TLS and HTTP carry at least the bytes that the applications exchanged."""
    sums: Counter = Counter()
    for row in tshark(capture, [*ENDS, "tcp.len"], "tcp.len > 0"):
        sums[ends(row)] += int(row[6])
    differences = []
    for entry in expected.get("application_bytes", []):
        source, port, target, other = of(entry)
        for key, least in (((source, port, target, other), entry["sent_at_least"]), ((target, other, source, port), entry["received_at_least"])):
            if sums[key] < least:
                differences.append(f"bytes: {key} carried {sums[key]}, at least {least} were sent")
    return differences


def check_attempts(capture: Path, expected: dict) -> list[str]:
    """Silence is a SYN without an answer, reset one answered by RST."""
    differences = []
    for entry in expected.get("attempted", []):
        rows = tshark(capture, ["tcp.srcport", "tcp.flags.reset"], f"tcp.port == {entry['src_port']} && ip.addr == {entry['dest_ip']}")
        answers = [row for row in rows if int(row[0]) == entry["dest_port"]]
        if not rows or (entry["answer"] == "silence") != (not answers) or (entry["answer"] == "reset") != any(row[1] in ("1", "True") for row in answers):
            differences.append(f"attempted: {of(entry)} was not answered by {entry['answer']}")
    return differences


def check_cases(capture: Path, expected: dict) -> None:
    """Prints one line per delivery: for how many of its flows tshark gives the name."""
    rows = tshark(capture, [*ENDS, "tls.handshake.extensions_server_name"], "tls.handshake.extensions_server_name")
    found = {(*ends(row), row[6]) for row in rows}
    lines: dict[str, list[dict]] = {}
    for entry in expected["cases"]:
        lines.setdefault(entry["case"], []).append(entry)
    print(f"  {'delivery':24} {'flows':>5} {'named by tshark':>16}  expected")
    for case, entries in lines.items():
        seen = sum((*of(entry), entry["name"]) in found for entry in entries)
        print(f"  {case:24} {len(entries):5} {seen:16}  {'named' if entries[0]['named'] else 'not named'}")


def check_tunnels(capture: Path, expected: dict) -> list[str]:
    """Every name in the layers that it was wrapped in; where tshark does not open the wrapping as it was sent, nothing is asked of it."""
    rows = tshark(capture, ["tls.handshake.extensions_server_name", "tcp.srcport", "frame.protocols"], "tls.handshake.extensions_server_name")
    found = {(row[0], int(row[1])): row[2] for row in rows}
    differences = []
    for entry in expected["tunnels"]:
        layers = found.get((entry["name"], entry["src_port"]))
        if entry["tshark"] and (layers is None or entry["tshark"] not in layers):
            differences.append(f"{entry['case']}: {entry['tshark']} is not in {layers}")
    bad = tshark(capture, ["frame.number"], BAD)
    count = len(tshark(capture, ["frame.number"]))
    differences += [f"frame {row[0]}: bad checksum" for row in bad]
    return differences + ([] if count == expected["packets"] else [f"packets: {count} instead of {expected['packets']}"])


def check_file(capture: Path, expected: dict) -> list[str]:
    if "tunnels" in expected:
        return check_tunnels(capture, expected)
    packets = expected.get("packets", expected.get("readable_packets"))
    differences = check_packets(capture, packets, expected["flows"]["tcp"]) + check_names(capture, expected)
    differences += check_times(capture, expected)
    return differences + check_bytes(capture, expected) + check_attempts(capture, expected)


def check_readme(folder: Path, capture: Path, packets: int) -> list[str]:
    """The row of a capture in README.md ends with its number of packets, which each recording changes."""
    readme = folder / "README.md"
    if not readme.exists():
        return []
    start = f"| `{capture.relative_to(folder)}` |"
    rows = [line for line in readme.read_text().splitlines() if line.startswith(start)]
    if not rows:
        return [f"README.md has no row for {capture.relative_to(folder)}"]
    said = rows[0].rstrip(" |").rsplit("|", 1)[-1].strip().replace(",", "")
    return [] if said == str(packets) else [f"README.md says {said} packets instead of {packets}"]


def check(folder: Path) -> int:
    """Checks every capture with expected results in `folder`; prints each and gives the number of differences."""
    total = 0
    jobs = []
    for file in sorted(folder.glob("*.expected.json")):
        expected = json.loads(file.read_text())
        jobs.append((folder / expected["capture"], expected))
    for listed in (folder / "link-types" / "expected.json", folder / "multi-site" / "expected.json"):
        if listed.exists():
            jobs += [(folder / expected["capture"], expected) for expected in json.loads(listed.read_text())["captures"]]
    if not jobs:
        raise ComposeError(f"{folder} holds no *.expected.json: nothing to check")
    for capture, expected in jobs:
        differences = check_file(capture, expected)
        differences += check_readme(folder, capture, expected.get("packets", expected.get("readable_packets")))
        names = len(expected["names"])
        print(f"{capture.relative_to(folder)}: {names} names, {expected['flows']['tcp']} TCP connections: {'agrees' if not differences else 'DIFFERS'}")
        for difference in differences:
            print(f"  {difference}")
        if "cases" in expected and "quic_sni" not in {entry["kind"] for entry in expected["names"]}:
            check_cases(capture, expected)
        total += len(differences)
    return total
