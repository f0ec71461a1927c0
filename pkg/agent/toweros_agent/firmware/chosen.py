"""What starts this box: UEFI firmware with systemd-boot, or a BIOS with GRUB, which nobody checks.

In: where things are. Out: the entries and the chores of the one or of the other, with the same verbs. Rules: the kernel
says which, by /sys/firmware/efi; with a BIOS there are no variables, no certificates and no systemd-boot to keep up,
and GRUB stays as the disk was made with it (docs/bios.md).
"""

import errno
import time
from collections.abc import Callable
from pathlib import Path

from toweros_agent.firmware.boot_loader import BootLoader
from toweros_agent.firmware.efivars import Partition, Variables
from toweros_agent.firmware.keyring import Keyring
from toweros_agent.host.bios.entries import Bios
from toweros_agent.host.esp import Esp
from toweros_agent.host.firmware import Firmware
from toweros_agent.host.loader import TOLD, Loader
from toweros_agent.nouns import Refused
from toweros_agent.settings import Places


def esp_of(places: Places) -> Esp:
    """The boot entries of this box."""
    root = places.run / "esp"
    return Esp(root) if places.efivars.parent.is_dir() else Bios(root)


def loader_of(esp: Esp, places: Places) -> "Loader | Grub":
    """What decides about the next boot beside the entries."""
    variables = Variables(places.efivars)
    return Grub(esp, variables) if isinstance(esp, Bios) else Loader(places.run / "esp", esp, variables)


def boot_loader_of(esp: Esp, keyring: Keyring, memory: Path, named: str, boot_id: str) -> BootLoader:
    """The boot loader that follows the release."""
    return (BootLoader if esp.in_firmware else NoBootLoader)(keyring, memory, named, boot_id)


def firmware_of(esp: Esp, places: Places, state: Path) -> Firmware:
    """What the firmware says of itself."""
    return (Firmware if esp.in_firmware else NoFirmware)(places.run / "esp", Variables(places.efivars), state)


class Grub:
    """The sibling of `Loader`. `said` is what was found since this boot, with its time (monotonic)."""

    def __init__(self, esp: Bios, variables: Variables) -> None:
        self.esp, self.variables = esp, variables
        self.said: dict[str, float] = {}

    @property
    def problems(self) -> list[str]:
        return [text for text, moment in self.said.items() if time.monotonic() - moment < TOLD]

    def say(self, text: str) -> None:
        self.said[text] = time.monotonic()

    def restore(self) -> None:
        """The block, and each entry's grub.cfg. Raises `OSError` where it cannot, after it has tried the rest."""
        troubles = []
        if wrong := self.esp.restore():
            self.say(f"{wrong}: it is written once more")
        for entry in self.esp.entries():
            if self.esp.starts(entry.sequence):
                continue
            try:
                self.esp.write_config(entry.sequence, self.esp.path(entry))
            except (OSError, Refused) as error:
                troubles.append(f"release {entry.sequence}: {error}")
            else:
                self.say(f"what GRUB does for release {entry.sequence} was not as it must be, and is put right")
        if troubles:
            raise OSError(errno.EIO, "; ".join(troubles))


class NoBootLoader(BootLoader):
    """There is no systemd-boot: none is due, tried or missed."""

    @property
    def pending(self) -> bool:
        return False

    def settle(self) -> None:
        """Nothing to do."""

    def due(self) -> bool:
        return False

    def start_once(self, partition: Callable[[], Partition]) -> None:
        """Nothing to do."""


class NoFirmware(Firmware):
    """A BIOS says nothing and keeps nothing: the report's `firmware` is null, so nobody takes it for checked."""

    def facts(self) -> None:
        return None

    def problems(self) -> list[str]:
        return []
