"""Turns a list of connections into tls-servers.pcap: what servers of TLS say before they encrypt, and hellos of DTLS.

OpenSSL is client and server, one connection after the other, each from a port of its own, so the expected results are the script's
own list of what it asked for.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from namespaces import ComposeError, Network, run
from pcapfile import read_pcap
from recording import Recording

CLIENT, SERVER = "192.168.10.31", "198.51.100.31"
VENDOR = ["*.ksn.kaspersky-labs.com", "dc1.ksn.kaspersky-labs.com"]
PLAIN = ["www.example.org"]
SHARED = ["www.example.org", "dnl-02.geo.kaspersky.com", "update.eset.com"]
MANY = [f"host-{number:03}.example.net" for number in range(150)]
# A protocol of this length makes a hello longer than a datagram of 256 bytes.
LONG = ",".join(f"a-made-up-protocol-number-{number}" for number in range(12))
SUBJECT = "C=CH, O=Composed captures, CN={}"
ISSUER = "O=Composed captures, CN=Composed captures authority"

# name, server's options, client's options, names in the certificate, what is to be seen
CASES = [
    ("vendor-without-sni", ["-tls1_2"], ["-tls1_2", "-noservername"], VENDOR, {"version": "TLS 1.2", "certificate": True, "vendor": "kaspersky"}),
    ("vendor-behind-another-sni", ["-tls1_2", "-alpn", "http/1.1"], ["-tls1_2", "-servername", "www.example.org", "-alpn", "h2,http/1.1"], VENDOR,
     {"version": "TLS 1.2", "certificate": True, "sni": "www.example.org", "alpns": ["h2", "http/1.1"], "server_alpns": ["http/1.1"]}),
    ("several-owners-without-sni", ["-tls1_2"], ["-tls1_2", "-noservername"], SHARED, {"version": "TLS 1.2", "certificate": True}),
    ("many-names-in-small-records", ["-tls1_2", "-max_send_frag", "512"], ["-tls1_2", "-servername", "host-007.example.net"], MANY, {"version": "TLS 1.2", "certificate": True, "sni": "host-007.example.net"}),
    ("session-first", ["-tls1_2"], ["-tls1_2", "-servername", "www.example.org", "-sess_out", "session.pem"], PLAIN, {"version": "TLS 1.2", "certificate": True, "sni": "www.example.org"}),
    ("session-resumed", None, ["-tls1_2", "-servername", "www.example.org", "-sess_in", "session.pem"], PLAIN, {"version": "TLS 1.2", "resumed": True, "sni": "www.example.org"}),
    ("tls-1.3", ["-tls1_3"], ["-tls1_3", "-servername", "www.example.org", "-alpn", "h2,http/1.1"], PLAIN, {"version": "TLS 1.3", "sni": "www.example.org", "alpns": ["h2", "http/1.1"]}),
    ("tls-1.0", ["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"], ["-tls1", "-cipher", "DEFAULT@SECLEVEL=0", "-noservername"], PLAIN, {"version": "TLSv1", "certificate": True}),
    ("dtls-1.2", ["-dtls1_2"], ["-dtls1_2", "-servername", "dtls.example.org"], PLAIN, {"sni": "dtls.example.org"}),
    ("dtls-1.2-with-cookie", ["-dtls1_2", "-listen"], ["-dtls1_2", "-servername", "cookie.example.org"], PLAIN, {"sni": "cookie.example.org"}),
    ("dtls-1.0", ["-dtls1", "-cipher", "DEFAULT@SECLEVEL=0"], ["-dtls1", "-cipher", "DEFAULT@SECLEVEL=0", "-servername", "old.example.org"], PLAIN, {"sni": "old.example.org"}),
    ("dtls-in-fragments", ["-dtls1_2"], ["-dtls1_2", "-servername", "fragments.example.org", "-alpn", LONG, "-mtu", "256"], PLAIN, {"sni": "fragments.example.org", "alpns": LONG.split(",")}),
]


def certificate(scratch: Path, authority: tuple[Path, Path], names: list[str]) -> tuple[str, str]:
    """A certificate for these names, the first of them its common name; gives it and its key."""
    base = scratch / f"{len(names)}-{names[0].strip('*.')}"
    config, key, file = base.with_suffix(".cnf"), base.with_suffix(".key"), base.with_suffix(".pem")
    config.write_text(
        "[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=ext\n"
        f"[dn]\nC=CH\nO=Composed captures\nCN={names[0]}\n"
        "[ext]\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName="
        + ",".join(f"DNS:{name}" for name in names) + "\n"
    )
    run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(key)])
    run(["openssl", "req", "-x509", "-new", "-key", str(key), "-CA", str(authority[0]), "-CAkey", str(authority[1]),
         "-days", "30", "-config", str(config), "-out", str(file)])
    return str(file), str(key)


def validity(file: str) -> list[str]:
    said = run(["openssl", "x509", "-in", file, "-noout", "-startdate", "-enddate", "-dateopt", "iso_8601"]).stdout.decode()
    return [line.split("=")[1].removesuffix("Z").replace(" ", "T") for line in said.split("\n") if line]


def compose(out: Path, scratch: Path, _rustls) -> str:
    key, authority, config = scratch / "ca.key", scratch / "ca.pem", scratch / "ca.cnf"
    config.write_text("[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\nO=Composed captures\nCN=Composed captures authority\n"
                      "[ext]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n")
    run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(key)])
    run(["openssl", "req", "-x509", "-new", "-key", str(key), "-days", "30", "-config", str(config), "-out", str(authority)])
    made: dict[str, tuple[str, str]] = {}
    expected = []
    capture = out / "tls-servers.pcap"
    with Network() as network:
        network.add_host("client", 31, [CLIENT])
        network.add_server_addresses([SERVER])
        with Recording(network, capture):
            server, port = None, 4430
            for number, (name, serving, asking, names, seen) in enumerate(CASES):
                if names[0] + str(len(names)) not in made:
                    made[names[0] + str(len(names))] = certificate(scratch, (authority, key), names)
                file, own = made[names[0] + str(len(names))]
                if serving is not None:
                    if server is not None:
                        network.stop(server)
                    port += 1
                    server = network.start("servers", ["openssl", "s_server", "-accept", f"{SERVER}:{port}", "-cert", file, "-key", own, "-quiet", *serving],
                                           stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    time.sleep(0.7)
                source = 41000 + number
                command = ["openssl", "s_client", "-connect", f"{SERVER}:{port}", "-bind", f"{CLIENT}:{source}", *asking]
                client = network.start("client", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=scratch)
                time.sleep(1.2)
                client.stdin.close()
                said = client.stdout.read().decode(errors="replace")
                client.wait(timeout=10)
                if "Cipher is " not in said or "Cipher is (NONE)" in said:
                    raise ComposeError(f"{name}: no handshake: {said[-600:]}")
                row = {"name": name, "proto": "UDP" if name.startswith("dtls") else "TCP", "src_ip": CLIENT, "src_port": source, "dest_ip": SERVER, "dest_port": port, **seen}
                if seen.get("certificate"):
                    not_before, not_after = validity(file)
                    row |= {"names": names, "subject": SUBJECT.format(names[0]), "issuerdn": ISSUER, "notbefore": not_before, "notafter": not_after}
                expected.append(row)
            network.stop(server)
            time.sleep(0.5)
    over = [row["proto"] for row in expected]
    named = [row for row in expected if "sni" in row and row["proto"] == "TCP"]
    document = {
        "capture": capture.name,
        "packets": len(read_pcap(capture)),
        "flows": {"tcp": over.count("TCP"), "udp": over.count("UDP")},
        "names": [{key: row[key] for key in ("src_ip", "src_port", "dest_ip", "dest_port")} | {"name": row["sni"], "count": 1} for row in named],
        "connections": expected,
    }
    (out / "tls-servers.expected.json").write_text(json.dumps(document, indent=1) + "\n")
    return f"{len(expected)} connections, {capture.stat().st_size} bytes"
