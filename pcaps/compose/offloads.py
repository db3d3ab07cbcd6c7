"""Turns an interface name into that interface with segmentation and checksum offloads off.

The work of `ethtool -K IFACE tx off tso off gso off gro off`, without needing ethtool.
Run inside the namespace of the interface.
"""

import array
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
# linux/ethtool.h: ETHTOOL_STXCSUM, ETHTOOL_SSG, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO.
# Segmentation goes first: it depends on the checksum offload.
SWITCHES = (0x1F, 0x24, 0x2C, 0x19, 0x17)


def main() -> int:
    interface = sys.argv[1].encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for switch in SWITCHES:
            value = array.array("B", struct.pack("=II", switch, 0))
            request = struct.pack("16sP", interface, value.buffer_info()[0]).ljust(40, b"\0")
            try:
                fcntl.ioctl(control, SIOCETHTOOL, request)
            except OSError:
                # A bridge has not every switch; the recording is judged by what it holds (compose.py looks).
                continue
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
