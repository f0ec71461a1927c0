"""A machine without a disk, that its network starts: by iPXE on a BIOS, or by UEFI HTTP Boot.

Rules: on a BIOS QEMU's own network answers like a DHCP server, and names the update server's first script; iPXE is in
the network card. With `variables` it is UEFI, and with `link` there is a real network, whose DHCP server says the rest.

    Machine(folder, netbooted("http://10.0.2.2:8080", "52:54:00:12:34:56", ports={2222: 22}))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops.lab.hardware import Hardware

NO_DISK = Path("/dev/null")
SCRIPT = "/boot/boot.ipxe"
ANY_MAC = "52:54:00:12:34:56"
"""QEMU's own first."""


@dataclass(frozen=True)
class Netbooted(Hardware):
    """`server`: the update server's URL, as the machine sees it; `link`: words of a -netdev, which leads to another
    network than QEMU's own."""

    server: str = ""
    mac: str = ""
    link: str = ""

    def _machine(self) -> str:
        # What iPXE says goes to the serial console.
        return super()._machine() if self.variables else "q35,graphics=off"

    def _started_from(self) -> list[str]:
        network = self.link or f"user,bootfile={self.server}{SCRIPT}{self._forwards()}"
        rom = ",romfile=" if self.variables else ""  # iPXE is the BIOS's; a UEFI firmware has drivers of its own
        return [
            "-netdev",
            f"{network},id=net",
            "-device",
            f"{self.board.network},netdev=net,mac={self.mac}{rom},bootindex=0",
        ]


def netbooted(
    server: str, known_as: str, ports: Mapping[int, int], *, memory: int = 1024, accelerator: str = "tcg"
) -> Hardware:
    """A machine with a BIOS in QEMU's own network, known to the update server by a MAC or an SMBIOS UUID."""
    mac, more = (known_as, ()) if ":" in known_as else (ANY_MAC, ("-uuid", known_as))
    return Netbooted(
        NO_DISK, None, ports, memory, accelerator=accelerator, attachable=True, more=more, server=server, mac=mac
    )
