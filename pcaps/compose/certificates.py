"""Turns a list of names into certificates signed by an authority made for this one run.

Nothing of it outlives the run: keys and certificates are written into the scratch folder only.
"""

from __future__ import annotations

from pathlib import Path

from namespaces import run


def make(scratch: Path, names: list[str]) -> tuple[Path, Path, dict[str, str]]:
    """Gives the authority's certificate, the key all servers share, and one certificate file per name."""
    key, authority_key, authority = scratch / "server.key", scratch / "ca.key", scratch / "ca.pem"
    for path in (key, authority_key):
        run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(path)])
    config = scratch / "ca.cnf"
    config.write_text(
        "[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\nO=Composed captures\nCN=Composed captures authority\n"
        "[ext]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n"
    )
    run(["openssl", "req", "-x509", "-new", "-key", str(authority_key), "-days", "3", "-config", str(config), "-out", str(authority)])
    files = {}
    for number, name in enumerate(names):
        config, file = scratch / f"{number}.cnf", scratch / f"{number}.pem"
        config.write_text(
            f"[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\nO=Composed captures\nCN={name[:60]}\n"
            f"[ext]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:{name}\nextendedKeyUsage=serverAuth\n"
        )
        run(["openssl", "req", "-x509", "-new", "-key", str(key), "-CA", str(authority), "-CAkey", str(authority_key),
             "-days", "2", "-config", str(config), "-out", str(file)])
        files[name] = str(file)
    return authority, key, files
