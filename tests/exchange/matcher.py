#!/usr/bin/env python3
"""An independent small matcher: reads only what was exported, and says by which rules each line is meant.

    matcher.py suricata RULES < questions > answers
    matcher.py rpz ZONE < questions > answers

A question is a JSON line {"buffer": "tls.sni", "text": "name"}; an answer is the list of {"rule", "vendor"} that mean it.
Of Suricata's language it knows what the export uses, and of the zone what RFC 4592 says of wildcards; anything else is an error.
"""

import ipaddress
import json
import re
import sys


def fail(message):
    sys.exit(f"matcher: {message}")


# --- Suricata -------------------------------------------------------------------------------------------------------------

def options(text):
    """Splits at semicolons that stand outside quotes."""
    found, part, quoted, escaped = [], "", False, False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\" and quoted:
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == ";" and not quoted:
            found.append(part.strip())
            part = ""
            continue
        part += character
    if part.strip():
        fail(f"no semicolon after {part!r}")
    return found


def unquoted(value):
    negated = value.startswith("!")
    value = value[negated:]
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        fail(f"not quoted: {value}")
    return negated, value[1:-1]


def content_bytes(text):
    out, parts = b"", text.split("|")
    if len(parts) % 2 == 0:
        fail(f"an odd number of bars: {text}")
    for number, part in enumerate(parts):
        if number % 2:
            out += bytes.fromhex(part)
        else:
            if set(part) & set('";:\\'):
                fail(f"must be escaped: {part}")
            out += part.encode()
    if not 0 < len(out) <= 255:
        fail(f"content of {len(out)} bytes")
    return out


BUFFERS = {"tls": {"tls.sni"}, "quic": {"quic.sni"}, "dns": {"dns.query"},
           "http": {"http.host", "http.user_agent", "http.uri.raw"}}


def suricata_rule(line):
    shape = re.fullmatch(r"alert (\w+) any any -> (\S+) any \((.*)\)", line)
    if not shape:
        fail(f"not a rule: {line}")
    protocol, to, body = shape.groups()
    rule = {"buffer": None, "tests": [], "to": None, "meta": {}}
    if protocol == "ip":
        rule["buffer"] = "ip"
        rule["to"] = [(item[0] == "!", ipaddress.ip_network(item.lstrip("!")))
                      for item in to.strip("[]").split(",")]
    elif to != "any":
        fail(f"addresses in a rule of {protocol}")
    for option in options(body):
        key, _, value = option.partition(":")
        value = value.strip()
        if key in ("tls.sni", "quic.sni", "dns.query", "http.host", "http.user_agent", "http.uri.raw"):
            if rule["buffer"] or key not in BUFFERS[protocol]:
                fail(f"buffer {key} in {line}")
            rule["buffer"] = key
        elif key == "content":
            negated, text = unquoted(value)
            rule["tests"].append({"negated": negated, "bytes": content_bytes(text), "flags": set()})
        elif key in ("nocase", "startswith", "endswith"):
            if key == "nocase" and rule["buffer"] == "http.host":
                fail("Suricata refuses nocase in http.host")
            rule["tests"][-1]["flags"].add(key)
        elif key == "pcre":
            negated, text = unquoted(value)
            shape = re.fullmatch(r"/(.*)/s", text)
            if not shape or "/" in shape[1]:
                fail(f"expression {text}")
            expression = shape[1].replace(r"\z", r"\Z").encode()
            rule["tests"].append({"negated": negated, "re": re.compile(expression, re.S)})
        elif key == "metadata":
            for pair in value.split(","):
                name, _, word = pair.strip().partition(" ")
                rule["meta"][name] = word
        elif key in ("sid", "rev"):
            rule[key] = int(value)
        elif key == "msg":
            unquoted(value)
        elif key == "threshold":
            pass
        else:
            fail(f"option {key} is not known here")
    for needed in ("sid", "rev"):
        if needed not in rule:
            fail(f"no {needed}: {line}")
    return rule


def suricata_means(test, text):
    if "re" in test:
        hit = test["re"].search(text) is not None
    else:
        wanted = test["bytes"]
        if "nocase" in test["flags"]:
            wanted, text = wanted.lower(), text.lower()
        starts, ends = "startswith" in test["flags"], "endswith" in test["flags"]
        if starts and ends:
            hit = text == wanted
        elif starts:
            hit = text.startswith(wanted)
        elif ends:
            hit = text.endswith(wanted)
        else:
            hit = wanted in text
    return hit != test["negated"]


def suricata(path):
    rules, sids = {}, set()
    for line in open(path, encoding="utf-8"):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        rule = suricata_rule(line)
        if rule["sid"] in sids:
            fail(f"sid {rule['sid']} twice")
        sids.add(rule["sid"])
        rules.setdefault(rule["buffer"], []).append(rule)

    def answer(buffer, text):
        found = []
        if buffer == "ip":
            address = ipaddress.ip_address(text)
            for rule in rules.get("ip", []):
                inside = [negated for negated, network in rule["to"]
                          if address.version == network.version and address in network]
                if inside and not any(inside):
                    found.append(rule)
        else:
            # Suricata gives the host in lower case.
            data = (text.lower() if buffer == "http.host" else text).encode("utf-8", "surrogateescape")
            found = [rule for rule in rules.get(buffer, [])
                     if all(suricata_means(test, data) for test in rule["tests"])]
        return [{"rule": rule["meta"]["avscope_rule"], "vendor": rule["meta"]["avscope_vendor"]} for rule in found]

    return answer


# --- Response policy zone -------------------------------------------------------------------------------------------------

def rpz(path):
    origin, records, nodes = None, {}, set()
    for line in open(path, encoding="utf-8"):
        record, _, comment = line.rstrip("\n").partition(";")
        fields = record.split()
        if not fields or fields[0] == "$TTL":
            continue
        if fields[0] == "$ORIGIN":
            origin = fields[1]
            continue
        owner, kind, data = fields[0], fields[1], fields[2:]
        if owner == "@":
            continue
        if kind != "CNAME" or owner.endswith("."):
            fail(f"record {line}")
        if owner in records:
            fail(f"{owner} twice")
        about = dict(pair.split("=", 1) for pair in comment.split() if "=" in pair)
        records[owner] = (data[0], about)
        labels = owner.split(".")
        nodes.update(".".join(labels[at:]) for at in range(len(labels)))
    if origin is None:
        fail("no $ORIGIN")

    def answer(buffer, text):
        name = text.rstrip(".").lower()
        found = records.get(name)
        if found is None and name not in nodes and name:
            labels = name.split(".")
            # The closest encloser is the longest name above that exists; only a wildcard right below it counts.
            for at in range(1, len(labels) + 1):
                above = ".".join(labels[at:])
                if above == "" or above in nodes:
                    found = records.get(f"*.{above}" if above else "*")
                    break
        if found is None or (found[0] == "rpz-passthru." and "rule" not in found[1]):
            return []
        return [{"rule": found[1]["rule"], "vendor": found[1]["vendor"]}]

    return answer


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("suricata", "rpz"):
        fail(__doc__)
    answer = {"suricata": suricata, "rpz": rpz}[sys.argv[1]](sys.argv[2])
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(answer(question["buffer"], question["text"])))


main()
