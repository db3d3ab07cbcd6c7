"""Spreads a recording over time: each conversation begins later by a factor, and keeps its own pace.

What a day of an office is takes seconds to record. Products are told from people by coming back, so the demo is stretched; within a
conversation nothing changes, and what came before another conversation still does.

    python3 pcaps/compose/spread.py FILE FACTOR      rewrites FILE
"""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path

from pcapfile import ETHERNET, Frame, pcap_bytes, read_pcap


def conversation(data: bytes) -> tuple:
    """What keeps a frame together with others: addresses, protocol and ports, in either direction."""
    kind = struct.unpack("!H", data[12:14])[0]
    if kind == 0x0800:
        header = 14 + (data[14] & 15) * 4
        protocol, one, other = data[23], data[26:30], data[30:34]
    elif kind == 0x86DD:
        header, protocol, one, other = 54, data[20], data[22:38], data[38:54]
    else:
        return (kind, *sorted((data[:6], data[6:12])))
    ports = struct.unpack("!HH", data[header : header + 4]) if protocol in (6, 17) else (0, 0)
    return (kind, protocol, *sorted(((one, ports[0]), (other, ports[1]))))


def spread(frames: list[Frame], factor: int) -> list[Frame]:
    begins: dict[tuple, int] = {}
    moved = []
    for frame in frames:
        begin = begins.setdefault(conversation(frame.data), frame.time_ns)
        moved.append(replace(frame, time_ns=frame.time_ns + (begin - frames[0].time_ns) * (factor - 1)))
    return sorted(moved, key=lambda frame: frame.time_ns)


def spread_file(path: Path, factor: int) -> None:
    path.write_bytes(pcap_bytes(spread(read_pcap(path), factor), ETHERNET))


def main() -> int:
    spread_file(Path(sys.argv[1]), int(sys.argv[2]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
