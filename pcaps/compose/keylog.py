"""Turns a list of requests into keylog.pcap and keylog.keys, and both together into keylog.pcapng: requests inside TLS, and the secrets.

curl and OpenSSL are the clients and write their secrets to SSLKEYLOGFILE; OpenSSL and nghttpd are the servers. The expected results are the
script's own list of what it asked for. Keys, certificates and secrets are of this recording alone and open nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from namespaces import ComposeError, Network, run
from pcapfile import read_pcap
from recording import Recording

CLIENT, SERVER = "192.168.10.41", "198.51.100.41"
NAMES = ["update.eset.com", "www.example.org"]
HTTP1, HTTP2 = 4431, 4432

# name, HTTP, curl's options, host, paths asked for over one connection, whether the client tells its secrets, what is to be seen
CASES = [
    ("tls-1.2-aes-128-gcm", 1, ["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256"], "update.eset.com", ["/v3/update.ver", "/v3/modules.nup"], True, {}),
    ("tls-1.2-aes-256-gcm", 2, ["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES256-GCM-SHA384"], "www.example.org", ["/one", "/two?three=4"], True, {}),
    ("tls-1.2-chacha20", 1, ["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-CHACHA20-POLY1305"], "update.eset.com", ["/chacha"], True, {}),
    ("tls-1.2-cbc", 1, ["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-SHA256"], "www.example.org", ["/cbc"], True, {"reason": "unsupported_suite"}),
    ("tls-1.3-aes-256-gcm", 1, ["--tls13-ciphers", "TLS_AES_256_GCM_SHA384"], "update.eset.com", ["/v3/update.ver", "/eguard"], True, {"certificate": True}),
    ("tls-1.3-aes-128-gcm", 2, ["--tls13-ciphers", "TLS_AES_128_GCM_SHA256"], "www.example.org", ["/first", "/second"], True, {"certificate": True}),
    ("tls-1.3-chacha20", 2, ["--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256"], "update.eset.com", ["/v3/h2.ver"], True, {"certificate": True}),
    ("tls-1.3-retry", 1, ["--curves", "X25519:P-256"], "update.eset.com", ["/retry"], True, {"certificate": True}),
    ("tls-1.3-key-update", 1, None, "update.eset.com", ["/before", "/after"], True, {"certificate": True}),
    ("tls-1.3-upload", 2, ["--data-binary", "@upload.bin", "-H", "Expect:"], "update.eset.com", ["/samples"], True, {"certificate": True}),
    ("tls-1.3-no-secrets", 1, [], "www.example.org", ["/unknown"], False, {"reason": "no_key"}),
]


def compose(out: Path, scratch: Path, _rustls) -> str:
    config, key, file = scratch / "own.cnf", scratch / "own.key", scratch / "own.pem"
    config.write_text("[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\nO=Composed captures\nCN=update.eset.com\n"
                      "[ext]\nsubjectAltName=" + ",".join(f"DNS:{name}" for name in NAMES) + "\n")
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(file), "-days", "30", "-config", str(config)])
    (scratch / "upload.bin").write_bytes(bytes(range(256)) * 160)
    secrets, capture = out / "keylog.keys", out / "keylog.pcap"
    secrets.write_text("# Secrets of the sessions in keylog.pcap, made for it; they open nothing else.\n")
    expected = []
    with Network() as network:
        network.add_host("client", 41, [CLIENT])
        network.add_server_addresses([SERVER])
        quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": scratch}
        with Recording(network, capture):
            # The second knows one group only, of which the client sends no share at first: it is asked again.
            one = network.start("servers", ["openssl", "s_server", "-accept", f"{SERVER}:{HTTP1}", "-cert", str(file), "-key", str(key), "-www", "-quiet"], **quiet)
            retry = network.start("servers", ["openssl", "s_server", "-accept", f"{SERVER}:{HTTP1 + 10}", "-cert", str(file), "-key", str(key), "-www", "-quiet", "-groups", "P-256"], **quiet)
            two = network.start("servers", ["nghttpd", "-a", SERVER, str(HTTP2), str(key), str(file)], **quiet)
            time.sleep(1.0)
            for number, (name, version, options, host, paths, told, seen) in enumerate(CASES):
                source = 42000 + 10 * number
                port = HTTP2 if version == 2 else HTTP1 + 10 if name == "tls-1.3-retry" else HTTP1
                agent = f"composed/{number}"
                environment = {key: value for key, value in os.environ.items() if key != "SSLKEYLOGFILE"}
                # s_server takes one request a connection, nghttpd several.
                connections = [paths] if version == 2 or options is None else [[path] for path in paths]
                for each, asked in enumerate(connections):
                    if options is None:
                        ask_with_openssl(network, scratch, secrets, source, port, host, asked, agent)
                    else:
                        if told:
                            environment["SSLKEYLOGFILE"] = str(secrets)
                        command = ["curl", "-sk", "--noproxy", "*", "--local-port", str(source + each), "--resolve", f"{host}:{port}:{SERVER}", "-A", agent,
                                   "--http2" if version == 2 else "--http1.1", *options]
                        for path in asked:
                            command += ["-o", "/dev/null", f"https://{host}:{port}{path}"]
                        client = network.start("client", command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=scratch, env=environment)
                        said = client.communicate(timeout=20)[0]
                        if client.returncode != 0:
                            raise ComposeError(f"{name}: curl ends with {client.returncode}: {said[-300:]}")
                    method = "POST" if options is None or name.endswith("upload") else "GET"
                    row = {"name": name, "proto": "TCP", "src_ip": CLIENT, "src_port": source + each, "dest_ip": SERVER, "dest_port": port, "sni": host, "agent": agent,
                           "http": version, "requests": [{"method": method, "host": host, "path": path} for path in asked]}
                    expected.append(row | seen)
            for server in (one, retry, two):
                network.stop(server)
            time.sleep(0.5)
    run(["editcap", "--inject-secrets", f"tls,{secrets}", str(capture), str(out / "keylog.pcapng")])
    document = {
        "capture": capture.name,
        "packets": len(read_pcap(capture)),
        "flows": {"tcp": len(expected), "udp": 0},
        "names": [{key: row[key] for key in ("src_ip", "src_port", "dest_ip", "dest_port")} | {"name": row["sni"], "count": 1} for row in expected],
        "certificate": NAMES,
        "connections": expected,
    }
    (out / "keylog.expected.json").write_text(json.dumps(document, indent=1) + "\n")
    return f"{len(expected)} connections, {capture.stat().st_size} bytes"


def ask_with_openssl(network, scratch, secrets, source, port, host, paths, agent) -> None:
    """Two requests over one connection, with new keys for the client's stream between them: a line `K` is s_client's word for that."""
    own = scratch / "openssl.keys"
    command = ["openssl", "s_client", "-connect", f"{SERVER}:{port}", "-bind", f"{CLIENT}:{source}", "-servername", host, "-tls1_3", "-keylogfile", str(own)]
    client = network.start("client", command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=scratch)
    time.sleep(0.7)
    # The server answers behind the first empty line and closes: the second request comes with it.
    head = [f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nContent-Length: 0\r\n" for path in paths]
    client.stdin.write((head[0] + "X-Last: 1\r\n").encode())
    client.stdin.flush()
    time.sleep(0.4)
    client.stdin.write(b"K\n")
    client.stdin.flush()
    time.sleep(0.4)
    client.stdin.write(("\r\n" + head[1] + "\r\n").encode())
    client.stdin.flush()
    time.sleep(0.5)
    client.stdin.close()
    client.wait(timeout=10)
    with secrets.open("a") as log:
        log.write(own.read_text())
