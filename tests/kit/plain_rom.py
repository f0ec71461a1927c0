"""A network card whose boot program is no iPXE, for a machine in QEMU whose cards know nothing else.

In: the name of a tap device that is made here, a folder. Out: a cable between the machine and that device (`words`: for
`-netdev`). Rules: every frame goes through as it is, but what the machine says to DHCP servers before it has fetched
`undionly.kpxe`: there is no word of iPXE in that (options 77 and 175).

    with PlainRom(folder, "tap0") as cable:
        Netbooted(..., link=cable.words)
"""

import contextlib
import fcntl
import os
import socket
import struct
import threading
from multiprocessing.connection import wait
from pathlib import Path
from typing import Self

from gitops.process import run

TUNSETIFF, TAP, NO_HEADER = 0x400454CA, 0x0002, 0x1000
"""linux/if_tun.h."""
FRAME = 65536
OF_IPXE = (77, 175)
"""User class; what iPXE tells of itself (ipxe.org/howto/dhcpd)."""
DHCP_SERVERS, TFTP = (67, 4011), 69
OPTIONS = 14 + 20 + 8 + 240
"""Where they begin in a frame: behind Ethernet, IPv4, UDP, BOOTP and its cookie."""


class PlainRom:
    """The cable of one machine."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder, self._device = folder, device
        self.asked: list[bytes] = []
        """The files that it asked for by TFTP."""
        self._stop = threading.Event()

    @property
    def words(self) -> str:
        """As QEMU's -netdev takes them."""
        ends = [f"{end}.type=unix,{end}.path={self._folder / name}" for end, name in (("local", "q"), ("remote", "c"))]
        return ",".join(("dgram", *ends))

    def __enter__(self) -> Self:
        self._tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._tap, TUNSETIFF, struct.pack("16sH", self._device.encode(), TAP | NO_HEADER))
        run(["ip", "link", "set", self._device, "up"])
        self._machine = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._machine.bind(str(self._folder / "c"))
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._machine.close()
        os.close(self._tap)

    def _carry(self) -> None:
        while not self._stop.is_set():
            for each in wait([self._tap, self._machine], 0.5):
                with contextlib.suppress(OSError):  # a device that is down, a machine that is off: as a cable has it
                    if each is self._machine:
                        os.write(self._tap, self._said(self._machine.recv(FRAME)))
                    else:
                        self._machine.sendto(os.read(self._tap, FRAME), str(self._folder / "q"))

    def _said(self, frame: bytes) -> bytes:
        port = int.from_bytes(frame[36:38], "big") if frame[12:14] == b"\x08\x00" and frame[23] == 17 else 0
        if port == TFTP:
            self.asked.append(frame[44:].split(b"\0")[0])
        return without_ipxe(frame) if port in DHCP_SERVERS and not self.asked else frame


def without_ipxe(frame: bytes) -> bytes:
    """A request to a DHCP server, with padding (RFC 2132, 3.1) in the place of what names iPXE."""
    changed, at = bytearray(frame), OPTIONS
    changed[40:42] = bytes(2)  # no checksum (RFC 768)
    while at + 1 < len(changed) and changed[at] != 255:
        size = 1 if changed[at] == 0 else 2 + changed[at + 1]
        if changed[at] in OF_IPXE:
            changed[at : at + size] = bytes(size)
        at += size
    return bytes(changed)
